"""At the end of a run, what the trained model says of the labels that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator

from ..checking.diagnosis import diagnose, slopes
from .outcome import Outcome


def slope_lines(outcome: Outcome) -> Iterator[str]:
    """Slopes of reference against prediction, of every part."""
    for name, evaluation in outcome.found.items():
        if words := str(slopes(evaluation)):
            yield f"{name}: {words}"


def label_warnings(outcome: Outcome) -> Iterator[str]:
    """What is probably wrong with the labels; one warning of every kind.

    Of frames that were not trained on first: the others may have been learned as they are.
    """
    said = set()
    for name in ("valid", "test", "train"):
        if name not in outcome.found:
            continue
        evaluation = outcome.found[name]
        names = [outcome.frame_name(name, k) for k in range(evaluation.n_frames)]
        for finding in diagnose(evaluation, names):
            if finding.code not in said:
                said.add(finding.code)
                yield str(finding)
