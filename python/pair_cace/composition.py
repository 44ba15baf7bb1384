"""What frames consist of, and what is left of their energies without that of their elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from ase.data import chemical_symbols
from ase.formula import Formula

from .evaluation import Evaluation, Pairs


def compositions(evaluation: Evaluation) -> list[str]:
    """Formula of every frame in smallest numbers, as "H2O" of any number of water molecules."""
    return _of_frames(
        evaluation, lambda counts: Formula.from_dict(counts).reduce()[0].format("hill")
    )


def systems(evaluation: Evaluation) -> list[str]:
    """Elements of every frame, as "Mo-Nb"."""
    return _of_frames(evaluation, lambda counts: "-".join(sorted(counts)))


def energies_after_E0(evaluation: Evaluation, E0: Mapping[str, float]) -> Pairs:
    """Energies per atom without ``E0`` (eV by element) of their atoms, as ``energy_per_atom``.

    Elements that are not in ``E0`` have 0.
    """
    elements, counts = atom_counts(evaluation)
    E0_of_elements = [E0.get(chemical_symbols[z], 0.0) for z in elements]
    mean_E0 = counts @ E0_of_elements / evaluation.atoms_of_frames
    pairs, known = evaluation.energy_per_atom, np.isfinite(evaluation.labels["energies"])
    return Pairs(pairs.reference - mean_E0[known], pairs.predicted - mean_E0[known])


def atom_counts(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers that occur (E,), and how many atoms of each there are in every frame (S, E)."""
    elements, index = np.unique(evaluation.species, return_inverse=True)
    frames = np.repeat(np.arange(evaluation.n_frames), evaluation.atoms_of_frames)
    counts = np.zeros((evaluation.n_frames, len(elements)), dtype=int)
    np.add.at(counts, (frames, index), 1)
    return elements, counts


def _of_frames(evaluation: Evaluation, say: Callable[[dict[str, int]], str]) -> list[str]:
    elements, counts = atom_counts(evaluation)
    kinds, of_frames = np.unique(counts, axis=0, return_inverse=True)
    symbols = [chemical_symbols[z] for z in elements]
    names = [say({s: n for s, n in zip(symbols, kind) if n}) for kind in kinds.tolist()]
    return [names[k] for k in of_frames.ravel()]
