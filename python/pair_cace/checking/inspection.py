"""All that is to be said of a data set."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable
from dataclasses import dataclass

from ..data.reading import Frame
from .consistency import large_stress, probe_findings
from .duplicates import duplicate_findings, same_frames
from .energies import constant_energies, far_frames
from .finding import Finding
from .forces import force_findings
from .probe import PROBE_ATOMS, Probe, probe
from .record import record_of
from .structures import (
    boundary_findings,
    close_atoms,
    length_findings,
    neighbor_findings,
    neighbors_offered,
    structure_notes,
)
from .survey import Survey


@dataclass(frozen=True)
class Inspection:
    """Summaries of a data set, and what was found."""

    survey: Survey
    probe: Probe | None
    findings: list[Finding]  # warnings first

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "warning"]


def survey_of(frames: Iterable[tuple[str, Frame]], cutoff: float) -> Survey:
    """The survey of frames that come with the part that they belong to; ``cutoff`` in Å."""
    survey = Survey(cutoff)
    for part, frame in frames:
        record = record_of(frame, part, cutoff)
        notes = structure_notes(frame, record)
        survey.add(record, notes, neighbors_offered(frame, record, cutoff))
    return survey


def inspect(
    survey: Survey, probe_atoms: int = PROBE_ATOMS, with_duplicates: bool = True
) -> Inspection:
    """Everything that is odd about a data set.

    probe_atoms   whose forces are fitted by a simple potential
    """
    found = length_findings(survey)
    lengths_are_wrong = bool(found)
    probed = probe(survey.sample, probe_atoms)
    from_probe = probe_findings(probed)
    if lengths_are_wrong:  # which changes slopes and neighbours
        from_probe = [one for one in from_probe if one.code in ("force-sign", "energy-offset")]
    else:
        found += neighbor_findings(survey)
    found += from_probe
    codes = {finding.code for finding in found}
    if not codes & {"stress-unit", "length-unit"}:
        found += large_stress(survey.column("largest_stress"))
    found += constant_energies(survey)
    found += force_findings(survey)
    if not codes & {"energy-offset"}:
        residuals = {}
        if probed is not None:
            residuals = dict(zip((r.name for r in probed.records), probed.residuals.tolist()))
        found += far_frames(survey, residuals)
    found += [*close_atoms(survey), *boundary_findings(survey)]
    if with_duplicates:
        found += duplicate_findings(survey, same_frames(survey))
    found.sort(key=lambda finding: finding.severity != "warning")
    return Inspection(survey, probed, found)


def part_names(paths: Iterable[pathlib.Path]) -> list[str]:
    """Short names of files, longer where two have the same."""
    paths = list(paths)
    names = [path.name for path in paths]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths)]
