"""A structure that every model can be tried on."""

from __future__ import annotations

import itertools

import ase
import numpy as np

from ..data.graph import Graph
from ..nn import Hyperparameters


def probe_structure(settings: Hyperparameters) -> Graph:
    """A shaken cluster that holds every element of the model at several distances.

    Always the same for the same settings. About 0.4 cutoffs between neighbours.
    """
    rng = np.random.default_rng(20240704)
    numbers = settings.atomic_numbers
    side = max(3, int(np.ceil(len(numbers) ** (1 / 3))))
    lattice = np.array(list(itertools.product(range(side), repeat=3)), dtype=float)
    spacing = 0.4 * settings.cutoff
    positions = spacing * (lattice + rng.uniform(-0.2, 0.2, lattice.shape))
    species = rng.permutation([numbers[k % len(numbers)] for k in range(len(lattice))])
    return Graph.of(ase.Atoms(numbers=species, positions=positions), settings.cutoff)
