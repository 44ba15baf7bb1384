"""What the training data extend over: see ``io.training_extent``."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from ase.data import chemical_symbols

from ..data.graph import Graph, packed
from ..data.local_density import local_densities
from ..io.training_extent import Ranges, TrainingExtent, merged_ranges, pair_name, ranges_of
from .data import Part

EDGES_AT_A_TIME = 200_000
N_NUMBERS = len(chemical_symbols)


def extent_of(train: Part, cutoff: float) -> TrainingExtent:
    """Of all structures of ``train``, whose edges are up to ``cutoff`` in Å; reads every edge once."""
    squared = np.full((N_NUMBERS, N_NUMBERS), np.inf)
    densities: dict[int, Ranges] = defaultdict(tuple)
    means: dict[int, Ranges] = defaultdict(tuple)
    cells: Ranges = ()
    n_edges = train.store.n_edges
    for some in packed(train.structures.tolist(), n_edges.__getitem__, EDGES_AT_A_TIME):
        graph, _ = train.store.batch(some)
        _lower_to_shortest(squared, graph)
        species, structure = graph.species.numpy(), graph.structure.numpy()
        found = local_densities(graph, cutoff).numpy()
        for z in np.unique(species).tolist():
            of_element = species == z
            densities[z] = merged_ranges(densities[z] + ranges_of(found[of_element]))
            counts = np.bincount(structure[of_element], minlength=graph.n_structures)
            sums = np.bincount(structure[of_element], found[of_element], graph.n_structures)
            means[z] = merged_ranges(means[z] + ranges_of(sums[counts > 0] / counts[counts > 0]))
        volumes = graph.volumes.numpy()
        per_volume = np.bincount(structure, minlength=graph.n_structures) / volumes
        cells = merged_ranges(cells + ranges_of(per_volume[np.isfinite(per_volume)]))
    numbers = sorted(densities)
    return TrainingExtent(
        cutoff=cutoff,
        n_structures=len(train.structures),
        n_atoms=int(train.store.n_atoms[train.structures].sum()),
        elements=[chemical_symbols[z] for z in numbers],
        closest={
            pair_name(chemical_symbols[a], chemical_symbols[b]): float(np.sqrt(squared[a, b]))
            for a in numbers for b in numbers
            if a <= b and squared[a, b] < np.inf
        },
        densities=_by_symbol(densities),
        mean_densities=_by_symbol(means),
        cell_densities=cells,
    )  # fmt: skip


def _lower_to_shortest(squared: np.ndarray, graph: Graph) -> None:
    """``squared[z_sender, z_receiver]`` and its mirror image to what the graph has, in Å²."""
    lengths = graph.vectors.square().sum(dim=1).numpy()
    species = graph.species.numpy()
    pairs = species[graph.senders.numpy()] * N_NUMBERS + species[graph.receivers.numpy()]
    for pair in np.unique(pairs).tolist():
        a, b = divmod(pair, N_NUMBERS)
        shortest = lengths[pairs == pair].min()
        squared[a, b] = squared[b, a] = min(squared[a, b], shortest)


def _by_symbol(of_numbers: dict[int, Ranges]) -> dict[str, Ranges]:
    return {chemical_symbols[z]: of_numbers[z] for z in sorted(of_numbers)}
