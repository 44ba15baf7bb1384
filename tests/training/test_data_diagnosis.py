"""What a training says of its data, at its start and by the model at its end."""

import json

import labelled_sets as sets
import numpy as np
import pytest
from pair_cace.checking.diagnosis import diagnose, offsets, slopes
from pair_cace.checking.slopes import ENERGY_FACTORS, STRESS_FACTORS
from pair_cace.evaluation import Evaluation
from pair_cace.training.config import load_config
from pair_cace.training.data import load_data
from pair_cace.training.data_summary import data_lines
from pair_cace.training.distributed import Processes
from pair_cace.training.watcher import Watcher
from training_helpers import cace_train

EPOCHS = [
    {"epochs": 12, "energy_weight": 1, "force_weight": 1000},
    {"epochs": 6, "energy_weight": 1000, "force_weight": 1000, "learning_rate": 2e-3},
]


def run_on(frames, tmp_path, config_file):
    sets.write(tmp_path / "train.xyz", frames)
    config = config_file(
        data={"train": str(tmp_path / "train.xyz"), "valid": 0.3},
        training={"phases": EPOCHS, "dtype": "float32"},
        optimizer={"kind": "muon", "betas": [0.9, 0.999]},
    )
    run = cace_train(config)
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    return (
        " ".join(run.stdout.split()),
        (tmp_path / "run" / "train.log").read_text(),
        report["verdict"],
    )


def slopes_in(verdict):
    """{quantity: slope} of the line that a run ends with."""
    (line,) = [line for line in verdict if "slopes of reference" in line]
    words = line.partition("prediction: ")[2].split(", ")
    return {word.split()[0]: float(word.split()[-1]) for word in words}


@pytest.mark.slow
def test_right_data_have_slopes_of_one_and_no_warnings(tmp_path, config_file):
    printed, log, verdict = run_on(sets.alloy(120), tmp_path, config_file)
    assert "warning" not in printed
    found = slopes_in(verdict)
    assert found.keys() == {"energies", "forces", "stress"}
    assert all(value == pytest.approx(1.0, abs=0.1) for value in found.values())
    # The start says in short what `cace check` says.
    for words in (
        "84 frames of 8 atoms",
        "forces: rms",
        "stress: 84 frames",
        "closest: ",
        "slopes of",
    ):
        assert words in printed and words in log


@pytest.mark.slow
def test_the_end_of_a_run_on_gradients_says_that_forces_have_the_wrong_sign(tmp_path, config_file):
    frames = sets.forces_times(sets.alloy(120), -1.0)
    printed, log, verdict = run_on(frames, tmp_path, config_file)
    found = slopes_in(verdict)
    assert -2.0 < found["energies"] < -0.5  # what is left of the energies pulls the other way
    assert found["forces"] == pytest.approx(1.0, abs=0.1)
    assert any("warning: forces have the wrong sign" in line for line in verdict)
    for text in (printed, log):
        assert "warning: forces have the wrong sign" in text
        assert "stress has the wrong sign" not in text


# ---- evaluations ---------------------------------------------------------------------------------


def evaluation(energy=1.0, stress=1.0, offset=0.0, error=0.05, n=40, seed=0):
    """Of a model with relative errors of ``error``, on labels that are wrong by factors and an offset."""
    rng = np.random.default_rng(seed)
    true = {
        "energies": -100.0 + 0.5 * rng.normal(size=n),
        "forces": rng.normal(size=(8 * n, 3)),
        "stresses": 0.1 * rng.normal(size=(n, 3, 3)),
    }
    predicted = {
        name: values + error * np.std(values) * rng.normal(size=values.shape)
        for name, values in true.items()
    }
    true["energies"] = energy * true["energies"] + offset * (np.arange(n) % 2)
    true["stresses"] = stress * true["stresses"]
    return Evaluation(np.full(n, 8), np.full(8 * n, 29), true, predicted)


def codes(*arguments, **options):
    return [finding.code for finding in diagnose(evaluation(*arguments, **options))]


@pytest.mark.parametrize("error", [0.02, 0.3, 1.0, 5.0])
def test_a_model_good_or_bad_accuses_no_right_data(error):
    assert codes(error=error) == []


@pytest.mark.parametrize("error", [0.02, 0.3])
@pytest.mark.parametrize("unit", [name for name in ENERGY_FACTORS if name.startswith("energies")])
def test_units_of_energies_are_named(unit, error):
    (finding,) = diagnose(evaluation(energy=ENERGY_FACTORS[unit], error=error))
    assert finding.code == "energy-unit" and f"probably {unit}" in finding.text


def test_positions_in_bohr_are_named():
    (finding,) = diagnose(evaluation(energy=0.53, stress=3.6))
    assert finding.code == "length-unit" and "positions in Bohr" in finding.text


@pytest.mark.parametrize("unit", STRESS_FACTORS)
@pytest.mark.parametrize("sign", [1, -1])
def test_units_and_sign_of_stress_are_named(unit, sign):
    found = diagnose(evaluation(stress=sign * STRESS_FACTORS[unit]))
    assert {one.code for one in found} == {"stress-unit"} | ({"stress-sign"} if sign < 0 else set())
    assert any(f"in {unit}" in one.text for one in found)


def test_an_offset_of_half_of_the_frames_is_named():
    names = [f"frame {k}" for k in range(40)]
    (finding,) = diagnose(evaluation(offset=5.0), names)
    assert finding.code == "energy-offset" and "about 5 eV" in finding.text
    assert set(finding.frames) in ({*names[::2]}, {*names[1::2]})


def test_an_offset_is_seen_in_many_frames_where_a_few_do_not_show_it():
    """After a short training: the groups are only four standard deviations apart."""
    parts = [evaluation(n=n, error=2.2, offset=5.0, seed=n) for n in (300, 38)]
    assert diagnose(parts[1]) == []
    (finding,) = offsets(parts, [f"frame {k}" for k in range(338)])
    assert finding.code == "energy-offset" and len(finding.frames) > 150
    assert offsets([evaluation(n=n, error=2.2, seed=n) for n in (300, 38)], ["frame"] * 338) == []


def test_slopes_are_said_only_if_they_are_certain():
    assert "energies within compositions 1.0" in str(slopes(evaluation(error=0.05)))
    assert str(slopes(evaluation(error=50.0))) == ""


# ---- the start -----------------------------------------------------------------------------------


def test_a_run_says_that_the_same_frames_are_in_two_parts(tmp_path, config_file):
    frames = sets.alloy(30)
    sets.write(tmp_path / "train.xyz", frames[:20])
    sets.write(tmp_path / "test.xyz", frames[17:])
    path = config_file(
        data={
            "train": str(tmp_path / "train.xyz"),
            "valid": 0.1,
            "test": str(tmp_path / "test.xyz"),
        }
    )
    config = load_config(path, ())
    data = load_data(config, 4.0, Processes(), Watcher())
    lines = [line for line in data_lines(data, 4.0) if "warning" in line]
    assert all("of the 13 frames of test are in" in line for line in lines) and lines
    assert sum(int(line.split()[1]) for line in lines) == 3


def test_of_many_structures_the_worst_is_found_though_few_are_described(
    tmp_path, config_file, monkeypatch
):
    monkeypatch.setattr("pair_cace.training.data_summary.MOST_STRUCTURES", 15)
    sets.write(tmp_path / "train.xyz", sets.one_large_force(sets.alloy(60), which=7))
    path = config_file(data={"train": str(tmp_path / "train.xyz"), "valid": 0.02})
    data = load_data(load_config(path, ()), 4.0, Processes(), Watcher())
    lines = list(data_lines(data, 4.0))
    assert lines[0] == "of the training structures, 15 are described:"
    assert any("a force of 350 eV/Å" in line and "frame 7" in line for line in lines)
