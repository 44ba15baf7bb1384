"""Who is told how a run goes: nobody, a log, or TensorBoard, if it is installed."""

from __future__ import annotations

import datetime
import pathlib
from typing import Any


class Watcher:
    """Hears of the course of a run; this one keeps silent."""

    def say(self, text: str) -> None:
        """Something a user wants to know, once."""

    def step(self, epoch: int, done: int, total: int) -> None:
        """``done`` of ``total`` batches of an epoch are through."""

    def progress(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` steps of something else that takes a while."""

    def epoch(self, row: dict[str, Any], seconds_left: float) -> None:
        """An epoch is through; ``row`` is its line of metrics.csv.

        seconds_left   of the run, if all epochs to come take as long as those before on average
        """

    def close(self) -> None:
        """The run is over."""


def duration(seconds: float) -> str:
    """A time for people: '42 s', '12 min', '3.2 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class WithLog(Watcher):
    """Another watcher, and whatever it is told to say also at the end of the file ``path``."""

    def __init__(self, other: Watcher, path: pathlib.Path):
        self.other, self.path = other, path
        self.step, self.progress = other.step, other.progress
        self.epoch, self.close = other.epoch, other.close

    def say(self, text: str) -> None:
        with open(self.path, "a") as file:
            file.write(f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")
        self.other.say(text)


def with_tensorboard(watcher: Watcher, folder: pathlib.Path, first_epoch: int) -> Watcher:
    """``watcher``, and beside it the numbers of metrics.csv as curves, if there is a TensorBoard.

    folder        of the run
    first_epoch   curves in the folder from this epoch on are of a run that was interrupted
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return watcher
    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first_epoch + 1)
    return _WithTensorBoard(watcher, writer)


class _WithTensorBoard(Watcher):
    def __init__(self, other: Watcher, writer: Any):
        self.other, self.writer = other, writer
        self.say, self.step, self.progress = other.say, other.step, other.progress

    def epoch(self, row: dict[str, Any], seconds_left: float) -> None:
        for key, value in row.items():
            if key not in ("epoch", "seconds") and value == value:
                name = key.split(" ")[0].replace("train_", "train/").replace("valid_", "valid/")
                name = name.replace("replay_", "replay/")
                self.writer.add_scalar(name, value, row["epoch"] + 1)
        self.writer.flush()
        self.other.epoch(row, seconds_left)

    def close(self) -> None:
        self.writer.close()
        self.other.close()
