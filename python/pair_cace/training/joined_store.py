"""Two stores of structures, such as new data and those of a first training, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.graph import Graph
from ..data.labels import Labels
from .dataset import GraphStore


class JoinedStore:
    """The structures of one store, and behind them those of another; read as a ``GraphStore``."""

    def __init__(self, first: GraphStore, second: GraphStore):
        self.stores = first, second
        self.n_first = len(first)
        self.n_atoms = np.concatenate([first.n_atoms, second.n_atoms])
        self.n_edges = np.concatenate([first.n_edges, second.n_edges])
        self.config_types = first.config_types + second.config_types

    def __len__(self) -> int:
        return len(self.n_atoms)

    def species_of(self, structure: int) -> np.ndarray:
        store, k = self._of(structure)
        return store.species_of(k)

    def energy_of(self, structure: int) -> float:
        store, k = self._of(structure)
        return store.energy_of(k)

    def batch(self, structures: Sequence[int]) -> tuple[Graph, Labels]:
        """Graph and labels of some structures side by side."""
        parts = [self._of(structure) for structure in structures]
        pairs = [store.batch([k]) for store, k in parts]
        return Graph.joined([pair[0] for pair in pairs]), Labels.joined([pair[1] for pair in pairs])

    def _of(self, structure: int) -> tuple[GraphStore, int]:
        """The store that a structure is in, and its number there."""
        if structure < self.n_first:
            return self.stores[0], int(structure)
        return self.stores[1], int(structure) - self.n_first
