"""Angular basis: Cartesian monomials of the edge direction, and their order.

This file owns the order of the angular index 𝐥 = (lx, ly, lz): l = lx + ly + lz ascending and,
inside one l, (lx, ly, lz) in descending lexicographic order::

    000 | 100 010 001 | 200 110 101 020 011 002 | 300 210 201 120 111 102 030 021 012 003 | ...
"""

from math import factorial
from typing import List, Tuple

import torch
from torch import Tensor, nn

Triple = tuple[int, int, int]


def triples(l: int) -> list[Triple]:
    """All (lx, ly, lz) with lx + ly + lz = l, in the order of this file."""
    return [(lx, ly, l - lx - ly) for lx in range(l, -1, -1) for ly in range(l - lx, -1, -1)]


def triples_up_to(l_max: int) -> list[Triple]:
    """All (lx, ly, lz) of degree 0 … l_max; there are (L+1)(L+2)(L+3)/6 of them."""
    return [triple for l in range(l_max + 1) for triple in triples(l)]


def multinomial(triple: Triple) -> int:
    """M(𝐥) = l! / (lx! ly! lz!)."""
    lx, ly, lz = triple
    return factorial(lx + ly + lz) // (factorial(lx) * factorial(ly) * factorial(lz))


class AngularBasis(nn.Module):
    """û^𝐥 = û_x^lx û_y^ly û_z^lz for every 𝐥 up to ``l_max`` (Eq. 3 of the paper)."""

    steps: List[Tuple[int, int]]  # spelled for TorchScript, which must type an empty list (L = 0)

    def __init__(self, l_max: int):
        super().__init__()
        order = triples_up_to(l_max)
        # Every monomial is one of lower degree times one component of û: (where, component).
        self.steps = []
        for triple in order[1:]:
            component = next(k for k in range(3) if triple[k] > 0)
            lower = tuple(power - (k == component) for k, power in enumerate(triple))
            self.steps.append((order.index(lower), component))

    def forward(self, directions: Tensor) -> Tensor:
        """(E, 3) unit vectors to (E, N_l) monomials."""
        columns = [torch.ones_like(directions[:, 0])]
        for lower, component in self.steps:
            columns.append(columns[lower] * directions[:, component])
        return torch.stack(columns, dim=1)  # (E, N_l)
