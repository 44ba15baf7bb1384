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
    centered = np.zeros_like(errors)
    for group in members:
        centered[group] = errors[group] - np.median(errors[group])
    size = 2.0 * float(np.sqrt(np.mean(centered[shared] ** 2)))
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
    best, n_low = np.inf, n
    for k in range(1, n + 1):  # the k lowest stay
        moved_sum = sums[-1] - size * (n - k)
        moved_squares = squares[-1] - 2 * size * (sums[-1] - sums[k - 1]) + size**2 * (n - k)
        cost = moved_squares - moved_sum**2 / n
        if cost < best:
            best, n_low = cost, k
    upper = np.zeros(n)
    upper[order[n_low:]] = 1.0
    if n_low == n:
        return upper, 0.0, 0.0
    difference = ordered[n_low:].mean() - ordered[:n_low].mean()
    return upper, n_low * (n - n_low) / n, float(difference)
