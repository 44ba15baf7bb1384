"""Structures outside of what a model was trained on: what the calculator says of them.

`pair_style cace` does the same in LAMMPS, see src/pair_cace/lammps/outside_training.h.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from ase.data import atomic_numbers, chemical_symbols

from .data.graph import Graph
from .data.local_density import local_densities
from .errors import CaceError
from .io.training_extent import TrainingExtent, factor_outside, pair_name, ranges_text

CHOICES = ("warn", "stop", "ignore")
# Distances differ by so little from those in training by chance, and by rounding.
MARGIN_OF_DISTANCE = 0.98
# How many times a density may be above those in training, or below.
MARGIN_OF_DENSITY, MARGIN_OF_MEAN_DENSITY = 1.1, 1.05


@dataclass
class Contacts:
    """Of one pair of elements, closer than in training."""

    count: int = 0  # pairs of atoms, of all calculations
    closest: float = float("inf")  # Å
    calculation: int = 0  # of the closest, from 1 on


class OutsideWatch:
    """Compares structure after structure with ``extent``, and warns once of every pair of elements."""

    def __init__(self, choice: str, extent: TrainingExtent | None, cutoff: float):
        if choice not in CHOICES:
            raise CaceError(
                f"CACECalculator: expected outside warn, stop or ignore, got '{choice}'"
            )
        if choice == "stop" and extent is None:
            raise CaceError(
                "CACECalculator: outside='stop' needs a model that says what it was trained on, and "
                "this one does not; train or fine-tune it with this version, or use outside='warn'"
            )
        self.choice, self.extent, self.cutoff = choice, extent, cutoff
        self.n_calculations = 0
        self.contacts: dict[str, Contacts] = {}
        self._told: set[str] = set()
        n = len(chemical_symbols)
        self._limits = torch.zeros((n, n), dtype=torch.float64)  # Å²
        for a, b in extent.pairs() if extent else ():
            distance = extent.closest_of(a, b)
            if distance is not None:
                limit = min(MARGIN_OF_DISTANCE * distance, cutoff) ** 2
                z = atomic_numbers[a], atomic_numbers[b]
                self._limits[z[0], z[1]] = self._limits[z[1], z[0]] = limit
        self._largest_limit = float(self._limits.max())

    def look(self, graph: Graph) -> None:
        """At one structure. Raises CaceError if it is outside, and we are to stop."""
        if self.choice == "ignore" or self.extent is None:
            return
        self.n_calculations += 1
        self._say(self._contacts_of(graph) | self._densities_of(graph))

    def _contacts_of(self, graph: Graph) -> dict[str, str]:
        squared = graph.vectors.square().sum(dim=1)
        near = torch.nonzero(squared < self._largest_limit).flatten()
        species = graph.species.cpu()
        a = species[graph.senders[near].cpu()]
        b = species[graph.receivers[near].cpu()]
        squared = squared[near].cpu()
        outside = (squared < self._limits[a, b]) & (a <= b)
        texts = {}
        for z in {(x, y) for x, y in zip(a[outside].tolist(), b[outside].tolist())}:
            chosen = squared[outside & (a == z[0]) & (b == z[1])]
            symbols = [chemical_symbols[one] for one in z]
            name, shortest = pair_name(*symbols), float(chosen.min().sqrt())
            seen = self.contacts.setdefault(name, Contacts())
            seen.count += len(chosen) // 2 if z[0] == z[1] else len(chosen)
            if shortest < seen.closest:
                seen.closest, seen.calculation = shortest, self.n_calculations
            closest = self.extent.closest_of(*symbols)
            training = (
                f"closest in training {closest:.2f} Å"
                if closest < float("inf")
                else f"no such pair within {self.cutoff:.2f} Å in training"
            )
            texts[name] = f"{name} at {shortest:.2f} Å, {training}"
        return texts

    def _densities_of(self, graph: Graph) -> dict[str, str]:
        densities = local_densities(graph, self.cutoff).cpu()
        species = graph.species.cpu()
        texts = {}
        for z in species.unique().tolist():
            symbol = chemical_symbols[z]
            of_element = densities[species == z]
            ranges = self.extent.densities.get(symbol, ())
            ends = (float(of_element.min()), float(of_element.max()))
            if len(ranges) > 1:  # there may be atoms between them
                ends = of_element.tolist()
            farthest = max(ends, key=lambda density: factor_outside(density, ranges))
            mean, of_means = float(of_element.mean()), self.extent.mean_densities.get(symbol, ())
            for name, density, known, margin in (
                ("density", farthest, ranges, MARGIN_OF_DENSITY),
                ("mean density", mean, of_means, MARGIN_OF_MEAN_DENSITY),
            ):
                if factor_outside(density, known) > margin:
                    texts[f"{name} {symbol}"] = (
                        f"{name} around {symbol} {density:.4f} atoms/Å³, in training "
                        f"{ranges_text(known)}"
                    )
        return texts

    def _say(self, texts: dict[str, str]) -> None:
        if self.choice == "stop" and texts:
            raise CaceError(
                f"{'; '.join(texts.values())}, calculation {self.n_calculations}; the model was not "
                "trained for this. Add such structures to the training data, or go on with "
                "outside='warn'"
            )
        for name in texts.keys() - self._told:
            self._told.add(name)
            warnings.warn(f"{texts[name]}, calculation {self.n_calculations}", stacklevel=2)
