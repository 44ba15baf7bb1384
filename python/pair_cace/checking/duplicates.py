"""The same structure more than once, within a file or in two."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from .finding import Finding, counted, listed
from .survey import Survey

RELATIVE = 3e-6  # of fingerprints; those of structures as files with 8 digits keep them differ less
SAME_ENERGY = 1e-4  # eV/atom; of frames that are the same, from other runs of the same calculation
OTHER_ENERGY = 5e-3  # eV/atom; more than what atoms beyond the cutoff bring


def same_frames(survey: Survey) -> list[tuple[int, int]]:
    """Pairs of a frame and an earlier one with the same structure, up to motion and order of atoms."""
    prints = survey.column("fingerprints").reshape(len(survey), -1)
    bonded = survey.column("neighbors") > 0
    pairs = []
    for group in survey.groups.values():
        group = group[bonded[group]]
        values = prints[group]
        order = np.argsort(values[:, 0], kind="stable")
        values, group = values[order], group[order]
        scale = np.abs(values)
        candidates = np.arange(len(group) - 1)
        ahead = 1
        while len(candidates):  # those whose first sum still agrees with that of ``ahead`` later
            later = candidates + ahead
            apart = np.abs(values[candidates] - values[later]) > RELATIVE * scale[candidates]
            for a, b in zip(candidates[~apart.any(axis=1)], later[~apart.any(axis=1)]):
                pairs.append(tuple(sorted((int(group[a]), int(group[b])))))
            ahead += 1
            candidates = candidates[~apart[:, 0]]
            candidates = candidates[candidates + ahead < len(group)]
    earliest: dict[int, int] = {}
    for first, second in sorted(pairs):
        earliest.setdefault(second, earliest.get(first, first))
    return sorted((first, second) for second, first in earliest.items())


def duplicate_findings(survey: Survey, pairs: list[tuple[int, int]]) -> list[Finding]:
    """Warnings of frames in two parts, and of frames that are in one part more than once."""
    across, within = defaultdict(list), defaultdict(list)
    energies, n_atoms = survey.column("energies"), survey.column("n_atoms")
    for first, second in pairs:
        if abs(energies[first] - energies[second]) > SAME_ENERGY * n_atoms[first]:
            continue  # alike up to the cutoff, but not beyond it
        parts = survey.parts[first], survey.parts[second]
        (within if parts[0] == parts[1] else across)[parts].append((first, second))
    found = []
    for (first, second), shared in across.items():
        names = [survey.names[k] for _, k in shared]
        size = survey.parts.count(second)
        found.append(shared_frames(first, second, size, names, survey.names[shared[0][0]]))
    for (part, _), same in within.items():
        names = [survey.names[k] for _, k in same]
        example = f"{survey.names[same[0][1]]} is {survey.names[same[0][0]]}"
        text = (
            f"{len(same)} of the {survey.parts.count(part)} frames of {part} are there before "
            f"({example}), up to motion and order of atoms; they count twice, and a random split "
            "puts one into training and the other into validation"
        )
        found.append(Finding("duplicates", "note", text, tuple(names)))
    return [*found, *_other_labels(survey, pairs)]


def shared_frames(
    first: str, second: str, size: int, names: list[str], name_of_first: str
) -> Finding:
    """The warning that frames ``names`` of part ``second``, which has ``size``, are in ``first``, too.

    name_of_first   of the frame that the first of ``names`` is the same as
    """
    text = (
        f"{len(names)} of the {size} frames of {second} are in {first}, too ({names[0]} is "
        f"{name_of_first}); errors on frames that a model was trained on say nothing of others: take them "
        "out of one of the two"
    )
    return Finding("shared-frames", "warning", text, tuple(names))


def _other_labels(survey: Survey, pairs: list[tuple[int, int]]) -> list[Finding]:
    """The same structure with two energies."""
    if not pairs:
        return []
    energies, n_atoms = survey.column("energies"), survey.column("n_atoms")
    first, second = np.array(pairs).T
    differ = np.abs(energies[first] - energies[second])
    spread = _spread(survey)
    odd = np.flatnonzero(differ > np.maximum(OTHER_ENERGY, 0.1 * spread) * n_atoms[first])
    if len(odd) == 0:
        return []
    worst = odd[np.argmax(differ[odd])]
    names = [survey.names[k] for k in second[odd]]
    text = (
        f"{counted(len(odd))} ({listed(names)}) with the structure of another frame and another energy, "
        f"by up to {differ[worst]:.3g} eV ({survey.names[second[worst]]} and "
        f"{survey.names[first[worst]]}); two kinds of calculations, or two electronic states: keep one"
    )
    return [Finding("contradicting-energies", "warning", text, tuple(names))]


def _spread(survey: Survey) -> float:
    """Of the energies per atom within compositions, eV/atom."""
    energies = survey.column("energies") / survey.column("n_atoms")
    left = [energies[g] - np.nanmedian(energies[g]) for g in survey.groups.values() if len(g) > 3]
    return float(np.nanmedian(np.abs(np.concatenate(left)))) if left else 0.0
