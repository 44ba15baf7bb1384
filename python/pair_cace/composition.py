"""What frames consist of, and what is left of their energies without that of their elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.formula import Formula

from .evaluation import Evaluation, Pairs


def compositions(evaluation: Evaluation) -> list[str]:
    """Formula of every frame in smallest numbers, as "H2O" of any number of water molecules."""
    return _of_frames(evaluation, _smallest_formula)


def systems(evaluation: Evaluation) -> list[str]:
    """Elements of every frame, as "Mo-Nb"."""
    return _of_frames(evaluation, lambda counts: "-".join(sorted(counts)))


def energies_after_E0(evaluation: Evaluation, E0: Mapping[str, float]) -> Pairs:
    """Energies per atom without ``E0`` (eV by element) of their atoms, as ``energy_per_atom``.

    Elements that are not in ``E0`` have 0.
    """
    by_number = np.zeros(len(chemical_symbols))
    for symbol, energy in E0.items():
        by_number[atomic_numbers[symbol]] = energy
    n_atoms = evaluation.atoms_of_frames
    first = np.cumsum(n_atoms) - n_atoms
    mean_E0 = np.add.reduceat(by_number[evaluation.species], first) / n_atoms
    pairs, known = evaluation.energy_per_atom, np.isfinite(evaluation.labels["energies"])
    return Pairs(pairs.reference - mean_E0[known], pairs.predicted - mean_E0[known])


def _smallest_formula(counts: dict[str, int]) -> str:
    return Formula.from_dict(counts).reduce()[0].format("hill")


def _of_frames(evaluation: Evaluation, say: Callable[[dict[str, int]], str]) -> list[str]:
    found: dict[bytes, str] = {}
    ends = np.cumsum(evaluation.atoms_of_frames)[:-1]
    names = []
    for species in np.split(evaluation.species, ends):
        counts = np.bincount(species)
        key = counts.tobytes()
        if key not in found:
            found[key] = say({chemical_symbols[z]: int(counts[z]) for z in np.flatnonzero(counts)})
        names.append(found[key])
    return names
