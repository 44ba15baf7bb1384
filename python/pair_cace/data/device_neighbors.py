"""Neighbour lists where the positions are, on a GPU or a CPU, kept from call to call."""

from __future__ import annotations

import math

import numpy as np
import torch
from ase.geometry import complete_cell
from torch import Tensor

from ..errors import CaceError
from ..operations import search_neighbors, select_edges


class DeviceNeighborList:
    """Edges of one structure that moves: searched anew only when an atom has moved by half the skin.

    cutoff    Å
    skin      Å; the list holds pairs up to cutoff + skin

    The edges are those of ``neighbors.neighbor_list``. Periodic images become points of their own
    (src/pair_cace/ops/neighbors/), so that cells may have any shape and size.
    """

    def __init__(self, cutoff: float, skin: float = 0.0):
        self.cutoff = cutoff
        self.skin = skin
        self.n_searches = 0
        self._built_for: tuple | None = None  # cell, pbc
        self._built_at: Tensor | None = None  # positions

    def edges(
        self, positions: Tensor, cell: np.ndarray, pbc: np.ndarray
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All directed edges j → i with 0 < |r⃗| < cutoff, sorted by receiver.

        positions (N, 3) float64, Å; cell (3, 3) rows are lattice vectors, Å; pbc (3,) bool.
        Returns senders (E,), receivers (E,) int64 and vectors (E, 3) float64 on the same device,
        r⃗ = r_receiver − r_sender + lattice shift.

        Raises CaceError if positions are not finite.
        """
        if not bool(torch.isfinite(positions).all()):
            raise CaceError(
                "expected finite positions, found NaN or infinity; the structure has probably "
                "blown up: look at the last good frame"
            )
        if self._is_outdated(positions, cell, pbc):
            self._search(positions, np.array(cell), np.array(pbc))
        vectors, senders, receivers = select_edges(
            self._points(positions), *self._neighbors, self._owners, self.cutoff
        )
        return senders, receivers, vectors

    def _is_outdated(self, positions: Tensor, cell: np.ndarray, pbc: np.ndarray) -> bool:
        if self._built_at is None or self._built_at.shape != positions.shape:
            return True
        if any((old != new).any() for old, new in zip(self._built_for, (cell, pbc))):
            return True
        moved = (positions - self._built_at).square().sum(dim=1)
        return bool((moved > (0.5 * self.skin) ** 2).any())

    def _points(self, positions: Tensor) -> Tensor:
        return positions.index_select(0, self._owners) + self._offsets

    def _search(self, positions: Tensor, cell: np.ndarray, pbc: np.ndarray) -> None:
        reach = self.cutoff + self.skin
        self._owners, self._offsets = _images(positions, cell, pbc, reach)
        n_atoms = positions.shape[0]
        self._neighbors = search_neighbors(self._points(positions), n_atoms, reach)
        self._built_for, self._built_at = (cell, pbc), positions.clone()
        self.n_searches += 1


def _images(
    positions: Tensor, cell: np.ndarray, pbc: np.ndarray, reach: float
) -> tuple[Tensor, Tensor]:
    """Atoms, moved into the cell, and behind them those of their images within ``reach`` of it.

    Returns the atom (P,) that every point is, and what is to be added to its position (P, 3).
    """
    complete = complete_cell(cell)
    inverse = np.linalg.inv(complete)
    widths = 1.0 / np.linalg.norm(inverse, axis=0)  # between the faces of the cell, Å
    lattice = torch.from_numpy(complete).to(positions)
    fractions = positions @ torch.from_numpy(inverse).to(positions)
    periodic = torch.from_numpy(np.asarray(pbc, dtype=bool)).to(positions.device)
    wrap = torch.where(periodic, -torch.floor(fractions), 0.0)
    fractions = fractions + wrap

    owners = torch.arange(positions.shape[0], device=positions.device)
    shifts = torch.zeros_like(positions)
    for axis in np.flatnonzero(pbc):
        margin = reach / widths[axis]
        of_owners = fractions[owners, axis]
        found = [(owners, shifts)]
        for n in range(1, math.ceil(margin) + 1):
            for shift in (-n, n):
                moved = of_owners + shift
                near = torch.nonzero((moved >= -margin) & (moved <= 1.0 + margin)).squeeze(1)
                more = shifts[near].clone()
                more[:, axis] += shift
                found.append((owners[near], more))
        owners = torch.cat([o for o, _ in found])
        shifts = torch.cat([s for _, s in found])
    return owners, (wrap[owners] + shifts) @ lattice
