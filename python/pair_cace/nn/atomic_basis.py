"""Atomic basis A: the sum of the edge basis over neighbours, and the mixing of its radial part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .angular import triples_up_to
from .edges import Edges

if TYPE_CHECKING:
    from .hyperparameters import Hyperparameters


def degree_of_each_triple(l_max: int) -> Tensor:
    """l of every 𝐥 in the order of ``angular``, (N_l,) int64."""
    return torch.tensor([sum(triple) for triple in triples_up_to(l_max)])


def low_frequencies_prevail(weights: Tensor, dim: int) -> Tensor:
    """Weights of radial functions n = 1, 2, … in a new model: smooth functions generalise better."""
    order = torch.arange(1.0, weights.shape[dim] + 1.0)
    return weights / order.view([-1] + [1] * (weights.dim() - dim - 1))


def sum_over_neighbors(edge_values: Tensor, receivers: Tensor, n_atoms: int) -> Tensor:
    """(E, …) values of the edges to (N, …) sums over the edges that end at each atom."""
    total = edge_values.new_zeros([n_atoms] + list(edge_values.shape[1:]))
    return total.index_add(0, receivers, edge_values)


def weighted_neighbor_sum(
    edges: Edges,
    sender_weights: Tensor,  # (N, N_l or 1, K or C)
    receiver_embedding: Tensor,  # (N, K)
) -> Tensor:
    """A⁰_{i,n,𝐥,c} = θ'_{i,q} Σ_{e→i} R_n f_c û^𝐥 w_{j,𝐥,c}, channel c = (s, q) row-major (Eq. 5).

    The receiver's factor does not depend on the neighbour and stands before the sum. Weights with
    K columns depend on s alone. Returns (N, n_rbf, N_l, C).
    """
    n_atoms, n_basis = receiver_embedding.shape
    weights = sender_weights.index_select(0, edges.senders).unsqueeze(1)  # (E, 1, N_l, K or C)
    summed = sum_over_neighbors(edges.basis.unsqueeze(-1) * weights, edges.receivers, n_atoms)
    by_pair = summed.unflatten(
        -1, [n_basis, summed.shape[-1] // n_basis]
    )  # (N, n_rbf, N_l, s, q or 1)
    return (by_pair * receiver_embedding[:, None, None, None, :]).flatten(-2)


def mix_radial(raw: Tensor, weight: Tensor, degree: Tensor) -> Tensor:
    """A_{i,n',𝐥,c} = Σ_n A⁰_{i,n,𝐥,c} W^(l)_{n,n',c}: one table per l, shared by its 𝐥 (Eq. 6).

    raw (N, n_rbf, N_l, C), weight (L+1, n_rbf, n_radial, C), degree (N_l,) the l of every 𝐥.
    Returns (N, n_radial, N_l, C).
    """
    return torch.einsum("inlc,lnmc->imlc", raw, weight.index_select(0, degree))


class AtomicBasis(nn.Module):
    """A of layer 0 from the edges; owns the mixing weights that message layers use as well."""

    def __init__(self, settings: "Hyperparameters"):
        super().__init__()
        shape = (settings.l_max + 1, settings.n_rbf, settings.n_radial, settings.n_channels)
        self.mixing_weight = nn.Parameter(low_frequencies_prevail(torch.randn(shape), dim=1))
        self.register_buffer("degree", degree_of_each_triple(settings.l_max), persistent=False)

    def divide(self, norms: Tensor) -> None:
        """Of a new model, by (L+1, n_radial, C)."""
        self.mixing_weight /= norms.unsqueeze(1)

    def forward(
        self,
        edges: Edges,
        sender_embedding: Tensor,  # (N or more, K)
        receiver_embedding: Tensor,  # (N, K)
    ) -> Tensor:
        """Returns (N, n_radial, N_l, C)."""
        raw = weighted_neighbor_sum(edges, sender_embedding.unsqueeze(1), receiver_embedding)
        return mix_radial(raw, self.mixing_weight, self.degree)
