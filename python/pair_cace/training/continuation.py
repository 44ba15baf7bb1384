"""A run that goes on with more epochs than it began with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import CaceError
from .config import PhaseSection


def continued(
    state: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    old: Sequence[PhaseSection],
    new: Sequence[PhaseSection],
) -> dict[str, Any]:
    """The ``state`` of a run with the phases ``old`` as one from which the phases ``new`` go on.

    rows   of metrics.csv, one per epoch
    Learning rates follow the schedule of the new phase from where it is; if that has no epochs left,
    the next phase begins. Raises CaceError if what has been trained already was trained otherwise.
    """
    finished = state["phase"] == len(old)
    current = len(old) - 1 if finished else state["phase"]
    done = state["epoch_in_phase"]
    if finished:
        done = sum(int(row["phase"]) == current + 1 for row in rows)
    if (
        len(new) <= current
        or tuple(new[:current]) != tuple(old[:current])
        or new[current].model_copy(update={"epochs": old[current].epochs}) != old[current]
        or new[current].epochs < done
    ):
        raise CaceError(
            f"--resume: training.phases differ in what has been trained already ({state['epoch']} epochs, "
            f"{done} of them in phase {current + 1}); a run can go on with more epochs in that phase, or "
            "with more phases behind it. For anything else start a new run in another folder"
        )
    longer = new[current].epochs > old[current].epochs
    if not finished and new[current].epochs == old[current].epochs:
        return state
    if (finished and not longer) or done == new[current].epochs:
        return state | {"phase": current + 1, "epoch_in_phase": 0, "scheduler": None}
    return state | {
        "phase": current, "epoch_in_phase": done, "scheduler": None,
        "best_in_phase": float("inf"), "stale_epochs": 0,
    }  # fmt: skip
