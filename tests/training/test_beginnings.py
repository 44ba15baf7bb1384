"""What a run begins with: data that it refuses, reference energies, weights of another model."""

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from pair_cace.errors import CaceError
from pair_cace.files import umask
from pair_cace.io.checkpoint import load_checkpoint
from pair_cace.training.batching import split
from pair_cace.training.config import load_config
from pair_cace.training.run import train
from pair_cace.training.run_folder import RunFolder
from training_helpers import cace_train, labelled

# ---- reference energies and fine-tuning ----------------------------------------------------------


@pytest.mark.slow
def test_reference_energies(config_file, tmp_path):
    single = [ase.Atoms("Cu"), ase.Atoms("Au")]
    for atoms, energy in zip(single, (-1.25, -2.5)):
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
    ase.io.write(tmp_path / "iso.xyz", single, format="extxyz")
    phases = {"phases": [{"epochs": 1}]}
    for E0, expected in [
        ({"Cu": 3.0, "Au": 4.0}, {"Cu": 3.0, "Au": 4.0}),
        ("isolated", {"Cu": -1.25, "Au": -2.5}),
    ]:
        path = str(tmp_path / "iso.xyz") if E0 == "isolated" else None
        data = {"E0": E0, "isolated_atoms": path}
        folder = tmp_path / f"run-{len(E0)}"
        config = load_config(config_file(data=data, training=phases, folder=str(folder)))
        train(config)
        assert load_checkpoint(folder / "best.cace.pt")[1].E0 == expected
    config = load_config(config_file(data={"E0": "isolated"}, folder=str(tmp_path / "none")))
    with pytest.raises(
        CaceError, match="found none of Cu Au; give a file with data.isolated_atoms"
    ):
        train(config)
    config = load_config(config_file(data={"E0": {"Cu": 1}}, folder=str(tmp_path / "half")))
    with pytest.raises(CaceError, match="found none for Au"):
        train(config)


def test_fine_tuning(config_file, tmp_path):
    train(load_config(config_file(training={"phases": [{"epochs": 3}]})))
    base = tmp_path / "run" / "best.cace.pt"
    shifted = labelled(8, seed=9)
    for atoms in shifted:  # another code, with another zero of energy
        atoms.calc.results["energy"] += 100.0 * len(atoms)
    ase.io.write(tmp_path / "new.xyz", shifted, format="extxyz")
    config = load_config(
        config_file(
            folder=str(tmp_path / "tuned"),
            data={"train": str(tmp_path / "new.xyz"), "E0": "fit"},
            fine_tune={"init_from": str(base), "train_only": "readout"},
            training={"phases": [{"epochs": 2}]},
        )
    )
    train(config)
    before, info_before = load_checkpoint(base)
    after, info = load_checkpoint(tmp_path / "tuned" / "last.cace.pt")
    assert info.hyperparameters == info_before.hyperparameters
    changed = {
        name.split(".")[0]
        for name, value in before.state_dict().items()
        if not torch.equal(value, after.state_dict()[name])
    }
    assert changed == {"readout", "elements"}
    shift = [info.E0[symbol] - info_before.E0[symbol] for symbol in ("Cu", "Au")]
    assert np.mean(shift) == pytest.approx(100.0, abs=1.0)
    bad = config.model_copy(update={"folder": tmp_path / "bad"})
    for changes, message in [
        ({"init_from": tmp_path / "absent.pt"}, "there is no such file"),
        ({"init_from": None}, "'readout' needs weights"),
    ]:
        section = bad.fine_tune.model_copy(update=changes)
        with pytest.raises(CaceError, match=message):
            train(bad.model_copy(update={"fine_tune": section}))


def test_fine_tuning_keeps_E0_of_elements_that_the_data_do_not_have(config_file, tmp_path):
    train(load_config(config_file(training={"phases": [{"epochs": 1}]})))
    base = tmp_path / "run" / "best.cace.pt"
    before = load_checkpoint(base)[1].E0
    copper = labelled(4, seed=3)
    for atoms in copper:
        atoms.symbols[:] = "Cu"
    ase.io.write(tmp_path / "copper.xyz", copper, format="extxyz")
    data = {"train": str(tmp_path / "copper.xyz"), "valid": 0.25}
    tune = {"init_from": str(base)}
    for E0 in ("fit", "keep", {"Cu": -7.25}):
        folder = tmp_path / f"tuned-{len(E0)}"
        config = config_file(
            model=None, folder=str(folder), data=data | {"E0": E0}, fine_tune=tune,
            training={"phases": [{"epochs": 1}]},
        )  # fmt: skip
        train(load_config(config))
        after = load_checkpoint(folder / "best.cace.pt")[1].E0
        assert after["Au"] == before["Au"]
        if E0 == "keep":
            assert after == before
        if isinstance(E0, dict):
            assert after["Cu"] == -7.25


def test_fine_tuning_keeps_the_shape_and_what_is_frozen(config_file, tmp_path):
    shape = {"trainable_rbf": False, "readout_linear": False}
    train(load_config(config_file(model=shape, training={"phases": [{"epochs": 1}]})))
    base = tmp_path / "run" / "best.cace.pt"
    common = {
        "folder": str(tmp_path / "tuned"), "fine_tune": {"init_from": str(base)},
        "training": {"phases": [{"epochs": 1}]},
    }  # fmt: skip
    with pytest.raises(CaceError, match=r"model.n_radial \(2 there, 5 here\)"):
        train(load_config(config_file(model=shape | {"n_radial": 5}, **common)))
    refit = common | {"training": {"phases": [{"epochs": 1}], "refit_readout": True}}
    with pytest.raises(CaceError, match="refit_readout needs"):
        train(load_config(config_file(model=None, **refit)))
    train(load_config(config_file(model=None, **common)))
    frequencies = [
        load_checkpoint(path)[0].radial.frequencies
        for path in (base, tmp_path / "tuned" / "last.cace.pt")
    ]
    assert torch.equal(*frequencies)
    resolved = load_config(tmp_path / "tuned" / "config.yaml")
    assert resolved.model.cutoff == 4.0 and not resolved.model.trainable_rbf


def test_only_atoms_without_neighbours_are_isolated(config_file, tmp_path):
    frames = labelled(6, seed=4)
    for symbol, energy in (("Cu", -1000.123456789), ("Au", -2000.987654321)):
        for cell in (9.0, 2.5):  # in the small cell it is its own neighbour: a crystal
            atoms = ase.Atoms(symbol, cell=[cell] * 3, pbc=True)
            frames.append(atoms)
            atoms.calc = SinglePointCalculator(
                atoms, energy=energy if cell == 9.0 else 1.0, forces=np.zeros((1, 3))
            )
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    data = {"train": str(tmp_path / "a.xyz"), "E0": "isolated"}
    train(load_config(config_file(data=data, training={"phases": [{"epochs": 1}]})))
    E0 = load_checkpoint(tmp_path / "run" / "best.cace.pt")[1].E0
    assert E0 == {"Cu": -1000.123456789, "Au": -2000.987654321}  # all digits
    assert "structures, 50 atoms" not in (tmp_path / "run" / "train.log").read_text()
    assert "train: 6 structures" in (tmp_path / "run" / "train.log").read_text()


# ---- data that cannot be used --------------------------------------------------------------------


def nickel(frames):
    frames[0].symbols[0] = "Ni"


def far_apart(frames):
    for atoms in frames:
        atoms.set_cell(atoms.cell * 5, scale_atoms=True)


def without_energy(frames):
    del frames[1].calc.results["energy"]


@pytest.mark.parametrize(
    "part, change, message",
    [
        ("valid", nickel, r"valid data .*elements of the training data \(Cu Au\), found Ni; add"),
        ("test", nickel, r"test data .* found Ni"),
        (
            "train",
            far_apart,
            "expected atoms closer to each other than model.cutoff, 4 Å, found no",
        ),
        ("train", without_energy, "frame 1: .*'energy'.*name it with data.keys.energy, or leave"),
    ],
)
def test_unusable_data_end_before_the_first_epoch(config_file, tmp_path, part, change, message):
    data = {}
    for name, seed in (("train", 1), ("valid", 2), ("test", 3)):
        frames = labelled(3, seed)
        if name == part:
            change(frames)
        data[name] = str(tmp_path / f"{name}.xyz")
        ase.io.write(data[name], frames, format="extxyz")
    with pytest.raises(CaceError, match=message):
        train(load_config(config_file(data=data)))
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_an_element_that_only_validation_drew(config_file, tmp_path):
    frames = labelled(3, seed=1)
    seed = 0
    (drawn,) = split(3, 0.2, seed)[1]
    frames[drawn].symbols[0] = "Ni"
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    data = {"train": str(tmp_path / "a.xyz"), "valid": 0.2}
    with pytest.raises(CaceError, match="drawn for validation: change training.seed"):
        train(load_config(config_file(data=data)))


def test_a_weight_for_stress_needs_stresses(config_file, tmp_path):
    ase.io.write(tmp_path / "a.xyz", labelled(4, seed=1, with_stress=False), format="extxyz")
    config = load_config(config_file(data={"train": str(tmp_path / "a.xyz")}))
    with pytest.raises(CaceError, match="stress_weight above 0 needs stresses"):
        train(config)


def test_named_weights_must_be_there(config_file, tmp_path):
    frames = labelled(4, seed=1)
    frames[1].info["importance"] = 3.0
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    data = {"train": str(tmp_path / "a.xyz"), "valid": str(tmp_path / "a.xyz")}
    phases = {"phases": [{"epochs": 1}]}
    train(load_config(config_file(data=data | {"keys": {"weight": "importance"}}, training=phases)))
    misspelt = data | {"keys": {"weight": "imporance"}}
    with pytest.raises(CaceError, match="expected weights under 'imporance', found none other"):
        train(load_config(config_file(data=misspelt, folder=str(tmp_path / "other"))))


def test_a_cache_that_cannot_be_used(config_file, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CaceError, match="cannot keep neighbour lists in .*file: .*data.cache"):
        train(load_config(config_file(data={"cache": str(tmp_path / "file")})))


def test_a_cache_that_lost_files_is_made_again(config_file, tmp_path):
    data = {"cache": str(tmp_path / "cache")}
    config = load_config(config_file(data=data, training={"phases": [{"epochs": 1}]}))
    train(config)
    (store,) = (tmp_path / "cache").iterdir()
    assert store.stat().st_mode & 0o777 == 0o777 & ~umask()
    before = {path.name: path.read_bytes() for path in store.iterdir()}
    (store / "vectors.bin").unlink()
    train(config.model_copy(update={"folder": tmp_path / "again"}))
    assert {path.name: path.read_bytes() for path in store.iterdir()} == before


def test_a_file_that_is_not_there_is_missed_at_once(config_file, tmp_path):
    config = load_config(config_file(data={"test": str(tmp_path / "absent.xyz")}))
    with pytest.raises(CaceError, match="absent.xyz: there is no such file"):
        train(config)
    assert not (tmp_path / "run" / "neighbors").exists()


def test_a_cache_made_without_energies_does_not_serve_a_run_with_them(config_file, tmp_path):
    frames = labelled(4, seed=1)
    for atoms in frames:
        del atoms.calc.results["energy"]
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    data = {
        "train": str(tmp_path / "a.xyz"),
        "cache": str(tmp_path / "cache"),
        "E0": {"Cu": 0, "Au": 0},
    }
    forces = {"phases": [{"epochs": 1, "energy_weight": 0}]}
    train(load_config(config_file(data=data, training=forces)))
    config = load_config(config_file(data=data, folder=str(tmp_path / "second")))
    with pytest.raises(CaceError, match="expected the label 'energy'"):
        train(config)


def test_resume_refuses_other_data(config_file, tmp_path):
    path = tmp_path / "a.xyz"
    ase.io.write(path, labelled(4, seed=1), format="extxyz")
    config = load_config(config_file(data={"train": str(path)}))
    train(config)
    ase.io.write(path, labelled(4, seed=2), format="extxyz")
    with pytest.raises(CaceError, match="a.xyz.* are not those that the run in .* began with"):
        train(config, resume=True)


@pytest.mark.slow
def test_the_folder_must_not_hold_the_config_itself(config_file, tmp_path):
    config = config_file(folder=str(tmp_path))
    before = config.read_text()
    run = cace_train(config)
    assert run.returncode == 1 and "a run writes its own config.yaml" in run.stderr
    assert config.read_text() == before


def test_files_that_are_not_of_a_run_are_left_alone(config_file, tmp_path):
    config = config_file("big.yaml")
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("train.log", "config.yaml"):
        (folder / name).write_text("of somebody")
        with pytest.raises(CaceError, match=f"writes its own {name}, and .* is not of a run"):
            train(load_config(config))
        assert (folder / name).read_text() == "of somebody"
        (folder / name).unlink()
    started = RunFolder(folder)  # and ended before its first epoch
    started.start(load_config(config))
    started.release()
    train(load_config(config))


def test_one_run_at_a_time_in_a_folder(config_file, tmp_path):
    config = load_config(config_file(training={"phases": [{"epochs": 1}]}))
    other = RunFolder(tmp_path / "run")
    other.start(config)
    before = (tmp_path / "run" / "config.yaml").read_text()
    for resume in (False, True):
        with pytest.raises(CaceError, match="another process is training in .*run; wait"):
            train(config, resume=resume)
    assert (tmp_path / "run" / "config.yaml").read_text() == before
    other.release()
    train(config, resume=True)
