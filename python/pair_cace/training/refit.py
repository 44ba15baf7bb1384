"""The linear part of the readout by least squares, after training.

Energies and forces are linear in the weights of the linear readout. The invariants are many and
alike, so that the steps of an optimizer find the best such weights very slowly; the normal equations
find them at once. With x the change of the weights, the loss of the last phase is

    w_E Σ (ΔE/N − (Σ_i B_i)·x/N)² / n_E + w_F Σ (ΔF − J x)² / n_F + λ |x|²,

J the forces that each invariant alone would give. Of large structures, J is not made in full: its
rows are projected on random directions in the space of the forces, which leaves the sum of squares
the same on average. λ is chosen by the error of the validation data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.graph import Graph
from ..data.labels import Labels
from ..nn import CACE
from ..nn.derivatives import predict
from ..operations import edge_forces
from .config import PhaseSection

DIRECTIONS = 100  # at most, per structure
RIDGES = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # λ relative to the mean diagonal


@dataclass
class NormalEquations:
    """Sums over structures; P weights and the bias. Float64."""

    energy_matrix: Tensor  # (P+1, P+1)
    energy_vector: Tensor  # (P+1,)
    force_matrix: Tensor
    force_vector: Tensor
    counts: Tensor  # (2,) labelled energies and force components

    @classmethod
    def zero(cls, n_features: int, device: torch.device) -> "NormalEquations":
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=device)

        n = n_features + 1
        return cls(zeros(n, n), zeros(n), zeros(n, n), zeros(n), zeros(2))

    def add(self, model: CACE, graph: Graph, labels: Labels, generator: torch.Generator) -> None:
        """Add the structures of ``graph``. ``generator`` draws the directions."""
        prediction = predict(model, graph)
        vectors = graph.vectors.to(model.dtype).requires_grad_(True)
        features = model.features(
            vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms
        ).flatten(1)  # (N, P)
        n_atoms = torch.bincount(graph.structure, minlength=graph.n_structures)
        summed = features.new_zeros(graph.n_structures, features.shape[1])
        summed = summed.index_add(0, graph.structure, features)  # (S, P)
        self._add_energies(summed.detach(), prediction.energies, n_atoms, labels)
        self._add_forces(summed, vectors, prediction.forces, n_atoms, graph, labels, generator)

    def _add_energies(
        self, summed: Tensor, energies: Tensor, n_atoms: Tensor, labels: Labels
    ) -> None:
        known = torch.isfinite(labels.energies)
        rows = torch.cat([summed.double() / n_atoms[:, None], torch.ones_like(summed[:, :1])], 1)
        rows = rows * labels.weights.sqrt()[:, None]
        errors = (labels.energies - energies) / n_atoms * labels.weights.sqrt()
        rows, errors = rows[known].double(), errors[known]
        self.energy_matrix += rows.T @ rows
        self.energy_vector += rows.T @ errors
        self.counts[0] += known.sum()

    def _add_forces(
        self,
        summed: Tensor,
        vectors: Tensor,
        forces: Tensor,
        n_atoms: Tensor,
        graph: Graph,
        labels: Labels,
        generator: torch.Generator,
    ) -> None:
        known = torch.isfinite(labels.forces)
        scale = labels.weights.sqrt().index_select(0, graph.structure)[:, None]
        errors = torch.where(known, labels.forces - forces, 0.0) * scale  # (N, 3)
        # The forces of "energy" summed·ones are linear in the ones: their derivative by the ones
        # along a direction is a row of J for every structure at once.
        ones = torch.ones_like(summed, requires_grad=True)
        (gradient,) = torch.autograd.grad([(summed * ones).sum()], [vectors], create_graph=True)
        all_forces = edge_forces(gradient, graph.senders, graph.receivers, graph.n_atoms)
        rows, projections = [], []
        for direction in _directions(graph, n_atoms, generator):  # (N, 3)
            direction = torch.where(known, direction, 0.0)
            projected = (all_forces * (scale * direction).to(all_forces.dtype)).sum()
            rows += torch.autograd.grad([projected], [ones], retain_graph=True)  # (S, P)
            projection = errors.new_zeros(graph.n_structures)
            projections.append(
                projection.index_add(0, graph.structure, (errors * direction).sum(1))
            )
        matrix = torch.cat(rows).double()  # (directions · S, P)
        self.force_matrix[:-1, :-1] += matrix.T @ matrix
        self.force_vector[:-1] += matrix.T @ torch.cat(projections)
        self.counts[1] += known.sum()

    def tensors(self) -> list[Tensor]:
        """All sums, to be added over processes."""
        return [
            self.energy_matrix, self.energy_vector, self.force_matrix, self.force_vector, self.counts
        ]  # fmt: skip

    def solutions(self, phase: PhaseSection):
        """(λ, change of the weights and of the bias (P+1,)) for every λ that can be solved for."""
        n_energies, n_forces = self.counts.clamp(min=1).tolist()
        matrix = (
            phase.energy_weight / n_energies * self.energy_matrix
            + phase.force_weight / n_forces * self.force_matrix
        )
        vector = (
            phase.energy_weight / n_energies * self.energy_vector
            + phase.force_weight / n_forces * self.force_vector
        )
        mean = matrix.diagonal().mean()
        for ridge in RIDGES:
            regular = matrix + ridge * mean * torch.eye(len(matrix)).to(matrix)
            factor, failed = torch.linalg.cholesky_ex(regular)
            if int(failed) == 0:
                yield ridge, torch.cholesky_solve(vector[:, None], factor)[:, 0]


class Refit(NamedTuple):
    """A solution that was taken."""

    ridge: float  # λ relative to the mean diagonal
    score_before: float
    score_after: float


def refit_linear_readout(
    model: CACE,
    equations: NormalEquations,
    phase: PhaseSection,
    score: Callable[[], float],
) -> Refit | None:
    """Change the linear readout of ``model`` to what lowers ``score()`` most.

    Returns the solution that was taken; None, and the model as it was, if none is better.
    """
    linear = model.readout.linear
    before = linear.weight.detach().clone(), linear.bias.detach().clone()
    score_before = best_score = score()
    best = None
    for ridge, change in equations.solutions(phase):
        _set(linear, before, change)
        found = score()
        if found < best_score:
            best_score, best = found, (ridge, change)
    _set(linear, before, best[1] if best else torch.zeros(before[0].numel() + 1).to(before[0]))
    return Refit(best[0], score_before, best_score) if best else None


@torch.no_grad()
def _set(linear, before: tuple[Tensor, Tensor], change: Tensor) -> None:
    linear.weight.copy_(before[0].double() + change[None, :-1])
    linear.bias.copy_(before[1].double() + change[-1:])


def _directions(graph: Graph, n_atoms: Tensor, generator: torch.Generator):
    """Directions (N, 3) in the space of the forces of every structure: all axes of small structures,
    or random ones; their sum of squares counts every component once."""
    largest = int(n_atoms.max())
    if 3 * largest <= DIRECTIONS:
        first = torch.cumsum(n_atoms, 0) - n_atoms
        within = torch.arange(graph.n_atoms, device=n_atoms.device) - first[graph.structure]
        for atom in range(largest):
            for k in range(3):
                direction = torch.zeros(graph.n_atoms, 3, dtype=torch.float64)
                direction[:, k] = (within == atom).double().cpu()
                yield direction.to(n_atoms.device)
    else:
        for _ in range(DIRECTIONS):
            direction = torch.randn(graph.n_atoms, 3, dtype=torch.float64, generator=generator).to(
                n_atoms.device
            )
            yield direction / DIRECTIONS**0.5
