"""Message passing: A of layer t+1 from A and B of layer t.

A^(t+1) = (A_Ar + A_Bchi) / sqrt(avg_num_neighbors) + A_M; each term is optional (Eq. 11-15).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..operations import radial_message, share_with_ghosts
from .atomic_basis import (
    degree_of_each_triple,
    mix_radial,
    sum_over_neighbors,
    weighted_neighbor_sum,
)
from .edges import Edges, Geometry
from .hyperparameters import Hyperparameters
from .invariants import number_of_invariants
from .readout import Perceptron


class MemoryMessage(nn.Module):
    """A_M = m^(l)_{n',c} · A^t; m starts at 0.25."""

    def __init__(self, settings: Hyperparameters):
        super().__init__()
        shape = (settings.n_radial, settings.l_max + 1, settings.n_channels)
        self.weight = nn.Parameter(torch.full(shape, 0.25))
        self.register_buffer("degree", degree_of_each_triple(settings.l_max), persistent=False)

    def forward(self, basis: Tensor) -> Tensor:
        """(N, n_radial, N_l, C) to the same shape."""
        return self.weight.index_select(1, self.degree) * basis


class ArMessage(nn.Module):
    """A_Ar = Σ_{e→i} F(r) f_c(r) A^t_j with F^(l)_{n',c} = a exp(−b r), b in 1/Å."""

    def __init__(self, settings: Hyperparameters):
        super().__init__()
        shape = (settings.n_radial, settings.l_max + 1, settings.n_channels)
        self.amplitude = nn.Parameter(torch.rand(shape))
        self.decay = nn.Parameter((0.5 + torch.rand(shape)) / settings.cutoff)
        self.register_buffer("degree", degree_of_each_triple(settings.l_max), persistent=False)

    def forward(self, basis: Tensor, edges: Edges, n_atoms: int) -> Tensor:
        """A of senders, (N, n_radial, N_l, C), to (n_atoms, n_radial, N_l, C)."""
        r = edges.distances[:, None, None, None]
        f_c = edges.cutoff_factors[:, None, None, None]
        factors = self.amplitude * torch.exp(-self.decay * r) * f_c  # (E, n_radial, L+1, C)
        factors = factors.index_select(2, self.degree)  # (E, n_radial, N_l, C)
        values = factors * basis.index_select(0, edges.senders)
        return sum_over_neighbors(values, edges.receivers, n_atoms)


class BchiMessage(nn.Module):
    """A_Bchi: the neighbour sum of layer 0, every edge weighted by h(B^t_j) of its sender.

    h maps the flattened invariants of an atom to one weight per l (or one for all l) and per
    channel (or one for all channels).
    """

    def __init__(self, settings: Hyperparameters):
        super().__init__()
        n_invariants = number_of_invariants(settings.l_max, settings.nu_max)
        self.n_degrees = settings.l_max + 1 if settings.bchi_per_l else 1
        self.n_channels = settings.n_channels if settings.bchi_per_channel else 1
        self.network = Perceptron(
            settings.n_radial * n_invariants * settings.n_channels,
            settings.bchi_hidden,
            self.n_degrees * self.n_channels,
        )
        degree = degree_of_each_triple(settings.l_max) if settings.bchi_per_l else torch.zeros(1)
        self.register_buffer("degree", degree.long(), persistent=False)

    def forward(self, weights: Tensor, edges: Edges, receiver_embedding: Tensor) -> Tensor:
        """Sum before radial mixing, (n_atoms, n_rbf, N_l, C), from ``sender_weights``."""
        weights = weights.index_select(1, self.degree)
        return weighted_neighbor_sum(edges, weights, receiver_embedding)

    def sender_weights(self, invariants: Tensor, sender_embedding: Tensor) -> Tensor:
        """θ_{j,s} h(B_j) of every atom, (N, L+1 or 1, C), or (N, L+1 or 1, K) if h has no channels."""
        n_basis = sender_embedding.shape[1]
        weights = self.network(invariants.flatten(1)).unflatten(
            1, [self.n_degrees, self.n_channels]
        )
        if self.n_channels == 1:
            return weights * sender_embedding.unsqueeze(1)  # (N, L+1 or 1, K)
        by_pair = weights.unflatten(-1, [n_basis, n_basis])  # (N, L+1 or 1, s, q)
        return (by_pair * sender_embedding[:, None, :, None]).flatten(-2)


class MessageLayer(nn.Module):
    """One layer t → t+1 with the message terms that the settings name."""

    # As that of the model. TorchScript shares the class of layers that differ in no constant, and
    # with it the methods: those of the compiled way would end up in portable models.
    __constants__ = ["compiled"]

    def __init__(self, settings: Hyperparameters):
        super().__init__()
        self.compiled = True
        self.memory = MemoryMessage(settings) if "M" in settings.messages else None
        self.ar = ArMessage(settings) if "Ar" in settings.messages else None
        self.bchi = BchiMessage(settings) if "Bchi" in settings.messages else None
        self.norm = float(settings.avg_num_neighbors) ** -0.5
        self.register_buffer("degree", degree_of_each_triple(settings.l_max), persistent=False)

    def forward(
        self,
        basis: Tensor,  # (n_atoms, n_radial, N_l, C)
        invariants: Tensor,  # (n_atoms, n_radial, N_B, C)
        edges: Edges,
        sender_embedding: Tensor,  # (N, K), N ≥ n_atoms: ghosts only send
        receiver_embedding: Tensor,  # (n_atoms, K)
        mixing_weight: Tensor,  # (L+1, n_rbf, n_radial, C), the one of layer 0
    ) -> Tensor:
        """Returns A of the next layer, (n_atoms, n_radial, N_l, C)."""
        message = torch.zeros_like(basis)
        if self.ar is not None:
            of_senders = self.with_ghosts(basis, sender_embedding.shape[0])
            message = message + self.ar(of_senders, edges, basis.shape[0])
        if self.bchi is not None:
            weights = self.weights_of_senders(invariants, sender_embedding)
            raw = self.bchi(weights, edges, receiver_embedding)
            message = message + mix_radial(raw, mixing_weight, self.degree)
        message = message * self.norm
        if self.memory is not None:
            message = message + self.memory(basis)
        return message

    def weights_of_senders(self, invariants: Tensor, sender_embedding: Tensor) -> Tensor:
        """``BchiMessage.sender_weights`` of all senders, (N, …), from invariants of n_atoms atoms."""
        weights = self.bchi.sender_weights(invariants, sender_embedding[: invariants.shape[0]])
        return self.with_ghosts(weights, sender_embedding.shape[0])

    def with_ghosts(self, values: Tensor, n_senders: int) -> Tensor:
        """Values of n_atoms atoms, and behind them those of ghosts, which other MPI ranks know.

        Portable models, which have none of our operations, know no ghosts.
        """
        if self.compiled:
            return share_with_ghosts(values, n_senders)
        return values

    def of_basis(
        self,
        basis: Tensor,
        geometry: Geometry,
        n_senders: int,
        cutoff: float,
        cutoff_exponent: int,
    ) -> Tensor:
        """The terms that come from A, M and Ar / sqrt(avg_num_neighbors), by compiled operations."""
        message = torch.zeros_like(basis)
        if self.ar is not None:
            message = radial_message(
                geometry.vectors,
                geometry.senders,
                geometry.receivers,
                self.with_ghosts(basis, n_senders),
                self.norm * self.ar.amplitude,
                self.ar.decay,
                cutoff,
                cutoff_exponent,
            )[: basis.shape[0]]
        if self.memory is not None:
            weight = self.memory.weight.index_select(1, self.degree)
            message = torch.addcmul(message, weight, basis)
        return message
