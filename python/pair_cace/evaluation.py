"""How far a model is from reference data: root-mean-square and mean absolute errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import nn

from .data.graph import Graph, packed
from .data.labels import Labels
from .data.reading import Frame
from .nn.derivatives import predict
from .quantities import ENERGY, OF_ENERGY, Quantity


@dataclass(frozen=True)
class Pairs:
    """Reference and predicted values of one quantity, flat arrays of equal length."""

    reference: np.ndarray
    predicted: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        return self.predicted - self.reference

    @property
    def rmse(self) -> float:
        return float(np.sqrt(np.mean(self.errors**2)))

    @property
    def mae(self) -> float:
        return float(np.mean(np.abs(self.errors)))

    @property
    def shift(self) -> float:
        """The constant that would make the mean error vanish if it were taken off predictions."""
        return float(np.mean(self.errors))

    @property
    def shifted(self) -> "Pairs":
        return Pairs(self.reference, self.predicted - self.shift)


@dataclass(frozen=True)
class Evaluation:
    """Labels and predictions of S frames with N atoms in all, and how far they are apart.

    Labels are NaN where there are none; quantities without any are None. Both are by the columns of
    ``quantities``: energies (S,) eV, forces (N, 3) eV/Å, stresses (S, 3, 3) eV/Å³, outputs (N,).
    """

    atoms_of_frames: np.ndarray  # (S,) how many
    species: np.ndarray  # (N,)
    labels: dict[str, np.ndarray]
    predicted: dict[str, np.ndarray]
    quantities: tuple[Quantity, ...] = OF_ENERGY

    @property
    def n_frames(self) -> int:
        return len(self.atoms_of_frames)

    @property
    def n_atoms(self) -> int:
        return int(self.atoms_of_frames.sum())

    @cached_property
    def pairs(self) -> dict[str, Pairs | None]:
        """By the names of ``quantities``: a value per frame of energies per atom, in eV/atom, else one
        per component."""
        return {
            quantity.name: self._pairs(
                quantity.column, self.atoms_of_frames if quantity is ENERGY else 1.0
            )
            for quantity in self.quantities
        }

    @property
    def energy_per_atom(self) -> Pairs | None:
        """eV/atom, one value per frame."""
        return self.pairs["energy"]

    @property
    def force(self) -> Pairs | None:
        """eV/Å, one value per component."""
        return self.pairs["force"]

    @property
    def stress(self) -> Pairs | None:
        """eV/Å³, one value per component."""
        return self.pairs["stress"]

    def by_element(self, quantity: Quantity) -> dict[str, Pairs]:
        """``pairs`` of a quantity that atoms have, of the elements that have labels."""
        found = {
            chemical_symbols[z]: self._pairs(quantity.column, select=self.species == z)
            for z in np.unique(self.species)
        }
        return {symbol: pairs for symbol, pairs in found.items() if pairs}

    def labelled_species(self, quantity: Quantity) -> np.ndarray:
        """Atomic numbers of the values of an output in ``pairs``."""
        return self.species[np.isfinite(self.labels[quantity.column])]

    @cached_property
    def energy_errors_of_frames(self) -> np.ndarray:
        """(S,) eV/atom, with sign; NaN where there is no label."""
        return (self.predicted["energies"] - self.labels["energies"]) / self.atoms_of_frames

    @cached_property
    def force_rmse_of_frames(self) -> np.ndarray:
        """(S,) eV/Å; NaN where there is no label."""
        squares = ((self.predicted["forces"] - self.labels["forces"]) ** 2).sum(axis=1)
        first = np.cumsum(self.atoms_of_frames) - self.atoms_of_frames
        return np.sqrt(np.add.reduceat(squares, first) / (3 * self.atoms_of_frames))

    def _pairs(self, name: str, divisor=1.0, select=slice(None)) -> Pairs | None:
        reference, predicted = (x[name][select] / divisor for x in (self.labels, self.predicted))
        known = np.isfinite(reference)  # a prediction that is NaN is one, and is to be seen
        return Pairs(reference[known], predicted[known]) if known.any() else None

    def of_frames(self, chosen: np.ndarray) -> "Evaluation":
        """Of the frames where ``chosen`` (S,) is true alone."""
        atoms = np.repeat(chosen, self.atoms_of_frames)

        def part(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {
                q.column: values[q.column][atoms if q.per_atom else chosen] for q in self.quantities
            }

        return Evaluation(
            self.atoms_of_frames[chosen],
            self.species[atoms],
            part(self.labels),
            part(self.predicted),
            self.quantities,
        )

    def by(self, groups: Sequence[str]) -> dict[str, "Evaluation"]:
        """Of the frames of every group; ``groups`` names that of each frame."""
        names = np.array(groups)
        return {name: self.of_frames(names == name) for name in dict.fromkeys(groups)}

    def predicted_frames(self) -> Iterator[dict[str, np.ndarray]]:
        """energy, forces (N, 3), stress (3, 3) and outputs (N,) of frame after frame."""
        ends = np.cumsum(self.atoms_of_frames)[:-1]
        columns = {
            q.label: np.split(values, ends) if q.per_atom else values
            for q in self.quantities
            for values in [self.predicted[q.column]]
        }
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values))

    def errors(self) -> dict[str, float]:
        """``energy_rmse`` and ``energy_mae`` eV/atom, ``force_...`` eV/Å, ``stress_...`` eV/Å³, and so on."""
        return {
            f"{name}_{kind}": getattr(pairs, kind)
            for name, pairs in self.pairs.items() if pairs
            for kind in ("rmse", "mae")
        }  # fmt: skip

    def rows(self) -> Iterator[tuple[str, str, float, Pairs]]:
        """(quantity, unit, factor from eV and Å to the unit, values) for tables."""
        for quantity in self.quantities:
            pairs = self.pairs[quantity.name]
            for unit, factor in quantity.scales if pairs else ():
                yield quantity.name, unit, factor, pairs
                if quantity is ENERGY and pairs.reference.size > 1:  # one always fits its own shift
                    yield "energy, shifted", unit, factor, pairs.shifted
                if quantity.per_atom:
                    for element, of_element in self.by_element(quantity).items():
                        yield f"{quantity.name} on {element}", unit, factor, of_element


def graphs_of(
    frames: Sequence[Frame], cutoff: float, max_atoms: int
) -> Iterator[tuple[Graph, Labels]]:
    """Consecutive frames joined to graphs of at most ``max_atoms`` atoms, or one larger frame."""
    for batch in packed(frames, lambda frame: len(frame.atoms), max_atoms):
        graph = Graph.joined([Graph.of(one.atoms, cutoff) for one in batch])
        yield graph, Labels.joined([Labels.of(one) for one in batch])


def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Graph, Labels]],
    device: torch.device | str = "cpu",
    on_batch=lambda n_structures: None,
    quantities: tuple[Quantity, ...] = OF_ENERGY,
) -> Evaluation:
    """Compare ``model`` with the labels that are there; ``on_batch`` hears of progress.

    quantities   those that the model predicts and graphs may have labels of
    """
    columns: dict[str, list[np.ndarray]] = defaultdict(list)
    for graph, labels in batches:
        prediction = predict(model, graph.to(device))
        n_atoms = torch.bincount(graph.structure, minlength=graph.n_structures)
        columns["n_atoms"].append(n_atoms.numpy())
        columns["species"].append(graph.species.numpy())
        for quantity in quantities:
            columns[quantity.column].append(quantity.of(labels).numpy())
            columns[f"predicted {quantity.column}"].append(quantity.of(prediction).cpu().numpy())
        on_batch(graph.n_structures)
    found = {name: np.concatenate(values) for name, values in columns.items()}
    return Evaluation(
        found["n_atoms"],
        found["species"],
        {q.column: found[q.column] for q in quantities},
        {q.column: found[f"predicted {q.column}"] for q in quantities},
        quantities,
    )
