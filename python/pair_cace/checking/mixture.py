"""Energies that come in two groups with a constant between them, moved together so that a fit can follow."""

from __future__ import annotations

import numpy as np


def moved_together(errors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n,) the part D z of ``errors`` ≈ c_group + D z, with z = 0 or 1 and one D, by least squares.

    groups   (n,) number of the group of every value; values alone in theirs get 0
    z and D are improved in turns, from a D that explains all of the variance.
    """
    shared = np.bincount(groups)[groups] > 1
    if shared.sum() < 4:
        return np.zeros_like(errors)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups[shared])]
    centered = np.concatenate([errors[group] - np.median(errors[group]) for group in members])
    size = 2.0 * float(np.sqrt(np.mean(centered**2)))
    upper = np.zeros(len(errors))
    for _ in range(20):
        before, differences = upper.copy(), []
        for group in members:
            chosen, weight, difference = _best_split(errors[group], size)
            upper[group] = chosen
            if weight:
                differences.append((weight, difference))
        if not differences:
            return np.zeros_like(errors)
        weights, values = np.array(differences).T
        size = float(weights @ values / weights.sum())
        if (upper == before).all():
            break
    return size * upper


def _best_split(values: np.ndarray, size: float) -> tuple[np.ndarray, float, float]:
    """Which of ``values`` are higher by ``size``; weight and value of the difference of their means."""
    n = len(values)
    order = np.argsort(values)
    ordered = values[order]
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    n_moved = np.arange(n)[::-1]  # all but the k = 1 … n lowest
    moved_sums = sums[-1] - size * n_moved
    moved_squares = squares[-1] - 2 * size * (sums[-1] - sums) + size**2 * n_moved
    n_low = 1 + int(np.argmin(moved_squares - moved_sums**2 / n))
    upper = np.zeros(n)
    upper[order[n_low:]] = 1.0
    if n_low == n:
        return upper, 0.0, 0.0
    difference = ordered[n_low:].mean() - ordered[:n_low].mean()
    return upper, n_low * (n - n_low) / n, float(difference)
