"""Training runs: they learn, they resume, they agree on any number of processes."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import ase.io
import numpy as np
import pytest
import torch
from pair_cace.cli.export import export_checkpoint
from pair_cace.data.graph import Graph
from pair_cace.data.reading import Keys
from pair_cace.errors import CaceError
from pair_cace.io.checkpoint import load_checkpoint
from pair_cace.nn import CACE, Hyperparameters
from pair_cace.training.batching import batches, share, split
from pair_cace.training.config import TrainingSection, load_config
from pair_cace.training.dataset import content_hash, open_or_build
from pair_cace.training.initialization import fit_scales
from pair_cace.training.run import train
from tolerances import FLOAT32_ROUNDING, ROUNDING
from training_helpers import cace_train, labelled, rows_of

# ---- data ----------------------------------------------------------------------------------------


def store_of(data_file, tmp_path, cutoff=4.0):
    return open_or_build([data_file], Keys(), cutoff, tmp_path / "cache", ["energy"])


def test_a_store_gives_back_graphs_and_labels(data_file, tmp_path):
    store = store_of(data_file, tmp_path)
    frames = ase.io.read(data_file, index=":")
    assert len(store) == len(frames) == 20
    graph, labels = store.batch([3, 17])
    expected = Graph.joined([Graph.of(frames[k], 4.0) for k in (3, 17)])
    for name in ("vectors", "senders", "receivers", "species", "structure", "volumes"):
        assert torch.equal(getattr(graph, name), getattr(expected, name))
    np.testing.assert_allclose(labels.forces[:8], frames[3].get_forces(), rtol=ROUNDING)
    np.testing.assert_allclose(
        labels.stresses[1], frames[17].get_stress(voigt=False), rtol=ROUNDING
    )
    assert labels.energies[1] == frames[17].get_potential_energy()
    assert labels.weights.tolist() == [1.0, 1.0]


def test_a_store_is_built_once(data_file, tmp_path):
    first = store_of(data_file, tmp_path)
    folder = tmp_path / "cache" / content_hash([data_file], Keys(), 4.0, ["energy"])
    before = (folder / "vectors.bin").stat().st_mtime_ns
    assert len(store_of(data_file, tmp_path)) == len(first)
    assert (folder / "vectors.bin").stat().st_mtime_ns == before
    store_of(data_file, tmp_path, cutoff=3.0)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_store_that_cannot_be_built_leaves_nothing(tmp_path):
    atoms = labelled(1, seed=0)[0]
    atoms.positions[0] = np.nan
    ase.io.write(tmp_path / "bad.xyz", atoms, format="extxyz")
    with pytest.raises(CaceError, match="bad.xyz, frame 0"):
        store_of(tmp_path / "bad.xyz", tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_splits_and_batches_cover_everything_once(data_file, tmp_path):
    train_part, valid_part = split(20, 0.2, seed=3)
    assert sorted([*train_part, *valid_part]) == list(range(20)) and len(valid_part) == 4
    assert list(split(20, 0.2, seed=4)[1]) != list(valid_part)
    store = store_of(data_file, tmp_path)
    phases = [{"epochs": 1}]
    for rule in ({"batch_size": 3}, {"batch_atoms": 30}, {"batch_edges": 1}):
        found = batches(range(20), store, TrainingSection(phases=phases, **rule))
        assert sum(found, []) == list(range(20))
        assert len(found) == {3: 7, 30: 7, 1: 20}[next(iter(rule.values()))]
    assert sorted(sum((share(range(7), rank, 3) for rank in range(3)), [])) == list(range(7))


# ---- starting weights ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_neighbors", [10, 100])
@pytest.mark.parametrize("kind", [{}, {"n_layers": 2, "messages": ("M", "Ar", "Bchi")}])
def test_a_new_model_is_sane_on_any_data(n_neighbors, kind):
    rng = np.random.default_rng(0)
    volume = 4 / 3 * np.pi * 5.0**3 / n_neighbors
    atoms = ase.Atoms("Cu60", rng.random((60, 3)) * (60 * volume) ** (1 / 3), pbc=True)
    atoms.set_cell(np.eye(3) * (60 * volume) ** (1 / 3))
    graph = Graph.of(atoms, 5.0)
    model = CACE(Hyperparameters(elements=("Cu",), cutoff=5.0, **kind)).double()
    fit_scales(model, graph)
    arguments = (graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms)
    features = model.features(*arguments).detach()
    typical = features.pow(2).mean(dim=0).sqrt()
    assert 1e-3 < float(typical.median()) < 3.0
    assert float(typical.max()) < 30.0
    assert float(model(*arguments).abs().mean()) < 5.0


# ---- runs ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_learns_and_leaves_what_it_promises(config_file, tmp_path):
    config = config_file(training={"phases": [{"epochs": 25, "force_weight": 100}]})
    run = cace_train(config)
    assert run.returncode == 0, run.stderr
    rows = rows_of(tmp_path / "run")
    assert len(rows) == 25
    force = "valid_force_rmse (eV/A)"
    assert rows[-1][force] < 0.3 * rows[0][force]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {
        "config.yaml", "provenance.json", "metrics.csv", "best.cace.pt", "last.cace.pt", "state.pt",
        "report.md", "report.json", "learning-curve.png", "parity-valid.png", "parity-train.png",
    }  # fmt: skip
    report = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "| force | meV/Å |" in report
    assert re.search("- train: [0-9]+ structures, [0-9]+ atoms", report)
    assert "- E0 of Au: " in report
    _, info = load_checkpoint(tmp_path / "run" / "best.cace.pt")
    assert info.elements == ("Cu", "Au") and "trained_with" in info.provenance
    export_checkpoint(tmp_path / "run" / "best.cace.pt", tmp_path / "model.pt", None)


def test_curves_for_tensorboard(config_file, tmp_path):
    events = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard not installed"
    )
    train(load_config(config_file()))
    curves = events.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    found = [event.value for event in curves.Scalars("valid/force_rmse")]
    expected = [row["valid_force_rmse (eV/A)"] for row in rows_of(tmp_path / "run")]
    assert found == pytest.approx(expected, rel=FLOAT32_ROUNDING)


@pytest.mark.slow
def test_float32_and_message_passing(config_file, tmp_path):
    config = config_file(
        model={"cutoff": 4.0, "n_layers": 1, "n_radial": 2, "l_max": 2},
        training={"dtype": "float32", "batch_size": 4, "phases": [{"epochs": 4}]},
        loss={"kind": "huber"},
        schedule={"kind": "plateau", "warmup_steps": 3},
        optimizer={"kind": "adamw", "weight_decay": 1e-4},
    )
    run = cace_train(config)
    assert run.returncode == 0, run.stderr
    rows = rows_of(tmp_path / "run")
    assert rows[-1]["valid_force_rmse (eV/A)"] < rows[0]["valid_force_rmse (eV/A)"]


def finished_rows(config, folder):
    run = cace_train(config, f"folder={folder}")
    assert run.returncode == 0, run.stderr
    return rows_of(folder)


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed(config_file, tmp_path):
    config = config_file()
    started = time.monotonic()
    expected = finished_rows(config, tmp_path / "whole")
    duration = time.monotonic() - started
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "pair_cace", "train", str(config), f"folder={folder}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    dice = random.Random(5)
    for attempt in range(10):
        resume = ["--resume"] if (folder / "state.pt").exists() else []
        run = subprocess.Popen(command + resume, env=environment, stdout=subprocess.DEVNULL)
        try:
            run.wait(timeout=dice.uniform(0.4, 1.0) * duration)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
        for file in folder.glob("*.pt"):
            torch.load(file, weights_only=True)  # whole, or not there
    resume = ["--resume"] if (folder / "state.pt").exists() else []
    run = cace_train(config, f"folder={folder}", *resume)
    assert run.returncode == 0, run.stderr
    assert rows_of(folder) == expected
    before, _ = load_checkpoint(tmp_path / "whole" / "best.cace.pt")
    after, _ = load_checkpoint(folder / "best.cace.pt")
    assert all(
        torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items()
    )


@pytest.mark.slow
def test_resume_needs_the_same_run(config_file, tmp_path):
    config = config_file(training={"phases": [{"epochs": 1}]})
    run = cace_train(config, "--resume")
    assert run.returncode == 1 and "holds no run; start it without --resume" in run.stderr
    assert cace_train(config).returncode == 0
    run = cace_train(config)
    assert "already holds a run; continue it with --resume" in run.stderr
    run = cace_train(config, "--resume", "model.n_radial=5")
    assert (
        "the config differs from that of the run" in run.stderr and "model.n_radial" in run.stderr
    )


@pytest.mark.slow
def test_steps_that_are_not_finite_end_with_advice(config_file, tmp_path):
    config = config_file(
        training={"max_bad_steps": 3, "phases": [{"epochs": 3, "force_weight": 1e300}]},
    )
    run = cace_train(config)
    assert run.returncode == 1
    assert "3 steps in a row gave a loss that is not finite" in run.stderr
    assert "Lower optimizer.learning_rate" in run.stderr


@pytest.mark.slow
def test_weights_of_configurations(config_file, tmp_path):
    frames = labelled(8, seed=2)
    for frame in frames[4:]:
        frame.info["config_weight"] = 0.0
        frame.calc.results["forces"] = frame.calc.results["forces"] + 100.0
    ase.io.write(tmp_path / "w.xyz", frames, format="extxyz")
    data = {"train": str(tmp_path / "w.xyz"), "valid": str(tmp_path / "w.xyz")}
    run = cace_train(config_file(data=data, training={"phases": [{"epochs": 2}]}))
    assert run.returncode == 0, run.stderr
    # Frames of weight zero count in the metrics, but they do not move the model.
    assert rows_of(tmp_path / "run")[-1]["train_force_rmse (eV/A)"] > 50
    model, info = load_checkpoint(tmp_path / "run" / "last.cace.pt")
    from pair_cace.nn.derivatives import predict

    assert float(predict(model, Graph.of(frames[0], 4.0)).forces.abs().max()) < 20


# ---- several processes ---------------------------------------------------------------------------


GRADIENT_OF_THE_FIRST_STEP = """
import pathlib, sys, torch
from pair_cace.training import config, run, trainer

def keep(self):
    if self.processes.is_first:
        torch.save([parameter.grad for parameter in self.trained], sys.argv[2])
    raise SystemExit

trainer.Trainer._optimizer_step = keep
try:
    run.train(config.load_config(pathlib.Path(sys.argv[1]), sys.argv[3:]))
finally:  # threads that are left may abort the process where Python ends
    for thread in pathlib.Path("/proc/self/task").iterdir():
        assert "gloo" not in (thread / "comm").read_text()
"""


@pytest.mark.parametrize(
    "dtype, energies, relative",
    [
        ("float64", "absolute", ROUNDING),
        ("float64", "relative", ROUNDING),
        ("float32", "absolute", FLOAT32_ROUNDING),
    ],
)
@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(config_file, tmp_path, dtype, energies, relative):
    config = config_file(
        training={
            "batch_size": 7,
            "dtype": dtype,
            "phases": [
                {"epochs": 1, "energy_weight": 1000, "force_weight": 100, "stress_weight": 10}
            ],
        },
        loss={"energies": energies},
        optimizer={"clip_gradient_norm": 1e9},
    )
    script = tmp_path / "gradient.py"
    script.write_text(GRADIENT_OF_THE_FIRST_STEP)
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found = []
    for name, launcher in (("one", []), ("two", several)):
        saved = tmp_path / f"{name}.pt"
        arguments = [str(script), str(config), str(saved), f"folder={tmp_path / name}"]
        subprocess.run(
            [sys.executable, *launcher, *arguments],
            env=os.environ | {"OMP_NUM_THREADS": "1"}, stdin=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        found.append(torch.cat([gradient.flatten() for gradient in torch.load(saved)]))
    alone, together = found
    assert alone.norm() > 0
    assert (together - alone).norm() <= relative * alone.norm()


@pytest.mark.parametrize(
    "energies, first_energy_weight", [("absolute", 1), ("absolute", 0), ("relative", 1)]
)
@pytest.mark.slow
def test_two_processes_train_like_one(config_file, tmp_path, energies, first_energy_weight):
    # Five structures a batch: the shares differ in size. Without energies a bias has no gradient.
    phases = [
        {
            "epochs": 2,
            "energy_weight": first_energy_weight,
            "force_weight": 100,
            "stress_weight": 10,
        },
        {"epochs": 2, "energy_weight": 100, "force_weight": 100},
    ]
    config = config_file(training={"batch_size": 5, "phases": phases}, loss={"energies": energies})
    alone = finished_rows(config, tmp_path / "one")
    run = cace_train(config, f"folder={tmp_path / 'two'}", processes=2)
    assert run.returncode == 0, run.stderr
    together = rows_of(tmp_path / "two")
    assert len(together) == len(alone)
    for one, two in zip(alone, together):
        for key, value in one.items():
            assert two[key] == pytest.approx(value, rel=FLOAT32_ROUNDING, nan_ok=True), key


@pytest.mark.slow
def test_an_error_of_the_first_process_ends_all(config_file, tmp_path):
    config = config_file(training={"phases": [{"epochs": 1}]})
    assert cace_train(config).returncode == 0
    run = cace_train(config, processes=2)
    assert run.returncode == 1
    assert run.stderr.count("already holds a run; continue it with --resume") == 1
    assert "gloo" not in run.stderr
    run = cace_train(config, "--resume")
    assert run.returncode == 0 and "the run had finished after epoch 1" in run.stdout
