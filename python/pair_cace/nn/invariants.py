"""Invariants B: products of up to four A, contracted over 𝐥 to scalars under rotation."""

from __future__ import annotations

from collections import Counter
from itertools import product

import torch
from torch import Tensor, nn

from .angular import Triple, multinomial, triples, triples_up_to

# One invariant: {sorted indices of the A that are multiplied: coefficient}.
Terms = Counter


def _plus(a: Triple, b: Triple) -> Triple:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def invariants_of_order(nu: int, l_max: int) -> list[Terms]:
    """The invariants with ``nu`` factors, in the order in which they are features (Eq. 8-10).

    ν=2: Σ M(𝐥) A_𝐥²,                                                l = 1 … L
    ν=3: Σ M(𝐥1) M(𝐥2) A_𝐥1 A_𝐥2 A_{𝐥1+𝐥2},                           0 < l1 ≤ l2, l1+l2 ≤ L
    ν=4: Σ M(𝐥1) M(𝐥2) M(𝐝) A_𝐥1 A_𝐥2 A_{𝐥1+𝐝} A_{𝐥2+𝐝},              0 < l1 < l2, 1 ≤ d ≤ L-l2
    """
    index = {triple: k for k, triple in enumerate(triples_up_to(l_max))}
    found: list[Terms] = []

    def add(factors_and_weights) -> None:
        terms: Terms = Counter()
        for factors, weight in factors_and_weights:
            terms[tuple(sorted(index[factor] for factor in factors))] += weight
        found.append(terms)

    if nu == 1:
        add([([(0, 0, 0)], 1)])
    elif nu == 2:
        for l in range(1, l_max + 1):
            add(([a, a], multinomial(a)) for a in triples(l))
    elif nu == 3:
        for l1 in range(1, l_max + 1):
            for l2 in range(l1, l_max - l1 + 1):
                add(
                    ([a, b, _plus(a, b)], multinomial(a) * multinomial(b))
                    for a, b in product(triples(l1), triples(l2))
                )
    elif nu == 4:
        for l1 in range(1, l_max + 1):
            for l2 in range(l1 + 1, l_max + 1):
                for d in range(1, l_max - l2 + 1):
                    add(
                        (
                            [a, b, _plus(a, c), _plus(b, c)],
                            multinomial(a) * multinomial(b) * multinomial(c),
                        )
                        for a, b, c in product(triples(l1), triples(l2), triples(d))
                    )
    else:
        raise ValueError(f"invariants are defined for nu = 1 … 4, got {nu}")
    return found


def number_of_invariants(l_max: int, nu_max: int) -> int:
    """N_B, the number of invariants per radial function and channel."""
    return sum(len(invariants_of_order(nu, l_max)) for nu in range(1, nu_max + 1))


class Product(nn.Module):
    """All invariants with ``nu`` factors: gather, multiply, sum."""

    def __init__(self, nu: int, l_max: int):
        super().__init__()
        invariants = invariants_of_order(nu, l_max)
        self.n_features = len(invariants)
        rows = [
            (feature, coefficient, factors)
            for feature, terms in enumerate(invariants)
            for factors, coefficient in sorted(terms.items())
        ]
        factors = torch.tensor([row[2] for row in rows], dtype=torch.long).reshape(-1, nu)
        contraction = torch.zeros(len(rows), self.n_features)
        for term, (feature, coefficient, _) in enumerate(rows):
            contraction[term, feature] = coefficient
        self.register_buffer("factors", factors.T.contiguous(), persistent=False)  # (ν, terms)
        self.register_buffer("contraction", contraction, persistent=False)  # (terms, features)

    def forward(self, basis: Tensor) -> Tensor:
        """(N, n_radial, N_l, C) to (N, n_radial, features of this order, C)."""
        terms = basis.index_select(2, self.factors[0])
        for k in range(1, self.factors.shape[0]):
            terms = terms * basis.index_select(2, self.factors[k])
        return torch.einsum("irtc,tf->irfc", terms, self.contraction)


class Invariants(nn.Module):
    """B of all orders ν = 1 … ν_max, in ascending order of ν."""

    def __init__(self, l_max: int, nu_max: int):
        super().__init__()
        orders = [Product(nu, l_max) for nu in range(1, nu_max + 1)]
        self.orders = nn.ModuleList(order for order in orders if order.n_features > 0)

    def forward(self, basis: Tensor) -> Tensor:
        """(N, n_radial, N_l, C) to (N, n_radial, N_B, C)."""
        features: list[Tensor] = []
        for order in self.orders:
            features.append(order(basis))
        return torch.cat(features, dim=2)
