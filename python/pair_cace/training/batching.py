"""Which structures go into which batch, on which process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.graph import packed
from .config import TrainingSection
from .dataset import GraphStore


def split(n_structures: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and the validation structures, disjoint, by ``seed``.

    Both have at least one structure; there must be two.
    """
    order = np.random.default_rng([seed, 0]).permutation(n_structures)
    n_valid = min(max(1, round(fraction * n_structures)), n_structures - 1)
    return np.sort(order[n_valid:]), np.sort(order[:n_valid])


def batches(
    structures: Sequence[int], store: GraphStore, training: TrainingSection
) -> list[list[int]]:
    """Consecutive structures, as many in a batch as the rule of ``training`` allows, at least one."""
    if training.batch_size is not None:
        limit, sizes = training.batch_size, np.ones(len(store), int)
    elif training.batch_atoms is not None:
        limit, sizes = training.batch_atoms, store.n_atoms
    else:
        limit, sizes = training.batch_edges, store.n_edges
    return packed(map(int, structures), sizes.__getitem__, limit)


def shuffled(structures: Sequence[int], seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch; depends on seed and epoch alone, so that a resumed run repeats it."""
    return np.random.default_rng([seed, 1, epoch]).permutation(structures)


def share(batch: Sequence[int], rank: int, n_ranks: int) -> list[int]:
    """The part of a joint batch that one process computes; may be empty."""
    return list(batch[rank::n_ranks])
