"""Bessel functions as a radial basis."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .basis import RadialBasis


class BesselBasis(RadialBasis):
    """R_n(r) = sqrt(2/r_c) · sin(ω_n r)/r, n = 1 … n_rbf (Gasteiger et al., ICLR 2020, Eq. 7).

    The frequencies ω_n (1/Å) start at nπ/r_c and may be trained.
    """

    has_kernels = True

    def __init__(self, settings):
        super().__init__(settings)
        cutoff = settings.cutoff
        frequencies = torch.arange(1, settings.n_rbf + 1) * (math.pi / cutoff)
        self.frequencies = nn.Parameter(frequencies, requires_grad=settings.trainable_rbf)
        # A buffer, not a formula: published models carry it rounded to float32.
        self.register_buffer("prefactor", torch.tensor(math.sqrt(2.0 / cutoff)))
        self.known_prefactor = 0.0  # the same, of an export, which need not ask a GPU for it

    def prefactor_value(self) -> float:
        """``prefactor`` as a number."""
        return self.known_prefactor if self.known_prefactor > 0.0 else float(self.prefactor)

    def before_export(self) -> None:
        self.known_prefactor = float(self.prefactor)

    def forward(self, distances: Tensor) -> Tensor:
        """(E,) distances in Å to (E, n_rbf)."""
        r = distances.unsqueeze(-1)
        return self.prefactor * torch.sin(self.frequencies * r) / r


class StretchedBesselBasis(BesselBasis):
    """R_n(r) = sqrt(2/r_c) · sin(ω_n s(r))/r with s = r_c (1 − exp(−r/ρ)) / (1 − exp(−r_c/ρ)), ρ = ``radial_length``.

    As ``BesselBasis``, but short distances are resolved finer than long ones, where atoms feel each other less.
    """

    def __init__(self, settings):
        super().__init__(settings)
        self.kind = 1
        self.length = float(settings.radial_length)
        self.cutoff = float(settings.cutoff)

    def forward(self, distances: Tensor) -> Tensor:
        """(E,) distances in Å to (E, n_rbf)."""
        scale = self.cutoff / -math.expm1(-self.cutoff / self.length)
        stretched = -torch.expm1(distances / -self.length) * scale
        return (
            self.prefactor
            * torch.sin(self.frequencies * stretched.unsqueeze(-1))
            / distances.unsqueeze(-1)
        )
