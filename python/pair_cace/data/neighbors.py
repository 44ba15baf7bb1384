"""Neighbour lists in Python, from the library vesin."""

from __future__ import annotations

import numpy as np
import vesin

from ..errors import CaceError

MAX_CUTOFFS = 20_000


def neighbor_list(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All directed edges j → i with 0 < |r⃗| < cutoff, periodic images included.

    positions (N, 3) Å; cell (3, 3) rows are lattice vectors, Å; pbc (3,) bool; cutoff Å.
    Returns senders (E,), receivers (E,) int64 and vectors (E, 3) float64 with
    r⃗ = r_receiver − r_sender + lattice shift. Edges are sorted by receiver.

    Raises CaceError if the atoms are spread over more cutoffs than a cell list can number.
    """
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    extent = float(np.ptp(positions, axis=0).max()) if len(positions) else 0.0
    if extent > MAX_CUTOFFS * cutoff:
        raise CaceError(
            f"expected atoms within {MAX_CUTOFFS * cutoff:g} Å of each other, found {extent:g} Å; "
            "the structure has probably blown up: look at the last good frame"
        )
    senders, receivers, vectors = vesin.NeighborList(cutoff=cutoff, full_list=True).compute(
        points=positions,
        box=np.asarray(cell, dtype=np.float64),
        periodic=np.asarray(pbc, dtype=bool),
        quantities="ijD",  # D = r_j − r_i + shift: i sends, j receives
    )
    squared = np.einsum("ek,ek->e", vectors, vectors)
    keep = np.flatnonzero((squared > 0.0) & (squared < cutoff**2))
    keep = keep[np.argsort(receivers[keep], kind="stable")]
    return (
        senders[keep].astype(np.int64),
        receivers[keep].astype(np.int64),
        np.ascontiguousarray(vectors[keep]),
    )
