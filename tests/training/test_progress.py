"""What is said while something takes long."""

import time

import click
import pytest
from pair_cace.cli.train import _Printer
from pair_cace.training.config import load_config
from pair_cace.training.run import train
from pair_cace.training.watcher import Watcher
from training_helpers import cace_train


def test_without_a_terminal_a_line_a_minute(monkeypatch):
    now, said = [1000.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(click, "echo", said.append)
    printer = _Printer()
    assert printer.bar is None
    for done in range(1, 11):
        printer.step(4, done, 10)
        now[0] += 25.0
    # 75 s after the start, and 75 s after that, with 25 s for each of the rest.
    assert said == ["epoch 5: 4 of 10 steps, 2 min left", "epoch 5: 7 of 10 steps, 75 s left"]
    printer.say("least squares")
    said.clear()
    for done in range(1, 4):  # soon done
        printer.progress("equations of the readout", done, 3)
        now[0] += 1.0
    assert said == []


@pytest.mark.slow
def test_a_run_says_how_many_processes_share_the_work(config_file, tmp_path):
    config = config_file(training={"phases": [{"epochs": 1}]})
    run = cace_train(config, processes=2)
    assert "2 processes share the work with 1 thread(s) each" in run.stdout
    said = []
    watcher = Watcher()
    watcher.say = said.append
    train(load_config(config_file(folder=str(tmp_path / "one"), training={"phases": [{"epochs": 1}]})),
          watcher=watcher)  # fmt: skip
    assert said[0].startswith("one process does the work with ")
