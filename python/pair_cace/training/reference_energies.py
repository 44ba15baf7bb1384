"""E0, the energy that every element brings along, so that the model learns what is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers

from ..data.graph import Graph
from ..data.reading import Frame
from ..errors import CaceError
from .dataset import GraphStore
from .typical_energies import typical

UNDETERMINED = 1e-3  # singular values below this, relative to the largest, say nothing


class Fit(NamedTuple):
    """E0 by least squares."""

    energies: dict[str, float]  # eV by element
    undetermined: list[str]  # elements that the data do not tell apart


def fitted(
    store: GraphStore,
    structures: np.ndarray,
    elements: Sequence[str],
    already: np.ndarray | None = None,
) -> Fit:
    """Least squares of the energies per atom in the shares of the elements.

    already   (S,) energies that are explained by something else, eV; then the result is a change
    Where compositions do not tell elements apart (pure water), the solution that is nearest to what
    free atoms typically have, or to no change; any other one gives the same energies.
    """
    energies = store.energies(structures)
    if already is not None:
        energies = energies - already
    known = np.isfinite(energies)
    numbers = [atomic_numbers[symbol] for symbol in elements]
    counts = np.array([[(store.species_of(k) == z).sum() for z in numbers] for k in structures])
    n_atoms = counts.sum(axis=1)
    shares = counts[known] / n_atoms[known, None]
    per_atom = energies[known] / n_atoms[known]
    start = np.zeros(len(numbers))
    if already is None and known.any():
        start = typical(numbers, shares, per_atom)
    left, singular_values, directions = np.linalg.svd(shares, full_matrices=True)
    told = np.zeros(len(numbers), dtype=bool)
    told[: len(singular_values)] = singular_values > UNDETERMINED * singular_values.max(initial=0.0)
    n_told = int(told.sum())
    found = left[:, :n_told].T @ (per_atom - shares @ start) / singular_values[:n_told]
    solution = start + directions[:n_told].T @ found
    open_to = np.abs(directions[n_told:]).max(axis=0, initial=0.0) > 1e-6
    return Fit(
        dict(zip(elements, solution.tolist())),
        [symbol for symbol, is_open in zip(elements, open_to) if is_open],
    )


def isolated(
    frames: Sequence[Frame], cutoff: float, store: GraphStore, elements: Sequence[str]
) -> dict[str, float]:
    """Energies of atoms without neighbours up to ``cutoff``, in ``frames`` and in ``store``, eV.

    Raises CaceError if an element has none, or two that differ.
    """
    single = [
        (int(f.atoms.numbers[0]), f.energy, Graph.of(f.atoms, cutoff).vectors.shape[0])
        for f in frames
        if len(f.atoms) == 1
    ] + [
        (int(store.species_of(k)[0]), float(store.energies(k)), int(store.n_edges[k]))
        for k in np.flatnonzero(store.n_atoms == 1)
    ]
    found: dict[int, float] = {}
    for z, energy, n_neighbors in single:
        if n_neighbors > 0 or energy is None or not np.isfinite(energy):  # no label
            continue
        if abs(found.setdefault(z, energy) - energy) > 1e-6:
            raise CaceError(
                f"data.E0: two isolated atoms of atomic number {z} have different energies, "
                f"{found[z]} and {energy} eV; keep one"
            )
    missing = [symbol for symbol in elements if atomic_numbers[symbol] not in found]
    if missing:
        crowded = [s for s in missing if atomic_numbers[s] in {z for z, _, n in single if n > 0}]
        raise CaceError(
            f"data.E0: expected an isolated atom of every element, found none of "
            f"{' '.join(missing)}; give a file with data.isolated_atoms, or use 'fit'"
            + (
                f". Single atoms of {' '.join(crowded)} are there, but see their own periodic images "
                f"within the cutoff, {cutoff:g} Å: make their cells larger, or take pbc off"
                if crowded
                else ""
            )
        )
    return {symbol: found[atomic_numbers[symbol]] for symbol in elements}
