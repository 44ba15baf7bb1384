"""What the model reads: one structure, or many side by side, as atoms and directed edges.

Signs and units are those of src/pair_cace/ops/edge_forces.h: an edge goes from sender j to
receiver i, and its vector is r⃗ = r_i − r_j (+ lattice shift).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import ase
import numpy as np
import torch
from torch import Tensor

from .neighbors import neighbor_list

Item = TypeVar("Item")


def packed(items: Iterable[Item], size_of: Callable[[Item], int], limit: int) -> list[list[Item]]:
    """Consecutive items together, up to ``limit`` by the sum of their sizes, or one that is larger."""
    found: list[list[Item]] = []
    total = 0
    for item in items:
        size = size_of(item)
        if not found or total + size > limit:
            found.append([])
            total = 0
        found[-1].append(item)
        total += size
    return found


@dataclass(frozen=True)
class Graph:
    """N atoms in S structures with E edges; lengths in Å."""

    vectors: Tensor  # (E, 3) float64
    senders: Tensor  # (E,) int64, index of an atom
    receivers: Tensor  # (E,) int64, index of an atom
    species: Tensor  # (N,) int64, atomic numbers
    structure: Tensor  # (N,) int64, the structure that an atom belongs to
    volumes: Tensor  # (S,) float64, Å³; NaN where there is no cell

    @property
    def n_atoms(self) -> int:
        return self.species.shape[0]

    @property
    def n_structures(self) -> int:
        return self.volumes.shape[0]

    @classmethod
    def of(cls, atoms: ase.Atoms, cutoff: float) -> "Graph":
        """The graph of one structure; ``cutoff`` in Å."""
        cell = np.asarray(atoms.cell.array)
        edges = neighbor_list(atoms.positions, cell, atoms.pbc, cutoff)
        return cls.of_edges(atoms, *map(torch.from_numpy, edges))

    @classmethod
    def of_edges(
        cls, atoms: ase.Atoms, senders: Tensor, receivers: Tensor, vectors: Tensor
    ) -> "Graph":
        """The graph of one structure whose edges are known, on their device."""
        graph = cls(
            vectors=vectors,
            senders=senders,
            receivers=receivers,
            species=torch.from_numpy(atoms.numbers.astype(np.int64)),
            structure=torch.zeros(len(atoms), dtype=torch.int64),
            volumes=torch.tensor(
                [atoms.cell.volume if atoms.cell.rank == 3 else np.nan], dtype=torch.float64
            ),
        )
        return graph.to(vectors.device)

    @classmethod
    def joined(cls, graphs: Sequence["Graph"]) -> "Graph":
        """Several graphs as one that has no edges between them."""
        atoms_before = np.cumsum([0] + [graph.n_atoms for graph in graphs])
        structures_before = np.cumsum([0] + [graph.n_structures for graph in graphs])
        return cls(
            vectors=torch.cat([g.vectors for g in graphs]),
            senders=torch.cat([g.senders + int(n) for g, n in zip(graphs, atoms_before)]),
            receivers=torch.cat([g.receivers + int(n) for g, n in zip(graphs, atoms_before)]),
            species=torch.cat([g.species for g in graphs]),
            structure=torch.cat([g.structure + int(n) for g, n in zip(graphs, structures_before)]),
            volumes=torch.cat([g.volumes for g in graphs]),
        )

    def to(self, device: torch.device | str) -> "Graph":
        """The same graph on another device."""
        return Graph(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})
