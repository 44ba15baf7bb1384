"""The message of an atom to itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..atomic_basis import degree_of_each_triple
from .term import MessageTerm


class MemoryMessage(MessageTerm):
    """A_M = m^(l)_{n',c} · A^t; m starts at 0.25."""

    has_kernels = True
    has_kernels_with_free_mixing = True
    has_operations = True
    goes_with_free_mixing = True
    member = "memory"

    def __init__(self, settings):
        super().__init__(settings)
        shape = (settings.n_radial, settings.l_max + 1, settings.n_channels)
        self.weight = nn.Parameter(torch.full(shape, 0.25))
        self.register_buffer("degree", degree_of_each_triple(settings.l_max), persistent=False)

    def forward(self, basis: Tensor) -> Tensor:
        """(N, n_radial, N_l, C) to the same shape."""
        return self.weight.index_select(1, self.degree) * basis
