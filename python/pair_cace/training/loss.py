"""From errors to one number to minimise."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..data.labels import Labels
from ..nn.derivatives import Prediction
from .config import LossSection, PhaseSection
from .losses import LOSSES


@dataclass
class ErrorSums:
    """Weighted sums over labelled values, to be divided by their counts; float64.

    ``loss`` is the sum of the losses (squares, or Huber) of single values, ``square`` and
    ``absolute`` are for the metrics, which know no weights.
    """

    energy_loss: Tensor
    energy_square: Tensor
    energy_absolute: Tensor
    energy_count: Tensor
    force_loss: Tensor
    force_square: Tensor
    force_absolute: Tensor
    force_count: Tensor
    stress_loss: Tensor
    stress_square: Tensor
    stress_absolute: Tensor
    stress_count: Tensor

    def as_tensor(self) -> Tensor:
        """All sums in one vector, to add over batches and processes."""
        return torch.stack([getattr(self, f.name) for f in fields(self)])

    @classmethod
    def from_tensor(cls, values: Tensor) -> "ErrorSums":
        return cls(*values.unbind())

    def counts(self) -> Tensor:
        """(3,) numbers of labelled values."""
        return torch.stack([self.energy_count, self.force_count, self.stress_count])


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
) -> ErrorSums:
    """Compare a prediction with its labels.

    n_atoms (S,) and structure (N,) say how large structures are and which one an atom is in.
    Energies count per atom, without ``energy_offset`` if there is one, forces and stresses per
    component.
    """
    energies = prediction.energies / n_atoms
    if energy_offset is not None:
        energies = energies - energy_offset
    sums: list[Tensor] = []
    for predicted, expected, weights in [
        (energies, labels.energies / n_atoms, labels.weights),
        (prediction.forces, labels.forces, labels.weights[structure][:, None]),
        (prediction.stresses, labels.stresses, labels.weights[:, None, None]),
    ]:
        known = torch.isfinite(expected)
        errors = torch.where(known, predicted - expected, torch.zeros_like(predicted))
        values = weights * LOSSES[loss.kind](errors, loss)
        detached = errors.detach()
        sums += [values.sum(), (detached**2).sum(), detached.abs().sum(), known.sum().double()]
    return ErrorSums(*sums)


def total_loss(sums: ErrorSums, counts: Tensor, phase: PhaseSection) -> Tensor:
    """The loss of (a part of) a batch whose labelled values are ``counts`` in all its parts."""
    terms = [
        (phase.energy_weight, sums.energy_loss),
        (phase.force_weight, sums.force_loss),
        (phase.stress_weight, sums.stress_loss),
    ]
    # What has no weight is left out, so that nothing is differentiated for it.
    weighted = [
        weight * loss / count
        for (weight, loss), count in zip(terms, counts.clamp(min=1))
        if weight > 0
    ]
    return torch.stack(weighted).sum()
