"""Who is told how a run goes."""

from __future__ import annotations

from typing import Any


class Watcher:
    """Hears of the course of a run; this one keeps silent."""

    def say(self, text: str) -> None:
        """Something a user wants to know, once."""

    def step(self, epoch: int, done: int, total: int) -> None:
        """``done`` of ``total`` batches of an epoch are through."""

    def epoch(self, row: dict[str, Any], seconds_left: float) -> None:
        """An epoch is through; ``row`` is its line of metrics.csv.

        seconds_left   of the run, if all epochs to come take as long as those before on average
        """

    def close(self) -> None:
        """The run is over."""
