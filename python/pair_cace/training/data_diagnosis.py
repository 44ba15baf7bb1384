"""At the end of a run, what the trained model says of the labels that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator

from ..checking.diagnosis import WRONG_ENERGIES, diagnose, offsets, slopes
from .outcome import Outcome

UNSEEN = ("valid", "test")


def slope_lines(outcome: Outcome) -> Iterator[str]:
    """Slopes of reference against prediction, of the parts that were not trained on."""
    for name in UNSEEN:
        if name in outcome.found and (words := str(slopes(outcome.found[name]))):
            yield f"{name}: {words}"


def label_warnings(outcome: Outcome) -> Iterator[str]:
    """What is probably wrong with the labels; one warning of every kind.

    Labels that were trained on may have been learned as they are, and say nothing; but for an offset
    between two groups of them, which needs many frames to be seen.
    """
    said = set()
    names = {
        part: [outcome.frame_name(part, k) for k in range(evaluation.n_frames)]
        for part, evaluation in outcome.found.items()
    }
    for part in UNSEEN:
        for finding in diagnose(outcome.found[part], names[part]) if part in names else ():
            if finding.code not in said:
                said.add(finding.code)
                yield str(finding)
    if not said & {"energy-offset", *WRONG_ENERGIES}:
        yield from map(str, offsets(list(outcome.found.values()), sum(names.values(), [])))
