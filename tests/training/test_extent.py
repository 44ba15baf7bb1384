"""What models know of the data that they were trained on."""

import json

import ase
import ase.io
import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from click.testing import CliRunner
from helpers import assert_close, extent_of_water, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.cli.info import info as info_command
from pair_cace.errors import CaceError
from pair_cace.io import exported
from pair_cace.io.checkpoint import add_errors, load_checkpoint, save_checkpoint
from pair_cace.io.exported import load_exported
from pair_cace.io.training_extent import factor_outside, merged_ranges
from pair_cace.training import extent as extent_module
from pair_cace.training.config import load_config
from pair_cace.training.data import load_data
from pair_cace.training.distributed import Processes
from pair_cace.training.extent import extent_of
from pair_cace.training.run import train
from pair_cace.training.watcher import Watcher
from tolerances import ROUNDING
from training_helpers import labelled


def frames_for_training(config):
    data = load_data(config, config.model.cutoff, Processes(), Watcher())["train"]
    frames = ase.io.read(config.data.train[0], ":")
    return data, [frames[k] for k in data.structures]


def closest_by_pair(frames, cutoff):
    found = {}
    for atoms in frames:
        symbols = atoms.get_chemical_symbols()
        for i, j, d in zip(*neighbor_list("ijd", atoms, cutoff)):
            name = "-".join(sorted((symbols[i], symbols[j]), reverse=True))  # Cu before Au
            found[name] = min(d, found.get(name, d))
    return found


@pytest.mark.parametrize("edges_at_a_time", [300, 200_000])
def test_the_extent_of_training_data(config_file, edges_at_a_time, monkeypatch):
    monkeypatch.setattr(extent_module, "EDGES_AT_A_TIME", edges_at_a_time)
    config = load_config(config_file(), [])
    data, frames = frames_for_training(config)
    found = extent_of(data, 4.0)
    assert (found.n_structures, found.n_atoms, found.elements) == (16, 128, ("Cu", "Au"))
    expected = closest_by_pair(frames, 4.0)
    assert found.closest.keys() == expected.keys() == {"Cu-Cu", "Cu-Au", "Au-Au"}
    for name, distance in expected.items():
        assert found.closest[name] == pytest.approx(distance, rel=ROUNDING)
    ((low, high),) = found.cell_densities
    densities = [len(atoms) / atoms.cell.volume for atoms in frames]
    assert (low, high) == pytest.approx((min(densities), max(densities)), rel=ROUNDING)
    for symbol in ("Cu", "Au"):
        ((low, high),) = found.densities[symbol]
        ((low_mean, high_mean),) = found.mean_densities[symbol]
        assert 0.06 < low < low_mean < high_mean < high < 0.09


def test_pairs_that_never_meet(config_file, tmp_path):
    """Gold atoms without neighbours have no closest distance, and a range of their own."""
    frames = labelled(2, seed=3)
    for atoms in frames:
        atoms.symbols[:] = "Cu"
    gold = ase.Atoms("Au2", [[0, 0, 0], [10, 0, 0]])
    gold.info["energy"] = 0.0
    ase.io.write(tmp_path / "t.xyz", [*frames, gold, gold], format="extxyz")
    data = {"train": str(tmp_path / "t.xyz"), "valid": str(tmp_path / "t.xyz")}
    config = load_config(config_file(data=data), [])
    found = extent_of(load_data(config, 4.0, Processes(), Watcher())["train"], 4.0)
    assert found.closest.keys() == {"Cu-Cu"}
    assert found.closest_of("Au", "Cu") == np.inf and found.closest_of("Cu", "H") is None
    ((low, high),) = found.densities["Au"]
    assert low == high == pytest.approx(1 / (4 * np.pi * 8 / 105 * 4.0**3), rel=ROUNDING)
    assert "closest Cu Au none\n" in found.text()


def test_ranges():
    assert merged_ranges([(3.0, 3.2), (1.0, 1.1), (1.2, 2.9)]) == ((1.0, 3.2),)
    assert merged_ranges([(0.1, 0.1), (1.0, 1.1), (0.11, 0.11)]) == ((0.1, 0.11), (1.0, 1.1))
    assert merged_ranges([]) == ()
    ranges = ((0.1, 0.11), (1.0, 1.1))
    assert factor_outside(0.11, ranges) == 1.0 and factor_outside(0.22, ranges) == pytest.approx(
        2, rel=ROUNDING
    )
    assert (
        factor_outside(0.5, ranges) == pytest.approx(2, rel=ROUNDING)
        and factor_outside(0.5, ()) == 1.0
    )


@pytest.mark.slow
def test_every_model_of_a_run_carries_it(config_file, tmp_path):
    from pair_cace.training.report import write_report

    config = load_config(config_file(), [])
    folder = train(config, report=write_report)
    data, frames = frames_for_training(config)
    _, last = load_checkpoint(folder.last)
    _, best = load_checkpoint(folder.best)
    assert best.trained_on == last.trained_on == extent_of(data, 4.0)
    assert last.errors == {} and best.errors.keys() == {"valid"}
    assert best.errors["valid"].keys() == {
        f"{quantity}_{kind}"
        for quantity in ("energy", "force", "stress")
        for kind in ("rmse", "mae")
    }
    rows = folder.rows()
    assert best.errors["valid"]["force_rmse"] in [
        pytest.approx(row["valid_force_rmse (eV/A)"], rel=ROUNDING) for row in map(floats, rows)
    ]
    export_checkpoint(folder.best, tmp_path / "m.pt", "float32")
    _, info = load_exported(tmp_path / "m.pt")
    assert info.trained_on == best.trained_on and info.errors == best.errors

    # A model made from this one has been trained on both sets.
    others = labelled(8, seed=9)
    for atoms in others:
        atoms.set_cell(0.93 * atoms.cell, scale_atoms=True)
        atoms.calc.results["energy"] = 0.0
    ase.io.write(tmp_path / "others.xyz", others, format="extxyz")
    sections = {
        "data": {"train": str(tmp_path / "others.xyz"), "valid": 0.25},
        "fine_tune": {"init_from": str(folder.best)}, "model": {}, "folder": str(tmp_path / "tuned"),
    }  # fmt: skip
    tuned = train(load_config(config_file("tuned.yaml", **sections), []))
    _, info = load_checkpoint(tuned.last)
    new, _ = frames_for_training(load_config(config_file("tuned.yaml", **sections), []))
    both = best.trained_on.joined(extent_of(new, 4.0))
    assert info.trained_on == both and info.errors == {}
    assert both.n_structures == 22 and both.is_whole
    assert both.closest["Cu-Cu"] < best.trained_on.closest["Cu-Cu"]


def floats(row):
    return {key: float(value) for key, value in row.items()}


def test_a_model_of_unknown_origin_is_tuned(config_file, tmp_path):
    settings = settings_of("T0", elements=("Cu", "Ag", "Au"), cutoff=4.0, n_radial=2)
    save_checkpoint(tmp_path / "old.cace.pt", random_model(settings), settings, {})
    said = []
    watcher = Watcher()
    watcher.say = said.append
    sections = {"fine_tune": {"init_from": str(tmp_path / "old.cace.pt")}, "model": {}}
    config = load_config(config_file(**sections), [])
    folder = train(config, watcher=watcher)
    assert any("old.cace.pt does not say what it was trained on" in text for text in said)
    _, info = load_checkpoint(folder.last)
    assert not info.trained_on.is_whole and info.trained_on.elements == ("Cu", "Au")
    assert info.trained_on.closest_of("Cu", "Ag") is None


def test_errors_are_added_and_nothing_else_changes(tmp_path):
    settings = settings_of("T0")
    path = tmp_path / "m.cace.pt"
    save_checkpoint(path, random_model(settings), settings, {"made_by": "test"}, extent_of_water())
    before, info = load_checkpoint(path)
    add_errors(path, {"valid": {"force_rmse": 0.05}})
    after, changed = load_checkpoint(path)
    assert changed.errors == {"valid": {"force_rmse": 0.05}} and info.errors == {}
    assert (changed.trained_on, changed.provenance) == (info.trained_on, info.provenance)
    for name, tensor in before.state_dict().items():
        assert (after.state_dict()[name] == tensor).all()
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CaceError, match="is not a model file"):
        add_errors(tmp_path / "text", {})


def test_info_prints_it_all(tmp_path):
    settings = settings_of("T0")
    densities = {"O": [(0.01, 0.01), (0.04, 0.08)]}
    known = extent_of_water(closest={"H-O": 0.9, "O-O": 2.1}, densities=densities)
    save_checkpoint(tmp_path / "m.cace.pt", random_model(settings), settings, {}, known)
    errors = {"valid": {"energy_rmse": 0.0012, "energy_mae": 0.001}}
    errors["valid"] |= {"force_rmse": 0.05, "force_mae": 0.04}
    add_errors(tmp_path / "m.cace.pt", errors)
    export_checkpoint(tmp_path / "m.cace.pt", tmp_path / "m.pt", None)
    for name in ("m.cace.pt", "m.pt"):
        said = CliRunner().invoke(info_command, [str(tmp_path / name)]).output
        assert "trained on:              7 structures, 84 atoms" in said
        assert "  H-H     none    H-O     0.90    O-O     2.10\n" in said
        assert "  O:     0.0100, 0.0400 to 0.0800\n" in said
        assert "density of cells:        0.0500 to 0.1100 atoms/Å³" in said
        (line,) = [line.split() for line in said.splitlines() if line.startswith("  valid   force")]
        assert line == ["valid", "force", "50.000", "40.000", "meV/Å"]
        found = json.loads(
            CliRunner().invoke(info_command, ["--json", str(tmp_path / name)]).output
        )
        assert found["errors"] == errors and found["trained_on"]["closest"] == known.closest


def test_a_file_without_it_is_as_good_as_before(tmp_path, monkeypatch):
    settings = settings_of("T0")
    model = random_model(settings)
    save_checkpoint(tmp_path / "m.cace.pt", model, settings, {}, extent_of_water())
    export_checkpoint(tmp_path / "m.cace.pt", tmp_path / "new.pt", None)
    monkeypatch.setattr(exported, "_more", lambda info: {})  # as it was
    export_checkpoint(tmp_path / "m.cace.pt", tmp_path / "old.pt", None)
    new, old = (load_exported(tmp_path / name) for name in ("new.pt", "old.pt"))
    assert old[1].trained_on is None and old[1].errors == {} and new[1].trained_on is not None
    assert_close(old[0].module.elements.E0, new[0].module.elements.E0)
    said = CliRunner().invoke(info_command, [str(tmp_path / "old.pt")]).output
    assert "trained on:              not known" in said
    assert "errors:                  not known" in said
