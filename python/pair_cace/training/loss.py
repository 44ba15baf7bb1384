"""From errors to one number to minimise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.labels import Labels
from ..nn.derivatives import Prediction
from ..quantities import OF_ENERGY, Quantity
from .config import LossSection, PhaseSection
from .losses import LOSSES


class ErrorSum(NamedTuple):
    """Sums over the labelled values of one quantity, to be divided by their count; float64.

    ``loss`` is the weighted sum of the losses (squares, or Huber) of single values, ``square`` and
    ``absolute`` are for the metrics, which know no weights.
    """

    loss: Tensor
    square: Tensor
    absolute: Tensor
    count: Tensor

    @property
    def rmse(self) -> float:
        """NaN without labels."""
        return (float(self.square) / float(self.count)) ** 0.5 if self.count else float("nan")

    @property
    def mae(self) -> float:
        """NaN without labels."""
        return float(self.absolute) / float(self.count) if self.count else float("nan")


class ErrorSums(dict[str, ErrorSum]):
    """The sums of every quantity, by its name."""

    def as_tensor(self) -> Tensor:
        """All sums (Q, 4), to add over batches and processes."""
        return torch.stack([torch.stack(sums) for sums in self.values()])

    @classmethod
    def from_tensor(cls, values: Tensor, quantities: Sequence[Quantity] = OF_ENERGY) -> "ErrorSums":
        return cls({q.name: ErrorSum(*sums.unbind()) for q, sums in zip(quantities, values)})

    def counts(self) -> Tensor:
        """(Q,) numbers of labelled values."""
        return torch.stack([sums.count for sums in self.values()])


def energy_error_sums(energies: Tensor, labels: Labels, n_atoms: Tensor) -> Tensor:
    """(2,) weighted sum of the errors per atom of (S,) energies, and of the weights; detached."""
    errors = (energies.detach() - labels.energies) / n_atoms
    known = torch.isfinite(labels.energies)
    return torch.stack([(labels.weights * errors)[known].sum(), labels.weights[known].sum()])


def mean_error(sums: Tensor) -> Tensor:
    """From the sums of ``energy_error_sums``; 0 without labels."""
    return torch.where(sums[1] > 0, sums[0] / sums[1], torch.zeros_like(sums[0]))


def error_sums(
    prediction: Prediction,
    labels: Labels,
    n_atoms: Tensor,
    structure: Tensor,
    loss: LossSection,
    energy_offset: Tensor | None = None,
    quantities: Sequence[Quantity] = OF_ENERGY,
) -> ErrorSums:
    """Compare a prediction with its labels.

    n_atoms (S,) and structure (N,) say how large structures are and which one an atom is in.
    Energies count per atom, without ``energy_offset`` if there is one, forces and stresses per
    component.
    """
    found = ErrorSums()
    for quantity in quantities:
        predicted, expected = quantity.of(prediction), quantity.of(labels)
        if quantity.name == "energy":
            predicted, expected = predicted / n_atoms, expected / n_atoms
            if energy_offset is not None:
                predicted = predicted - energy_offset
        weights = labels.weights[structure] if quantity.per_atom else labels.weights
        known = torch.isfinite(expected)
        errors = torch.where(known, predicted - expected, torch.zeros_like(predicted))
        losses = LOSSES[loss.kind](errors / quantity.loss_scale, loss)
        values = weights.reshape(-1, *[1] * len(quantity.shape)) * losses
        detached = errors.detach()
        found[quantity.name] = ErrorSum(
            values.sum(), (detached**2).sum(), detached.abs().sum(), known.sum().double()
        )
    return found


def total_loss(sums: ErrorSums, counts: Tensor, phase: PhaseSection) -> Tensor:
    """The loss of (a part of) a batch whose labelled values are ``counts`` in all its parts."""
    # What has no weight is left out, so that nothing is differentiated for it.
    weighted = [
        weight * of_quantity.loss / count
        for (name, of_quantity), count in zip(sums.items(), counts.clamp(min=1))
        if (weight := phase.weight_of(name)) > 0
    ]
    return torch.stack(weighted).sum()
