"""A with product channels that are mixed freely."""

from __future__ import annotations

from typing import List

import torch
from torch import Tensor, nn

from .angular import triples
from .atomic_basis import AtomicBasis, low_frequencies_prevail, sum_over_neighbors
from .edges import Edges


class MixingByDegree(nn.Module):
    """y_{𝐥,k} = Σ_m x_{𝐥,m} W^(l)_{m,k}: one table per l, shared by its 𝐥; k = (n', c) are all product channels."""

    stacks = {
        "mixing_weight": -2
    }  # of matrices, which the optimizer takes one by one: the axis of their inputs

    def __init__(self, settings, n_in: int):
        super().__init__()
        self.n_radial, self.n_channels = settings.n_radial, settings.n_channels
        self.rows = [len(triples(l)) for l in range(settings.l_max + 1)]
        shape = (settings.l_max + 1, n_in, settings.n_products)
        self.mixing_weight = nn.Parameter(torch.randn(shape) * n_in**-0.5)

    def by_degree(self, x: Tensor) -> Tensor:
        """(N, N_l, n_in) to (N, n_radial, N_l, C)."""
        mixed: List[Tensor] = []
        for x_of_l, weight in zip(x.split(self.rows, dim=1), self.mixing_weight.unbind()):
            mixed.append(torch.matmul(x_of_l, weight))
        y = torch.cat(mixed, dim=1).unflatten(2, [self.n_radial, self.n_channels])
        return y.transpose(1, 2).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """As ``by_degree``."""
        return self.by_degree(x)

    @torch.no_grad()
    def divide(self, norms: Tensor) -> None:
        """Of a new model, by the mean square of (L+1, n_radial, C)."""
        means = norms.flatten(1).square().mean(dim=1).sqrt()
        self.mixing_weight /= means[:, None, None]


class FreeBasis(MixingByDegree):
    """A_{i,n',𝐥,c} = ρ_{z,(n',c)} Σ_{n,s} W^(l)_{(n,s),(n',c)} Σ_{e→i} R_n f_c û^𝐥 θ_{j,s}.

    All radial functions n and components s of the senders' embeddings are mixed into n_radial K² channels, where CACE
    as published (``atomic_basis``) mixes n alone, within (s, q). ρ, by element of the receiver, is its embedding.
    """

    def __init__(self, settings):
        super().__init__(settings, settings.n_rbf * settings.n_atom_basis)
        by_function = self.mixing_weight.detach().unflatten(1, [settings.n_rbf, -1])
        by_function.copy_(low_frequencies_prevail(by_function, dim=1))

    def forward(self, edges: Edges, sender: Tensor, receiver: Tensor) -> Tensor:
        """From embeddings θ (N, K) and ρ (n_atoms, n_radial C) to (n_atoms, n_radial, N_l, C)."""
        of_senders = sender.index_select(0, edges.senders)[:, None, None, :]
        raw = edges.basis.transpose(1, 2).unsqueeze(-1) * of_senders  # (E, N_l, n_rbf, K)
        return self.mixed(sum_over_neighbors(raw, edges.receivers, receiver.shape[0]), receiver)

    def mixed(self, raw: Tensor, receiver: Tensor) -> Tensor:
        """As ``forward``, from the sums over neighbours (n_atoms, N_l, n_rbf, K)."""
        basis = self.by_degree(raw.flatten(2))
        return basis * receiver.view(-1, basis.shape[1], 1, basis.shape[3])


MIXINGS = {"channelwise": AtomicBasis, "free": FreeBasis}
