"""The message that passes invariants on."""

from __future__ import annotations

import torch
from torch import Tensor

from ..atomic_basis import degree_of_each_triple, mix_radial, weighted_neighbor_sum
from ..edges import Atoms, Edges
from ..invariants import number_of_invariants
from ..perceptron import Perceptron
from .term import MessageTerm

START = 0.1  # size of the message in a new model, against one of Ar


class BchiMessage(MessageTerm):
    """A_Bchi: the neighbour sum of layer 0, every edge weighted by h(B^t_j) of its sender.

    h maps the flattened invariants of an atom to one weight per l (or one for all l) and per
    channel (or one for all channels).
    """

    has_kernels = True
    has_operations = True
    takes_basis = False

    def __init__(self, settings):
        super().__init__(settings)
        n_invariants = number_of_invariants(settings.l_max, settings.nu_max)
        self.n_degrees = settings.l_max + 1 if settings.bchi_per_l else 1
        self.n_channels = settings.n_channels if settings.bchi_per_channel else 1
        self.network = Perceptron(
            settings.n_radial * n_invariants * settings.n_channels,
            settings.bchi_hidden,
            self.n_degrees * self.n_channels,
        )
        # The l of every 𝐥, and the weight of every 𝐥.
        degree = degree_of_each_triple(settings.l_max)
        self.register_buffer("degree", degree, persistent=False)
        of_weight = degree if settings.bchi_per_l else torch.zeros(1, dtype=torch.int64)
        self.register_buffer("weight_index", of_weight, persistent=False)

    @staticmethod
    def values_per_ghost(settings) -> int:
        columns = settings.n_channels if settings.bchi_per_channel else settings.n_atom_basis
        return (settings.l_max + 1 if settings.bchi_per_l else 1) * columns

    @torch.jit.export
    def tell(self, basis: Tensor, invariants: Tensor, atoms: Atoms) -> Tensor:
        return self.weigh(invariants, atoms)

    @torch.jit.export
    def gather(self, told: Tensor, edges: Edges, atoms: Atoms, mixing_weight: Tensor) -> Tensor:
        weights = told.index_select(1, self.weight_index)
        raw = weighted_neighbor_sum(edges, weights, atoms.receiver)
        return mix_radial(raw, mixing_weight, self.degree)

    @torch.jit.export
    def weigh(self, invariants: Tensor, atoms: Atoms) -> Tensor:
        """θ_{j,s} h(B_j) of every atom, (N, L+1 or 1, C), or (N, L+1 or 1, K) if h has no channels."""
        sender_embedding = atoms.sender[: invariants.shape[0]]
        n_basis = sender_embedding.shape[1]
        weights = self.network(invariants.flatten(1)).unflatten(
            1, [self.n_degrees, self.n_channels]
        )
        if self.n_channels == 1:
            return weights * sender_embedding.unsqueeze(1)  # (N, L+1 or 1, K)
        by_pair = weights.unflatten(-1, [n_basis, n_basis])  # (N, L+1 or 1, s, q)
        return (by_pair * sender_embedding[:, None, :, None]).flatten(-2)

    def divide(self, norms: Tensor) -> None:
        """Of the edge weights h, as far as they are not shared among degrees and channels."""
        norms = norms.mean(dim=1) / START
        if self.n_degrees == 1:
            norms = norms.mean(dim=0, keepdim=True)
        if self.n_channels == 1:
            norms = norms.mean(dim=1, keepdim=True)
        last = self.network[-1]
        last.weight /= norms.reshape(-1, 1)
        last.bias /= norms.reshape(-1)
