"""Runs that are interrupted: by Ctrl-C, or by the batch system whose time for them is over."""

from __future__ import annotations

import os
import pathlib
import signal
from collections.abc import Sequence

from ..files import typed
from .run_folder import RunFolder


class Interruption:
    """Within a ``with`` block, SIGINT and SIGTERM raise KeyboardInterrupt, and ``happened`` says so."""

    def __init__(self):
        self.happened = False

    def __enter__(self) -> "Interruption":
        kinds = (signal.SIGINT, signal.SIGTERM)
        self._before = {kind: signal.signal(kind, self._interrupt) for kind in kinds}
        return self

    def __exit__(self, *_) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)

    def _interrupt(self, *_) -> None:
        if not self.happened:  # a second one must not cut off what is said of the first
            self.happened = True
            raise KeyboardInterrupt


def what_was_kept(folder: RunFolder, config: pathlib.Path, overrides: Sequence[str]) -> str:
    """What an interrupted run leaves behind, and the command that goes on with it."""
    if not folder.state.exists():
        return f"interrupted before the first epoch had ended; nothing was kept in {folder.path}"
    start = "cace train"
    if (count := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        start = f"torchrun --nproc-per-node {count} -m pair_cace train"
    words = " ".join(typed(word) for word in (str(config), *overrides))
    return (
        f"interrupted; {len(folder.rows())} finished epoch(s) are kept in {folder.path}, the best model "
        f"so far is {folder.best}\nto go on: {start} {words} --resume"
    )
