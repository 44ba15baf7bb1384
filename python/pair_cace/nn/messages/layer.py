"""Message passing: A of layer t+1 from A and B of layer t.

A^(t+1) = (A_Ar + A_Bchi + …) / sqrt(avg_num_neighbors) + A_M; each term is optional (Eq. 11-15).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...operations import radial_message, share_with_ghosts
from ..atomic_basis import degree_of_each_triple
from ..edges import Edges, Geometry
from ..hyperparameters import Hyperparameters
from .term import MESSAGES, member_name


class MessageLayer(nn.ModuleDict):
    """One layer t → t+1; its members are the message terms that the settings name."""

    # TorchScript shares the class of layers that differ in no constant, and with it the methods: our
    # operations would end up in portable models.
    __constants__ = ["portable"]

    def __init__(self, settings: Hyperparameters):
        super().__init__(
            {member_name(kind): MESSAGES[kind](settings) for kind in settings.messages}
        )
        self.portable = False
        self.exchange = 0  # what tells messages to other MPI ranks; 0: there are none
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
        of_atoms = sender_embedding[: basis.shape[0]]
        message = torch.zeros_like(basis)
        for _, term in self.items():
            if hasattr(term, "tell"):
                told = term.tell(basis, invariants, of_atoms)
                told = self.with_ghosts(told, sender_embedding.shape[0])
                gathered = term.gather(told, edges, receiver_embedding, mixing_weight)
                message = message + self.norm * gathered
            else:
                message = message + term(basis)
        return message

    def weights_of_senders(self, invariants: Tensor, sender_embedding: Tensor) -> Tensor:
        """``BchiMessage.sender_weights`` of all senders, (N, …), from invariants of n_atoms atoms."""
        weights = self.bchi.sender_weights(invariants, sender_embedding[: invariants.shape[0]])
        return self.with_ghosts(weights, sender_embedding.shape[0])

    def with_ghosts(self, values: Tensor, n_senders: int) -> Tensor:
        """Values of n_atoms atoms, and behind them those of ghosts, which other MPI ranks know.

        Portable models, which have none of our operations, know no ghosts.
        """
        if self.portable:
            return values
        return share_with_ghosts(values, n_senders, self.exchange)

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
        if hasattr(self, "ar"):
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
        if hasattr(self, "memory"):
            weight = self.memory.weight.index_select(1, self.degree)
            message = torch.addcmul(message, weight, basis)
        return message
