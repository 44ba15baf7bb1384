"""TensorBoard, if it is installed: the numbers of metrics.csv as curves, in the run folder."""

from __future__ import annotations

import pathlib
from typing import Any

from .watcher import Watcher


def with_tensorboard(watcher: Watcher, folder: pathlib.Path, first_epoch: int) -> Watcher:
    """``watcher``, and TensorBoard beside it if there is one.

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
