"""How much reference values differ among themselves: what errors are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .composition import compositions, energies_after_E0
from .evaluation import Evaluation, Pairs


@dataclass(frozen=True)
class Spreads:
    """Of the labels of a set of frames; NaN without labels, and where they do not differ."""

    energy: float  # eV/atom
    stress: float  # eV/Å³
    within_compositions: bool  # whether ``energy`` is that, or that of all energies after E0
    outputs: Mapping[str, float] = field(default_factory=dict)  # in their units


def spreads_of(evaluation: Evaluation, E0: Mapping[str, float]) -> Spreads:
    """Standard deviations of energies per atom, of stresses, and of outputs about means of elements.

    Energies of one composition are compared with each other, since what tells compositions apart
    is easily learned; if fewer than half of the frames have another one of their composition, all
    energies per atom after E0 (eV by element) are. Components of stress are about their own mean.
    """
    energy, within = np.nan, True
    if evaluation.energy_per_atom:
        known = np.isfinite(evaluation.labels["energies"])
        groups = np.array(compositions(evaluation))[known]
        energy, within = _energy_spread(energies_after_E0(evaluation, E0).reference, groups)
    stress = np.nan
    if evaluation.stress:
        labels = evaluation.labels["stresses"]
        labels = labels[np.isfinite(labels).all(axis=(1, 2))].reshape(-1, 9)
        if len(labels) > 1:
            stress = _or_nan(np.sqrt(labels.var(axis=0, ddof=1).mean()))
    outputs = {
        q.name: about_means(evaluation.labelled_species(q), evaluation.pairs[q.name].reference)[1]
        for q in evaluation.quantities
        if q.is_output and evaluation.pairs[q.name]
    }
    return Spreads(energy, stress, within, outputs)


def share_of_spread(quantity: str, pairs: Pairs, spreads: Spreads) -> float:
    """RMSE of a row of ``Evaluation.rows`` over the spread of its labels; NaN if there is none.

    Forces are compared with their own root mean square, which is what a model without forces errs.
    """
    name = quantity.partition(" on ")[0]
    if name in spreads.outputs:
        spread = spreads.outputs[name]
    elif name == "force":
        spread = _or_nan(np.sqrt(np.mean(pairs.reference**2)))
    else:
        spread = spreads.stress if quantity == "stress" else spreads.energy
    return pairs.rmse / spread


def about_means(groups: np.ndarray, values: np.ndarray) -> tuple[dict[int, float], float]:
    """Means of ``values`` by group, and their standard deviation about them.

    That about the mean of all if they are all as their groups, or else 1.
    """
    if not len(values):
        return {}, 1.0
    names, numbers = np.unique(groups, return_inverse=True)
    means = np.bincount(numbers, values) / np.bincount(numbers)
    spread = next(
        (s for s in ((values - means[numbers]).std(), values.std()) if np.isfinite(_or_nan(s))), 1.0
    )
    return dict(zip(names.tolist(), means.tolist())), float(spread)


def _energy_spread(energies: np.ndarray, groups: np.ndarray) -> tuple[float, bool]:
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shared = sizes[numbers] > 1  # frames with another one of their composition
    if shared.sum() < 0.5 * len(energies):
        return (_or_nan(energies.std(ddof=1)) if len(energies) > 1 else np.nan), False
    means = np.bincount(numbers, energies) / sizes
    squares = ((energies - means[numbers])[shared] ** 2).sum()
    freedom = shared.sum() - (sizes > 1).sum()
    return _or_nan(np.sqrt(squares / freedom)), True


def _or_nan(spread: float) -> float:
    return float(spread) if spread > 1e-12 else np.nan
