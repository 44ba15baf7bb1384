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
