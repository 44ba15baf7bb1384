"""Numbers that two structures share if they are the same up to motion and order of the atoms."""

from __future__ import annotations

import numpy as np

from .record import Record

RELATIVE = 3e-6  # structures as files with 8 digits keep them differ less


def fingerprint(record: Record, cutoff: float) -> np.ndarray:
    """(6,) sums over atoms that rotation, reflection and reordering do not change.

    Atoms begin with a number by element and take in those of their neighbours, weighted by distance, three
    times over, so that crystals are told apart by the order of their elements. All weights go to
    zero smoothly at the cutoff: rounding moves no edge in or out.
    """
    n_atoms = len(record.numbers)
    smooth = np.clip(1.0 - (record.distances / cutoff) ** 2, 0.0, None) ** 2
    short = smooth / record.distances**2
    values = 1.0 + 0.5 * np.sin(record.numbers.astype(np.float64))  # all different
    sums = []
    for _ in range(3):
        around = np.bincount(record.receivers, smooth * values[record.senders], n_atoms)
        near = np.bincount(record.receivers, short * values[record.senders], n_atoms)
        values = values * (1.0 + 0.5 * np.sin(around) * np.cos(3.0 * near))
        sums += [values.sum(), (values**2 * np.cos(near)).sum() + 2.0 * n_atoms * values.max()]
    return np.array(sums)
