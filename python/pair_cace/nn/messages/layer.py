"""Message passing: A of layer t+1 from A and B of layer t.

A^(t+1) = (A_Ar + A_Bchi + …) / sqrt(avg_num_neighbors) + A_M; each term is optional (Eq. 11-15).
"""

from __future__ import annotations

from typing import Optional, Tuple

import torch
from torch import Tensor, nn

from ...operations import share_with_ghosts
from ..edges import Atoms, Edges, Geometry
from ..hyperparameters import Hyperparameters
from .term import MESSAGES, member_name


class MessageLayer(nn.ModuleDict):
    """One layer t → t+1; its members are the message terms that the settings name."""

    __constants__ = ["portable"]  # as in MessageTerm

    def __init__(self, settings: Hyperparameters):
        super().__init__(
            {member_name(kind): MESSAGES[kind](settings) for kind in settings.messages}
        )
        self.portable, self.compiled = False, True
        self.exchange = 0  # what tells messages to other MPI ranks; 0: there are none
        self.norm = float(settings.avg_num_neighbors) ** -0.5

    def forward(
        self,
        basis: Tensor,  # (n_atoms, n_radial, N_l, C)
        invariants: Tensor,  # (n_atoms, n_radial, N_B, C)
        edges: Edges,
        atoms: Atoms,
        mixing_weight: Tensor,  # (L+1, n_rbf, n_radial, C), the one of layer 0
    ) -> Tensor:
        """Returns A of the next layer, (n_atoms, n_radial, N_l, C)."""
        message = torch.zeros_like(basis)
        for _, term in self.items():
            if hasattr(term, "tell"):
                told = self.with_ghosts(term.tell(basis, invariants, atoms), atoms)
                gathered = term.gather(told, edges, atoms, mixing_weight)
                message = message + self.norm * gathered
            else:
                message = message + term(basis)
        return message

    def by_kernels(
        self,
        basis: Optional[Tensor],
        invariants: Tensor,
        geometry: Geometry,
        edges: Edges,
        atoms: Atoms,
        mixing_weight: Tensor,
    ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
        """As ``forward``, by compiled operations: the weights of the edges, if a term has them (see
        ``MessageTerm.weigh``), and the sum of the other terms. A is given if a term takes it, and so are ``Edges``."""
        weights: Optional[Tensor] = None
        rest: Optional[Tensor] = None
        for _, term in self.items():
            if hasattr(term, "weigh"):
                weights = self.with_ghosts(term.weigh(invariants, atoms), atoms)
            else:
                assert basis is not None
                if hasattr(term, "tell"):
                    told = self.with_ghosts(term.tell(basis, invariants, atoms), atoms)
                    if hasattr(term, "gather_by_kernels"):
                        part = term.gather_by_kernels(told, geometry, self.norm)[: basis.shape[0]]
                    else:
                        part = self.norm * term.gather(told, edges, atoms, mixing_weight)
                else:
                    part = term(basis)
                rest = part if rest is None else rest + part
        return weights, rest

    def with_ghosts(self, values: Tensor, atoms: Atoms) -> Tensor:
        """Values of n_atoms atoms, and behind them those of ghosts, which other MPI ranks know.

        Portable models, which have none of our operations, know no ghosts.
        """
        if self.portable:
            return values
        return share_with_ghosts(values, atoms.sender.shape[0], self.exchange)
