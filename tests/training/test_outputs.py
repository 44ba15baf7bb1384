"""Outputs: numbers for every atom that are learned and predicted beside its energy."""

import copy
import dataclasses
import json
import re

import ase.io
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from labelled_sets import alloy, with_charges, write
from pair_cace.calculator import CACECalculator
from pair_cace.cli import cace
from pair_cace.data.reading import Keys, read_frames
from pair_cace.error_table import digits
from pair_cace.errors import CaceError
from pair_cace.evaluation import evaluate, graphs_of
from pair_cace.io.checkpoint import load_checkpoint
from pair_cace.io.exported import export_model, load_exported
from pair_cace.nn import CACE
from pair_cace.spread import about_means
from pair_cace.training.compare import as_json, read_runs
from pair_cace.training.config import load_config
from pair_cace.training.report import write_report
from pair_cace.training.run import train
from training_helpers import Listener, rows_of

OUTPUTS = {"charge": {"unit": "e"}, "site": {"kind": "scalar", "key": "sites", "hidden": [4]}}
MODEL = {
    "cutoff": 4.0, "n_rbf": 4, "n_radial": 2, "n_atom_basis": 2, "l_max": 2, "nu_max": 2,
    "readout_hidden": [8], "outputs": OUTPUTS,
}  # fmt: skip
PHASE = {"epochs": 2, "energy_weight": 1, "force_weight": 100}


@pytest.fixture(scope="module")
def frames():
    """With charges, in every other frame with sites as well, which are charges in another unit."""
    charged = with_charges(alloy(40))
    both = with_charges(charged, "sites")
    for frame in both:
        frame.atoms.arrays["sites"] = 1e4 - 1e3 * frame.atoms.arrays["charge"]
    return [(both if k % 2 else charged)[k] for k in range(40)]


@pytest.fixture
def outputs_file(config_file, tmp_path, frames):
    """As ``config_file``, for labels of outputs in some ``frames``, two epochs unless ``phase`` differs."""

    def make(frames=frames, phase={}, name="config.yaml", **sections):
        write(tmp_path / "train.xyz", frames)
        training = {"batch_size": 4, "dtype": "float64", "phases": [PHASE | phase]}
        data = {"train": str(tmp_path / "train.xyz"), "valid": 0.2}
        return config_file(name, **{"data": data, "model": MODEL, "training": training} | sections)

    return make


@pytest.fixture(scope="module")
def learned(frames, tmp_path_factory):
    """The folder of a run that had time to learn."""
    folder = tmp_path_factory.mktemp("outputs")
    write(folder / "train.xyz", frames)
    text = f"""
folder: {folder / "run"}
data: {{train: {folder / "train.xyz"}, valid: 0.2}}
model: {MODEL}
training: {{batch_size: 4, dtype: float64, phases: [{{epochs: 25, force_weight: 100}}]}}
"""
    (folder / "config.yaml").write_text(text)
    return train(load_config(folder / "config.yaml"), report=write_report).path


def test_outputs_learn_what_surroundings_make(learned, frames):
    species, charges = (
        np.concatenate([frame.atoms.arrays[name] for frame in frames])
        for name in ("numbers", "charge")
    )
    spread = about_means(species, charges)[1]
    last = rows_of(learned)[-1]
    assert last["valid_charge_rmse (e)"] < 0.2 * spread
    assert last["valid_site_rmse"] < 0.4 * 1e3 * spread  # of half as many labels


def test_the_calculator_has_what_the_evaluation_has(learned, frames, tmp_path):
    model, info = load_checkpoint(learned / "best.cace.pt")
    found = evaluate(model, graphs_of([without_labels(f) for f in frames[:3]], 4.0, 100),
                     quantities=info.hyperparameters.quantities)  # fmt: skip
    export_model(model, info, tmp_path / "model.pt", "float64")
    for file in (learned / "best.cace.pt", tmp_path / "model.pt"):
        calculator = CACECalculator(file)
        assert {"charge", "charges", "site"} <= set(calculator.implemented_properties)
        for frame, expected in zip(frames, found.predicted_frames()):
            atoms = frame.atoms.copy()
            atoms.calc = calculator
            for name in ("charge", "site"):
                given = calculator.get_property(name, atoms)
                assert given.dtype == np.float64 and given.shape == (len(atoms),)
                np.testing.assert_allclose(given, expected[name], rtol=1e-12)
            np.testing.assert_allclose(atoms.get_charges(), expected["charge"], rtol=1e-12)
            assert atoms.get_potential_energy() == pytest.approx(expected["energy"], rel=1e-12)


def test_reports_and_tables_have_outputs(learned):
    report = json.loads((learned / "report.json").read_text())
    for quantity in ("charge", "charge on Cu", "charge on Au", "site"):
        assert 0 < report["errors"]["valid"][quantity]["share_of_spread"] < 0.5
    page = (learned / "report.md").read_text()
    assert (
        "| charge on Cu | e |" in page
        and "energy_weight | force_weight | stress_weight | charge_weight" in page
    )
    assert f"charge {digits(report['errors']['valid']['charge']['rmse'])} e" in report["verdict"][0]
    (compared,) = as_json(read_runs([learned]))["runs"]
    assert compared["valid"]["charge"] == report["errors"]["valid"]["charge"]["rmse"]
    told = CliRunner().invoke(cace, ["info", str(learned / "best.cace.pt")]).output
    assert "charge:                kind scalar, unit e, hidden 16" in told
    assert "key sites" in told


def test_evaluation_of_outputs_on_the_command_line(learned, frames, tmp_path):
    write(tmp_path / "set.xyz", frames[:4])
    words = ["eval", str(learned / "best.cace.pt"), str(tmp_path / "set.xyz")]
    found = CliRunner().invoke(cace, [*words, "--write", str(tmp_path / "w.xyz")])
    assert "charge on Au" in found.output and "2 of 4 frames have no 'sites'" in found.output
    for atoms in ase.io.read(tmp_path / "w.xyz", ":"):
        assert atoms.arrays["cace_charge"].shape == atoms.arrays["cace_site"].shape == (8,)
    other = CliRunner().invoke(cace, [*words, "--output-key", "site=charge"])
    values = [line for line in other.output.splitlines() if line.startswith("│ site  ")]
    assert other.exit_code == 0 and "32" in values[0]
    for given, text in (
        ("spin=charge", r"expected NAME=LABEL with an output of the model \(charge, site\)"),
        ("site=nothing", r"expected the label 'nothing' \(site\) of atoms, found .*charges"),
    ):
        failed = CliRunner().invoke(cace, [*words, "--output-key", given])
        assert re.search(text, str(failed.exception)), failed.exception


def without_labels(frame):
    return dataclasses.replace(frame, outputs={"charge": None, "site": None})


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exports_say_which_outputs_they_have(learned, tmp_path, dtype, portable):
    model, info = load_checkpoint(learned / "best.cace.pt")
    deviations = export_model(model, info, tmp_path / "model.pt", dtype, portable)
    assert deviations["charge"] < 1e-5 and deviations["site"] < 1e-5
    text = {"outputs": ""}
    torch.jit.load(str(tmp_path / "model.pt"), _extra_files=text)
    assert text["outputs"] == b"charge e\nsite\n"
    _, exported = load_exported(tmp_path / "model.pt")
    assert exported.hyperparameters == info.hyperparameters


def test_a_model_without_outputs_has_none(tmp_path, learned):
    model, info = load_checkpoint(learned / "best.cace.pt")
    settings = info.hyperparameters.model_copy(update={"outputs": {}})
    bare = CACE(settings).double()
    bare.load_state_dict({k: v for k, v in model.state_dict().items() if "outputs" not in k})
    export_model(
        bare, dataclasses.replace(info, hyperparameters=settings), tmp_path / "m.pt", "float64"
    )
    exported, _ = load_exported(tmp_path / "m.pt")
    edges = torch.zeros(0, dtype=torch.int64)
    species = torch.tensor([29])
    assert exported.atom_outputs(torch.zeros(0, 3).double(), edges, edges, species, 1) == {}
    text = {"outputs": ""}
    torch.jit.load(str(tmp_path / "m.pt"), _extra_files=text)
    assert not text["outputs"]
    atoms = alloy(1)[0].atoms
    energies = []
    for file in (learned / "best.cace.pt", tmp_path / "m.pt"):
        atoms.calc = CACECalculator(file)
        energies.append(atoms.get_potential_energy())
    assert energies[0] == energies[1]  # outputs leave energies alone


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(outputs_file, tmp_path):
    train(load_config(outputs_file()))
    longer = ["training.phases.0.epochs=4"]
    train(load_config(outputs_file(), longer), resume=True)
    train(load_config(outputs_file(), [*longer, f"folder={tmp_path / 'whole'}"]))
    assert rows_of(tmp_path / "run") == rows_of(tmp_path / "whole")
    states = [load_checkpoint(tmp_path / run / "last.cace.pt")[0] for run in ("run", "whole")]
    for one, other in zip(*(state.state_dict().values() for state in states), strict=True):
        assert torch.equal(one, other)


def test_units_of_labels_do_not_matter(outputs_file, tmp_path, frames):
    """Weights are in units of the spread of the labels."""
    charged = with_charges(frames)
    for factor, run in ((1.0, "one"), (1e3, "other")):
        for frame in charged:
            frame.atoms.arrays["charge"] *= factor
        model = MODEL | {"outputs": {"charge": "scalar"}}
        train(load_config(outputs_file(charged, model=model, folder=str(tmp_path / run))))
    ours, theirs = (rows_of(tmp_path / run) for run in ("one", "other"))
    for one, other in zip(ours, theirs, strict=True):
        assert other["score"] == pytest.approx(one["score"], rel=1e-4)
        assert other["train_charge_rmse"] == pytest.approx(1e3 * one["train_charge_rmse"], rel=1e-4)


def test_a_model_with_outputs_is_tuned(outputs_file, learned, tmp_path):
    before, _ = load_checkpoint(learned / "best.cace.pt")
    tuned = outputs_file(
        model=None, fine_tune={"init_from": str(learned / "best.cace.pt"), "train_only": "readout"},
        phase={"output_weights": {"charge": 10, "site": 0}},
    )  # fmt: skip
    train(load_config(tuned))
    after, info = load_checkpoint(tmp_path / "run" / "last.cace.pt")
    assert list(info.hyperparameters.outputs) == ["charge", "site"]
    changed = {
        ".".join(name.split(".")[:2])
        for (name, one), other in zip(before.state_dict().items(), after.state_dict().values())
        if not torch.equal(one, other)
    }
    # Without a weight an output stays as it is.
    assert changed == {"readout.network", "readout.linear", "outputs.charge"}
    assert rows_of(tmp_path / "run")[0]["valid_charge_rmse (e)"] < 0.02


def test_outputs_alone_can_be_learned(outputs_file, tmp_path, frames):
    bare = [dataclasses.replace(frame, energy=None, forces=None, stress=None) for frame in frames]
    alone = {"energy_weight": 0, "force_weight": 0, "output_weights": {"charge": 1}}
    train(load_config(outputs_file(bare, phase=alone)))
    rows = rows_of(tmp_path / "run")
    assert rows[-1]["valid_charge_rmse (e)"] < rows[0]["valid_charge_rmse (e)"]


def test_frames_without_the_label_do_not_count(outputs_file, frames):
    listener = Listener()
    train(load_config(outputs_file()), watcher=listener)
    assert any(
        "with a label 'charge' for the output charge: 32 of 32 (train)" in x for x in listener.said
    )
    (sites,) = [text for text in listener.said if "'sites' for the output site" in text]
    assert 0 < int(sites.split(": ")[1].split()[0]) < 32


# ---- mistakes --------------------------------------------------------------------------------------


def spoiled(frames, change):
    """With another label in frame 3."""
    frames = copy.deepcopy(frames)
    change(frames[3].atoms.arrays)
    return frames


def vector(arrays):
    arrays["charge"] = np.ones((8, 3))


def not_a_number(arrays):
    arrays["charge"][2] = np.nan


def words(arrays):
    arrays["sites"] = np.array(["high"] * 8)


@pytest.mark.parametrize(
    "change, text",
    [
        (vector, r"train.xyz, frame 3: expected a number for each of the 8 atoms under 'charge' "
         r"\(the output charge\), found shape \(8, 3\); correct the file, or"),
        (not_a_number, r"train.xyz, frame 3: expected finite numbers for 'charge' \(the output "
         r"charge\), found NaN or infinity for 1 of 8 atoms; correct the file, or leave 'charge' out"),
        (words, r"frame 3: expected a number for each of the 8 atoms under 'sites'.*'high'"),
    ],
)  # fmt: skip
def test_bad_labels_are_named(outputs_file, frames, change, text):
    with pytest.raises(CaceError, match=text):
        train(load_config(outputs_file(spoiled(frames, change))))


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"model.outputs": {"spin": "scalar"}},
         "model.outputs.spin: expected labels 'spin', a number for every atom, in the training data "
         r"\(.*train.xyz\), found none in 32 structures; name them with model.outputs.spin.key"),
        ({"training.phases.0.output_weights": {"charg": 1}},
         r"output_weights: expected names of model.outputs \(charge, site\), found charg"),
        ({"model.outputs": {"forces": "scalar"}}, "expected a new name for an output, found forces"),
        ({"model.outputs": {"my charge": "scalar"}}, "expected a name of letters, digits and _"),
        ({"model.outputs": {"charge": "scalr"}},
         "model.outputs: charge: kind: expected a kind of output of the names .*scalar.*, found 'scalr'"),
        ({"model.outputs": {"charge": {"hiden": [3]}}},
         "charge: hiden: unknown key; known are kind, unit, key, hidden"),
        ({"model.outputs": {"charge": {"hidden": [0]}}}, "charge: hidden.0: .* greater than or equal"),
        ({"model.outputs": {"charge": {"unit": "e per atom"}}}, "charge: unit: expected a unit without spaces, .* got 'e per atom'"),
    ],
)  # fmt: skip
def test_mistakes_in_the_config_are_named(outputs_file, changes, text):
    overrides = [f"{key}={value}" for key, value in changes.items()]
    with pytest.raises(CaceError, match=text):
        train(load_config(outputs_file(), overrides))


def test_names_of_labels_are_those_of_ase_too(frames, tmp_path):
    """ASE reads a column `charge` as `charges`; a `charge` in the comment line is that of the whole."""
    atoms = frames[0].atoms.copy()
    atoms.info["charge"] = 1.0
    ase.io.write(tmp_path / "one.xyz", atoms, format="extxyz")
    keys = Keys(outputs={"charge": "charge", "sites": "Charges"})
    (frame,) = read_frames(tmp_path / "one.xyz", keys, ())
    np.testing.assert_allclose(frame.outputs["charge"], atoms.arrays["charge"], atol=1e-7)
    np.testing.assert_allclose(frame.outputs["sites"], atoms.arrays["charge"], atol=1e-7)
    del atoms.arrays["charge"]
    ase.io.write(tmp_path / "none.xyz", atoms, format="extxyz")
    (frame,) = read_frames(tmp_path / "none.xyz", keys, ())
    assert frame.outputs == {"charge": None, "sites": None}
