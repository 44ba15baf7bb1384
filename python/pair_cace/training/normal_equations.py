"""What energies, forces and stresses say of the weights of the linear readout.

All three are linear in these weights. With x their change, and that of the bias, the loss is

    Σ_q w_q / n_q Σ ω h (Δ_q − J_q x)²,

q the energy per atom, the components of the forces and those of the stress, Δ_q what the model
misses of a label, w_q the weights of a phase, n_q how many labels there are, ω the weights of the
structures. J_q is what the invariants of a structure, each alone, would give: their sums over its
atoms, the derivatives of these by the positions, and by a strain. With the Huber loss h is
min(1, δ/|Δ_q|), with which the sum has the slope of the loss and lies above it; else 1.

Of large structures or many, J of the forces is not made in full: its rows are projected on some
orthogonal directions in the space of the forces of a structure, drawn at random, which leaves the
sum of squares the same on average.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ..data.graph import Graph
from ..data.labels import Labels
from ..nn import CACE
from ..nn.derivatives import predict
from ..operations import edge_forces
from .config import LossSection


class NormalEquations:
    """Sums over structures, for P weights and the bias and K parts of the data; float64.

    matrices (K, P+1, P+1), vectors (K, P+1)   ½ the second and minus ½ the first derivative of
                                               the loss by x
    """

    def __init__(
        self,
        n_features: int,
        n_parts: int,
        scales: Tensor,
        loss: LossSection,
        device: torch.device,
    ):
        """``scales`` (3,) are w_q / n_q of energy, force and stress; 0 leaves one out."""
        self.scales, self.loss = scales, loss
        size = (n_parts, n_features + 1, n_features + 1)
        self.matrices = torch.zeros(size, dtype=torch.float64, device=device)
        self.vectors = torch.zeros(size[:2], dtype=torch.float64, device=device)

    def add(
        self,
        part: int,
        model: CACE,
        graph: Graph,
        labels: Labels,
        n_directions: int,
        generator: torch.Generator,
    ) -> None:
        """Add structures, which are of one part of the data.

        At most ``n_directions`` are taken of the forces of each, drawn by ``generator``.
        """
        energy_scale, force_scale, stress_scale = self.scales.tolist()
        prediction = predict(model, graph)
        vectors = graph.vectors.to(model.dtype).requires_grad_(True)
        features = model.features(
            vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms
        ).flatten(1)  # (N, P)
        n_atoms = torch.bincount(graph.structure, minlength=graph.n_structures)
        summed = features.new_zeros(graph.n_structures, features.shape[1])
        summed = summed.index_add(0, graph.structure, features)  # (S, P)
        if energy_scale > 0:
            errors = (labels.energies - prediction.energies) / n_atoms  # (S,)
            roots, errors = self._weighted(errors, labels.weights * energy_scale)
            rows = torch.cat(
                [summed.double() / n_atoms[:, None], torch.ones_like(summed[:, :1])], 1
            )
            self._add_rows(part, roots[:, None] * rows.detach(), roots * errors)
        if not (force_scale > 0 or stress_scale > 0):
            return
        # The forces of an "energy" summed·ones are linear in the ones: the derivative by the ones
        # of what they do along a direction is a row of J for every structure at once.
        ones = torch.ones_like(summed, requires_grad=True)
        (gradient,) = torch.autograd.grad([(summed * ones).sum()], [vectors], create_graph=True)

        def rows_of(value: Tensor) -> Tensor:
            """(S, P) derivatives by the ones; 0 for the bias."""
            (found,) = torch.autograd.grad([value], [ones], retain_graph=True)
            return torch.nn.functional.pad(found, (0, 1))

        if force_scale > 0:
            forces = edge_forces(gradient, graph.senders, graph.receivers, graph.n_atoms)
            weights = labels.weights.index_select(0, graph.structure)[:, None] * force_scale
            roots, errors = self._weighted(labels.forces - prediction.forces, weights)  # (N, 3)
            rows, missed = [], []
            for direction in directions(n_atoms, n_directions, generator):  # (N, 3)
                weighted = roots * direction.to(roots)
                rows.append(rows_of((forces * weighted.to(forces.dtype)).sum()))
                along = errors.new_zeros(graph.n_structures)
                missed.append(along.index_add(0, graph.structure, (weighted * errors).sum(1)))
            self._add_rows(part, torch.cat(rows), torch.cat(missed))
        if stress_scale > 0:
            weights = labels.weights[:, None, None] * stress_scale
            roots, errors = self._weighted(labels.stresses - prediction.stresses, weights)
            if not bool(roots.any()):
                return
            of_edge = graph.structure.index_select(0, graph.receivers)  # (E,)
            rows, missed = [], []
            for a, b in itertools.product(range(3), repeat=2):
                strain = vectors.detach()[:, a] * gradient[:, b]  # r⃗ ⊗ g, see nn.derivatives
                scale = torch.where(roots[:, a, b] > 0, roots[:, a, b] / graph.volumes, 0.0)
                rows.append(rows_of((strain * scale[of_edge].to(strain.dtype)).sum()))
                missed.append(roots[:, a, b] * errors[:, a, b])
            self._add_rows(part, torch.cat(rows), torch.cat(missed))

    def _weighted(self, errors: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Roots of the weights of squares, 0 where there is no label, and the errors, 0 there."""
        known = torch.isfinite(errors)
        errors = torch.where(known, errors, 0.0)
        if self.loss.kind == "huber":
            delta = self.loss.huber_delta
            weights = weights * (delta / errors.abs().clamp(min=delta))
        return torch.where(known, weights, 0.0).sqrt(), errors

    def _add_rows(self, part: int, rows: Tensor, missed: Tensor) -> None:
        """rows (n, P+1), and what they should give (n,)."""
        rows = rows.double()
        self.matrices[part].addmm_(rows.T, rows)
        self.vectors[part].addmv_(rows.T, missed)


def directions(n_atoms: Tensor, at_most: int, generator: torch.Generator) -> Tensor:
    """(D, N, 3) orthogonal directions in the space of the forces of every structure.

    n_atoms   (S,) of the structures, N in all
    A structure of n atoms has min(3 n, ``at_most``); where it has fewer than D, others are 0. The
    squares of a vector along them sum up, on average, to its square; without an average if there are 3 n.
    """
    sizes = (3 * n_atoms).tolist()
    most = min(at_most, max(sizes))
    found = []
    for size in sizes:
        n = min(size, at_most)
        drawn = torch.randn(size, n, dtype=torch.float64, generator=generator)
        orthogonal = torch.linalg.qr(drawn).Q * (size / n) ** 0.5  # (3 n_atoms, n)
        padded = torch.nn.functional.pad(orthogonal.T, (0, 0, 0, most - n))
        found.append(padded.unflatten(1, (-1, 3)))
    return torch.cat(found, dim=1)
