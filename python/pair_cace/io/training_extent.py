"""What a model was trained on: how close atoms came, and how densely they stood.

Kept in checkpoints and exported models. The pair style reads it as text, see src/pair_cace/exported/training_extent.h.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict

Ranges = tuple[tuple[float, float], ...]

# Neighbouring densities belong to one range if they differ by a smaller factor.
GAP = 1.2


class TrainingExtent(BaseModel):
    """Distances in Å, densities in atoms/Å³ as in ``data.local_density``.

    Pairs of ``elements`` without a closest distance have none within the cutoff, if the extent is whole. Of other
    elements nothing is known.
    """

    model_config = ConfigDict(frozen=True)

    cutoff: float  # Å, of the edges that were looked at
    n_structures: int
    n_atoms: int
    elements: tuple[str, ...]  # that occur, by atomic number
    closest: dict[str, float]  # by pair, "H-O", in order of atomic numbers
    densities: dict[str, Ranges]  # by element, around single atoms, ascending
    mean_densities: dict[str, Ranges]  # by element, means over its atoms in a structure
    cell_densities: Ranges = ()  # atoms per volume of structures with a cell
    is_whole: bool = True  # no: the model was trained before on data that are not known

    def closest_of(self, a: str, b: str) -> float | None:
        """In Å, infinity if there was no such pair within the cutoff; None if that is not known."""
        if a not in self.elements or b not in self.elements:
            return None
        return self.closest.get(pair_name(a, b), float("inf") if self.is_whole else None)

    def pairs(self) -> Iterable[tuple[str, str]]:
        """All pairs of elements that something is known of."""
        return itertools.combinations_with_replacement(self.elements, 2)

    def joined(self, other: "TrainingExtent") -> "TrainingExtent":
        """Of a model that was trained on the data of both."""

        def ranges(name: str) -> dict[str, Ranges]:
            ours, theirs = getattr(self, name), getattr(other, name)
            symbols = sorted(ours.keys() | theirs.keys(), key=atomic_numbers.get)
            return {s: merged_ranges(ours.get(s, ()) + theirs.get(s, ())) for s in symbols}

        closest = dict(self.closest)
        for pair, distance in other.closest.items():
            closest[pair] = min(distance, closest.get(pair, distance))
        return TrainingExtent(
            cutoff=min(self.cutoff, other.cutoff),
            n_structures=self.n_structures + other.n_structures,
            n_atoms=self.n_atoms + other.n_atoms,
            elements=sorted({*self.elements, *other.elements}, key=atomic_numbers.get),
            closest=closest,
            densities=ranges("densities"),
            mean_densities=ranges("mean_densities"),
            cell_densities=merged_ranges(self.cell_densities + other.cell_densities),
            is_whole=self.is_whole and other.is_whole,
        )

    def text(self) -> str:
        """Lines that the pair style reads."""
        lines = []
        for a, b in self.pairs():
            distance = self.closest_of(a, b)
            if distance is not None:
                known = repr(distance) if distance < np.inf else "none"
                lines.append(f"closest {a} {b} {known}")
        for word, densities in (("density", self.densities), ("mean_density", self.mean_densities)):
            for symbol, ranges in densities.items():
                ends = " ".join(repr(end) for one in ranges for end in one)
                lines.append(f"{word} {symbol} {ends}")
        return "\n".join(lines) + "\n"


def pair_name(a: str, b: str) -> str:
    """``H-O`` for O and H: in order of atomic numbers."""
    return "-".join(sorted((a, b), key=atomic_numbers.get))


def merged_ranges(ranges: Iterable[tuple[float, float]]) -> Ranges:
    """Ascending ranges of positive numbers, those that are closer than the factor ``GAP`` as one."""
    found = np.array(sorted(ranges), dtype=float).reshape(-1, 2)
    if not len(found):
        return ()
    highest = np.maximum.accumulate(found[:, 1])
    first = np.concatenate([[0], 1 + np.flatnonzero(found[1:, 0] > GAP * highest[:-1])])
    last = np.concatenate([first[1:] - 1, [len(found) - 1]])
    return tuple(zip(found[first, 0].tolist(), highest[last].tolist()))


def ranges_of(values: np.ndarray) -> Ranges:
    """As ``merged_ranges``, of single numbers."""
    return merged_ranges(np.stack([values, values], axis=1).tolist()) if len(values) else ()


def factor_outside(density: float, ranges: Ranges) -> float:
    """How many times ``density`` is above or below the nearest range; 1 within, or without any."""
    return min((max(low / density, density / high, 1.0) for low, high in ranges), default=1.0)


def ranges_text(ranges: Ranges) -> str:
    """For people: ``0.0383 to 0.0695``."""
    return ", ".join(
        f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}" for low, high in ranges
    )
