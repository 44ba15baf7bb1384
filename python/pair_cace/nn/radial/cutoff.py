"""The cutoff function."""

from __future__ import annotations

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
