"""Energies per atom within compositions: without what the composition of a frame explains alone."""

from __future__ import annotations

import numpy as np

LEAST_WITHIN = 10  # frames beyond the first of every composition, for a constant for each
# Frames of a composition that are compared; of fewer, each says too much of the others.
LEAST_SHARED = 4


class Compositions:
    """Takes out of (F, …) values per atom what the (F, elements) ``counts`` of atoms explain.

    If enough frames share their composition with others, that is a constant for each composition;
    otherwise, it is linear in the shares of the elements.
    """

    def __init__(self, counts: np.ndarray):
        _, groups = np.unique(counts, axis=0, return_inverse=True)
        groups = groups.ravel()
        sizes = np.bincount(groups)
        shared = sizes[groups] >= LEAST_SHARED
        self.within = shared.sum() - (sizes >= LEAST_SHARED).sum() >= LEAST_WITHIN
        self.compared = shared if self.within else np.ones(len(counts), dtype=bool)
        self.groups, self._sizes = groups, sizes  # (F,) number of the composition
        self._shares = counts / counts.sum(axis=1, keepdims=True)
        # Degrees of freedom that the constants take, and those that are left.
        self.lost = int(
            (sizes >= LEAST_SHARED).sum() if self.within else np.linalg.matrix_rank(self._shares)
        )
        self.left = int(self.compared.sum()) - self.lost

    def removed(self, values: np.ndarray) -> np.ndarray:
        """What is left of ``values``."""
        if not self.within:
            shares = self._shares
            return values - shares @ np.linalg.lstsq(shares, values, rcond=1e-8)[0]
        means = np.zeros((len(self._sizes), *values.shape[1:]))
        np.add.at(means, self.groups, values)
        means /= self._sizes.reshape(-1, *[1] * (values.ndim - 1))
        return values - means[self.groups]
