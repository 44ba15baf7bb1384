"""Several stores of structures, such as new data and those of a first training, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.graph import Graph
from ..data.labels import Labels
from .dataset import GraphStore


class JoinedStore:
    """The structures of some stores, one store behind the other; read as a ``GraphStore`` is."""

    def __init__(self, stores: Sequence[GraphStore]):
        self.stores = list(stores)
        self.name = "+".join(store.name for store in stores)
        self.first = np.cumsum([0] + [len(store) for store in stores])  # structure of each store
        self.n_atoms = np.concatenate([store.n_atoms for store in stores])
        self.n_edges = np.concatenate([store.n_edges for store in stores])
        self.config_types = sum((store.config_types for store in stores), [])

    def __len__(self) -> int:
        return len(self.n_atoms)

    def species_of(self, structure: int) -> np.ndarray:
        store, k = self._of(structure)
        return store.species_of(k)

    def output_of(self, name: str, structure: int) -> np.ndarray:
        store, k = self._of(structure)
        return store.output_of(name, k)

    def energies(self, structures: np.ndarray) -> np.ndarray:
        parts = [self._of(structure) for structure in np.atleast_1d(structures)]
        found = np.array([float(store.energies(k)) for store, k in parts])
        return found.reshape(np.shape(structures))

    def label_counts(self, structures: np.ndarray) -> np.ndarray:
        parts = [self._of(structure) for structure in structures]
        return sum(store.label_counts(np.array([k])) for store, k in parts)

    def batch(self, structures: Sequence[int]) -> tuple[Graph, Labels]:
        parts = [self._of(structure) for structure in structures]
        pairs = [store.batch([k]) for store, k in parts]
        return Graph.joined([pair[0] for pair in pairs]), Labels.joined([pair[1] for pair in pairs])

    def _of(self, structure: int) -> tuple[GraphStore, int]:
        """The store that a structure is in, and its number there."""
        n = int(np.searchsorted(self.first, structure, side="right")) - 1
        return self.stores[n], int(structure - self.first[n])
