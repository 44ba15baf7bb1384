"""At the start of a run, what its data are, and what is odd about them; in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..checking.duplicates import shared_frames
from ..checking.finding import Finding
from ..checking.forces import force_findings
from ..checking.inspection import inspect
from ..checking.record import Record
from ..checking.survey import Survey
from ..checking.words import short_lines
from .data import Part

MOST_STRUCTURES = 1000  # that are looked at in full; of all others, labels alone
MOST_EDGES = 10_000_000
PROBE_ATOMS = 4000


def data_lines(parts: Mapping[str, Part], cutoff: float) -> Iterator[str]:
    """Lines for people: a summary of the training data, and warnings of all parts.

    Names of labels and files are those of the run; ``cutoff`` in Å.
    """
    survey = Survey(cutoff)
    train = parts["train"]
    chosen = _chosen(train)
    for structure in chosen:
        record = _record(train, "train", structure)
        n_others = len(record.numbers) - 1
        # Whether a structure has more atoms to see is not in the store; a molecule has not.
        seen = len(record.senders) / len(record.numbers)
        survey.add(record, offered=n_others if 0.75 * n_others <= seen <= n_others else np.nan)
    if len(survey) == 0:
        return
    inspection = inspect(survey, PROBE_ATOMS, with_duplicates=False)
    if len(chosen) < len(train.structures):
        yield f"of the training structures, {len(chosen)} are described:"
    yield from short_lines(inspection)
    findings = inspection.warnings
    if len(chosen) < len(train.structures):
        findings = [one for one in findings if one.code != "large-force"]
        findings += _large_forces(train, cutoff)
    for finding in [*findings, *_shared(parts)]:
        yield str(finding)


def _chosen(part: Part) -> np.ndarray:
    """Structures, evenly from all of the part, as many as can be looked at in seconds."""
    structures = part.structures
    edges = int(part.store.n_edges[structures].sum())
    most = min(MOST_STRUCTURES, max(1, int(len(structures) * MOST_EDGES / max(edges, 1))))
    if len(structures) <= most:
        return structures
    return structures[np.linspace(0, len(structures) - 1, most).astype(int)]


def _record(part: Part, name: str, structure: int) -> Record:
    graph, labels = part.store.batch([int(structure)])
    return Record(
        name=part.name_of(structure),
        part=name,
        numbers=graph.species.numpy(),
        senders=graph.senders.numpy(),
        receivers=graph.receivers.numpy(),
        vectors=graph.vectors.numpy(),
        volume=float(graph.volumes[0]),
        energy=float(labels.energies[0]),
        forces=labels.forces.numpy(),
        stress=labels.stresses[0].numpy(),
        config_type=part.store.config_types[structure],
    )


def _large_forces(part: Part, cutoff: float) -> list[Finding]:
    """Of all structures, with nothing but their forces and, of the worst, their distances."""
    largest = np.array([np.abs(part.store.forces_of(k)).max(initial=0.0) for k in part.structures])
    worst = part.structures[np.argsort(-np.nan_to_num(largest))[:50]]
    survey = Survey(cutoff)
    usual = part.structures[:: max(1, len(part.structures) // 500)]
    for structure in np.union1d(usual, worst):
        survey.add(_record(part, "train", structure))
    return [one for one in force_findings(survey) if one.code == "large-force"]


def _shared(parts: Mapping[str, Part]) -> list[Finding]:
    """Structures of two parts with the same elements, energy and forces."""
    keys: dict[tuple, tuple[str, int]] = {}
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for name, part in parts.items():
        mine = {}
        for k, energy in zip(part.structures, part.store.energies(part.structures)):
            species = part.store.species_of(k)
            if len(species) < 2:
                continue
            # Norms do not change with rotation, nor sums with the order of atoms.
            squares = float((part.store.forces_of(k) ** 2).sum())
            if not np.isfinite(energy) and not np.isfinite(squares):
                continue
            key = (np.sort(species).tobytes(), f"{energy:.6f}", f"{squares:.5g}")
            if key in keys:
                other, first = keys[key]
                found.setdefault((other, name), []).append((first, int(k)))
            else:
                mine[key] = (name, int(k))
        keys |= mine
    return [
        shared_frames(
            first, second, len(parts[second].structures),
            [parts[second].name_of(b) for _, b in pairs], parts[first].name_of(pairs[0][0]),
        )
        for (first, second), pairs in found.items()
    ]  # fmt: skip
