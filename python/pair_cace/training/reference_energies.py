"""E0, the energy that every element brings along, so that the model learns what is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers

from ..data.graph import Graph
from ..data.reading import Frame
from ..errors import CaceError
from .dataset import GraphStore


def fitted(
    store: GraphStore,
    structures: np.ndarray,
    elements: Sequence[str],
    already: np.ndarray | None = None,
) -> dict[str, float]:
    """Least squares of the energies per atom in the shares of the elements, eV.

    already   (S,) energies that are explained by something else, eV; then the result is a change
    Where compositions do not tell elements apart (pure water), the solution of least norm: any
    other one gives the same energies.
    """
    energies = np.array([store.energy_of(k) for k in structures])
    if already is not None:
        energies = energies - already
    known = np.isfinite(energies)
    numbers = [atomic_numbers[symbol] for symbol in elements]
    counts = np.array([[(store.species_of(k) == z).sum() for z in numbers] for k in structures])
    n_atoms = counts.sum(axis=1)
    shares = counts[known] / n_atoms[known, None]
    solution, *_ = np.linalg.lstsq(shares, energies[known] / n_atoms[known], rcond=1e-8)
    return dict(zip(elements, solution.tolist()))


def isolated(
    frames: Sequence[Frame], cutoff: float, store: GraphStore, elements: Sequence[str]
) -> dict[str, float]:
    """Energies of atoms without neighbours up to ``cutoff``, in ``frames`` and in ``store``, eV.

    Raises CaceError if an element has none, or two that differ.
    """
    atoms = [
        (frame.atoms.numbers[0], frame.energy)
        for frame in frames
        if len(frame.atoms) == 1 and Graph.of(frame.atoms, cutoff).vectors.shape[0] == 0
    ] + [(store.species_of(k)[0], store.energy_of(k)) for k in store.isolated_atoms()]
    found: dict[int, float] = {}
    for z, energy in atoms:
        if not np.isfinite(energy):  # no label
            continue
        if abs(found.setdefault(int(z), energy) - energy) > 1e-6:
            raise CaceError(
                f"data.E0: two isolated atoms of atomic number {z} have different energies, "
                f"{found[int(z)]} and {energy} eV; keep one"
            )
    missing = [symbol for symbol in elements if atomic_numbers[symbol] not in found]
    if missing:
        raise CaceError(
            f"data.E0: expected an isolated atom of every element, found none of "
            f"{' '.join(missing)}; give a file with data.isolated_atoms, or use 'fit'"
        )
    return {symbol: found[atomic_numbers[symbol]] for symbol in elements}
