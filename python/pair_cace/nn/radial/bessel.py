"""Radial basis: Bessel functions under a polynomial cutoff."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PolynomialCutoff(nn.Module):
    """f_c(r) = 1 − (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) − p(p+1)/2 x^(p+2), x = r/r_c; 0 beyond r_c.

    Value, first and second derivative vanish at r_c (Gasteiger et al., ICLR 2020, Eq. 8).
    """

    def __init__(self, cutoff: float, exponent: int):
        super().__init__()
        self.cutoff = float(cutoff)
        self.exponent = int(exponent)

    def forward(self, distances: Tensor) -> Tensor:
        """(E,) distances in Å to (E,) factors between 1 and 0."""
        p = self.exponent
        x = distances / self.cutoff
        polynomial = (
            1.0
            - 0.5 * (p + 1) * (p + 2) * x**p
            + p * (p + 2) * x ** (p + 1)
            - 0.5 * p * (p + 1) * x ** (p + 2)
        )
        return torch.where(distances < self.cutoff, polynomial, torch.zeros_like(polynomial))


class BesselBasis(nn.Module):
    """R_n(r) = sqrt(2/r_c) · sin(ω_n r)/r, n = 1 … n_rbf (Gasteiger et al., ICLR 2020, Eq. 7).

    The frequencies ω_n (1/Å) start at nπ/r_c and may be trained.
    """

    def __init__(self, cutoff: float, n_rbf: int, trainable: bool):
        super().__init__()
        frequencies = torch.arange(1, n_rbf + 1) * (math.pi / cutoff)
        self.frequencies = nn.Parameter(frequencies, requires_grad=trainable)
        # A buffer, not a formula: published models carry it rounded to float32.
        self.register_buffer("prefactor", torch.tensor(math.sqrt(2.0 / cutoff)))
        self.known_prefactor = 0.0  # the same, of an export, which need not ask a GPU for it

    def prefactor_value(self) -> float:
        """``prefactor`` as a number."""
        return self.known_prefactor if self.known_prefactor > 0.0 else float(self.prefactor)

    def forward(self, distances: Tensor) -> Tensor:
        """(E,) distances in Å to (E, n_rbf)."""
        r = distances.unsqueeze(-1)
        return self.prefactor * torch.sin(self.frequencies * r) / r
