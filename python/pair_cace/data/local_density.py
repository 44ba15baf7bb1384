"""How densely atoms stand around an atom."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .graph import Graph


def local_densities(graph: Graph, cutoff: float) -> Tensor:
    """Density around every atom, (N,) float64, atoms/Å³; ``cutoff`` of the edges in Å.

    ρ_i = (1 + Σ_j w(r_ij)) / ∫ w d³r with w = (1 − r²/r_c²)², in uniform matter the number of atoms per volume. The
    same as in src/pair_cace/ops/neighbors/contacts.h.
    """
    squared = (graph.vectors / cutoff).square().sum(dim=1)
    weights = (1.0 - squared).clamp_min(0.0).square()
    sums = torch.ones(graph.n_atoms, dtype=torch.float64, device=weights.device)
    sums.index_add_(0, graph.receivers, weights)
    return sums / (4.0 * math.pi * 8.0 / 105.0 * cutoff**3)
