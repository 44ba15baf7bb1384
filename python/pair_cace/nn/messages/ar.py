"""The message that passes A on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...operations import radial_message
from ..angular import triples_up_to
from ..atomic_basis import degree_of_each_triple, sum_over_neighbors
from ..edges import Atoms, Edges, Geometry
from .term import MessageTerm


class ArMessage(MessageTerm):
    """A_Ar = Σ_{e→i} F(r) f_c(r) A^t_j with F^(l)_{n',c} = a exp(−b r), b in 1/Å."""

    has_kernels = True
    has_operations = True
    goes_with_free_mixing = True

    def __init__(self, settings):
        super().__init__(settings)
        shape = (settings.n_radial, settings.l_max + 1, settings.n_channels)
        self.amplitude = nn.Parameter(torch.rand(shape))
        self.decay = nn.Parameter((0.5 + torch.rand(shape)) / settings.cutoff)
        self.cutoff = settings.cutoff
        self.cutoff_exponent = settings.cutoff_exponent
        self.register_buffer("degree", degree_of_each_triple(settings.l_max), persistent=False)

    @staticmethod
    def values_per_ghost(settings) -> int:
        return settings.n_radial * len(triples_up_to(settings.l_max)) * settings.n_channels

    @torch.jit.export
    def tell(self, basis: Tensor, invariants: Tensor, atoms: Atoms) -> Tensor:
        return basis

    @torch.jit.export
    def gather(self, told: Tensor, edges: Edges, atoms: Atoms, mixing_weight: Tensor) -> Tensor:
        r = edges.distances[:, None, None, None]
        f_c = edges.cutoff_factors[:, None, None, None]
        factors = self.amplitude * torch.exp(-self.decay * r) * f_c  # (E, n_radial, L+1, C)
        factors = factors.index_select(2, self.degree)  # (E, n_radial, N_l, C)
        values = factors * told.index_select(0, edges.senders)
        return sum_over_neighbors(values, edges.receivers, atoms.receiver.shape[0])

    def gather_by_kernels(self, told: Tensor, geometry: Geometry, norm: float) -> Tensor:
        return radial_message(
            geometry.vectors,
            geometry.senders,
            geometry.receivers,
            told,
            norm * self.amplitude,
            self.decay,
            self.cutoff,
            self.cutoff_exponent,
        )

    def divide(self, norms: Tensor) -> None:
        self.amplitude /= norms.permute(1, 0, 2)
