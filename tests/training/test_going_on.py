"""Runs that are interrupted, and runs that go on with more epochs."""

import os
import signal
import subprocess
import sys
import time

import pytest
from pair_cace.errors import CaceError
from pair_cace.training.config import PhaseSection
from pair_cace.training.continuation import continued
from tolerances import ROUNDING
from training_helpers import cace_train, rows_of

OLD = (PhaseSection(epochs=2), PhaseSection(epochs=3, energy_weight=5))
ROWS = [{"phase": phase} for phase in (1, 1, 2, 2, 2)]


def state(phase, epoch_in_phase, epoch):
    return {"phase": phase, "epoch_in_phase": epoch_in_phase, "epoch": epoch, "scheduler": {}}


def longer(k, epochs):
    return OLD[:k] + (OLD[k].model_copy(update={"epochs": epochs}),) + OLD[k + 1 :]


@pytest.mark.parametrize(
    "before, new, phase, epoch_in_phase",
    [
        (state(2, 0, 5), longer(1, 7), 1, 3),  # a finished run, more epochs in its last phase
        (state(2, 0, 5), OLD + (PhaseSection(epochs=1),), 2, 0),  # another phase
        (state(1, 1, 3), longer(1, 7), 1, 1),  # in the middle
        (state(1, 1, 3), OLD + (PhaseSection(epochs=1),), 1, 1),
        (state(0, 1, 1), longer(0, 4), 0, 1),
        (state(1, 2, 4), longer(1, 2), 2, 0),  # as many as there are
        (state(1, 2, 4), OLD, 1, 2),
    ],
)
def test_where_a_run_goes_on(before, new, phase, epoch_in_phase):
    rows = ROWS[: before["epoch"]]
    after = continued(before, rows, OLD, new)
    assert (after["phase"], after["epoch_in_phase"]) == (phase, epoch_in_phase)
    assert after["epoch"] == before["epoch"]


@pytest.mark.parametrize(
    "before, new",
    [
        (state(2, 0, 5), longer(0, 4)),
        (state(2, 0, 5), longer(1, 2)),
        (state(2, 0, 5), OLD[:1]),
        (state(1, 1, 3), (OLD[0], OLD[1].model_copy(update={"energy_weight": 6.0}))),
        (state(1, 1, 3), (OLD[0].model_copy(update={"force_weight": 6.0}), OLD[1])),
    ],
)
def test_what_has_been_trained_cannot_be_changed(before, new):
    with pytest.raises(
        CaceError, match="--resume: training.phases differ in what has been trained"
    ):
        continued(before, ROWS[: before["epoch"]], OLD, new)


@pytest.mark.slow
def test_more_epochs_than_before(config_file, tmp_path):
    """A longer run that was stopped on the way and one whose end was moved have the same epochs."""
    phases = [{"epochs": 2, "energy_weight": 1, "force_weight": 100}]
    constant = {"kind": "constant"}
    config = config_file(training={"phases": phases}, schedule=constant)
    assert cace_train(config).returncode == 0
    run = cace_train(config, "training.phases.0.epochs=4", "--resume")
    assert run.returncode == 0, run.stderr
    assert "resuming after epoch 2" in run.stdout
    whole = cace_train(config, "training.phases.0.epochs=4", f"folder={tmp_path / 'whole'}")
    assert whole.returncode == 0
    assert rows_of(tmp_path / "run") == rows_of(tmp_path / "whole")
    again = cace_train(
        config, "training.phases.0.epochs=4", "optimizer.learning_rate=1", "--resume"
    )
    assert again.returncode == 1 and "optimizer.learning_rate" in again.stderr
    fewer = cace_train(config, "training.phases.0.epochs=3", "--resume")
    assert fewer.returncode == 1 and "differ in what has been trained already" in fewer.stderr


@pytest.mark.slow
def test_the_schedule_goes_on_where_it_is(config_file, tmp_path):
    config = config_file(
        training={"phases": [{"epochs": 2, "force_weight": 100}]},
        schedule={"kind": "step", "step_epochs": 2, "factor": 0.5},
    )
    assert cace_train(config).returncode == 0
    more = "training.phases=[{epochs: 4, force_weight: 100}, {epochs: 1, force_weight: 10}]"
    assert cace_train(config, more, "--resume").returncode == 0
    rates = [row["learning_rate"] for row in rows_of(tmp_path / "run")]
    assert rates == pytest.approx([1e-2, 1e-2, 5e-3, 5e-3, 1e-2], rel=ROUNDING)


def interrupted(command, folder, kind=signal.SIGINT):
    """Send ``kind`` to all processes of a run after its first epoch, as a terminal does."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not (folder / "state.pt").exists() and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, kind)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interrupted_run_says_what_it_kept(config_file, tmp_path, kind):
    config = config_file("my config.yaml", training={"phases": [{"epochs": 5000}]})
    command = [sys.executable, "-m", "pair_cace", "train", str(config), "optimizer.ema_decay=0.9"]
    code, _, errors = interrupted(command, tmp_path / "run", kind)
    assert code == 130 and "Traceback" not in errors
    assert "finished epoch(s) are kept in" in errors and "best.cace.pt" in errors
    assert f"to go on: cace train '{config}' optimizer.ema_decay=0.9 --resume" in errors
    assert not list((tmp_path / "run").glob(".*.part"))


@pytest.mark.slow
def test_several_processes_are_interrupted_without_tracebacks_of_ours(config_file, tmp_path):
    config = config_file(training={"phases": [{"epochs": 5000}]})
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "pair_cace", "train", str(config),
    ]  # fmt: skip
    _, _, errors = interrupted(command, tmp_path / "run")
    assert errors.count("interrupted; ") == 1
    assert f"to go on: torchrun --nproc-per-node 2 -m pair_cace train {config} --resume" in errors
    assert "pair_cace/" not in errors  # torchrun itself may show where it was
