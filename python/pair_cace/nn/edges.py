"""What all layers of one evaluation need to know about the edges."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Geometry(NamedTuple):
    """Directed edges and nothing else, in the precision of the model."""

    vectors: Tensor  # (E, 3) r⃗ = r_i − r_j (+ lattice shift), Å
    senders: Tensor  # (E,) index j of the sending atom
    receivers: Tensor  # (E,) index i of the receiving atom


class Edges(NamedTuple):
    """Directed edges, from sender j to receiver i; lengths in Å.

    The vector of an edge is r⃗ = r_i − r_j (+ lattice shift), see ``pair_cace.data.graph``.
    """

    senders: Tensor  # (E,) index of the sending atom
    receivers: Tensor  # (E,) index of the receiving atom
    distances: Tensor  # (E,) r = |r⃗|
    cutoff_factors: Tensor  # (E,) f_c(r)
    basis: Tensor  # (E, n_rbf, N_l) R_n(r) f_c(r) û^𝐥
    radial: Tensor  # (E, n_rbf) R_n(r) f_c(r)
    angular: Tensor  # (E, N_l) û^𝐥


class Atoms(NamedTuple):
    """What a model knows of n_atoms atoms, and behind them of those that only send; N in all."""

    composition: Tensor  # (n_atoms, n_elements) weights of the trained elements, float64
    sender: Tensor  # (N, K) θ
    receiver: Tensor  # (n_atoms, K) θ', or (n_atoms, n_radial C) ρ with free mixing


def no_edges(geometry: Geometry) -> Edges:
    """What stands for the edges where nobody takes them."""
    none = geometry.vectors.new_zeros([0])
    return Edges(geometry.senders, geometry.receivers, none, none, none, none, none)
