"""At the end of a run, what the trained model says of the labels that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..checking.diagnosis import diagnose, slopes
from ..evaluation import Evaluation
from .data import Part


def diagnosis_lines(found: Mapping[str, Evaluation], data: Mapping[str, Part]) -> Iterator[str]:
    """Slopes of every part that was evaluated, and one warning of every kind.

    found   evaluations of the best model by the name of the part, frames in the order of ``data``
    """
    said = set()
    for name, evaluation in found.items():
        if words := str(slopes(evaluation)):
            yield f"{name}: {words}"
    for name, evaluation in found.items():
        part = data[name]
        for finding in diagnose(evaluation, [part.name_of(k) for k in part.structures]):
            if finding.code not in said:
                said.add(finding.code)
                yield str(finding)
