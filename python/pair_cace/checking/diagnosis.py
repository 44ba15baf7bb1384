"""What a trained model says of the data it was trained on: slopes of reference against prediction.

A model that learned forces well has energies and stresses that go with them. If labels have another unit or
sign than the forces, their slope against the predictions is not 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..composition import atom_counts, compositions
from ..evaluation import Evaluation
from .compositions import Compositions
from .consistency import energy_findings, stress_findings
from .energies import offset_between
from .finding import Finding
from .slopes import Slope, slope_of

SLACK = 1.5  # a trained model is off by less in the slopes that it is judged by
LEAST_CORRELATION = 0.6  # of energies that are compared across compositions
SOURCE = "the trained model"
# With one of these, energies and forces do not go together, whatever the frame.
WRONG_ENERGIES = frozenset({"energy-unit", "force-sign", "force-unit", "length-unit"})


@dataclass(frozen=True)
class Slopes:
    """Of reference against prediction; None where there is too little to compare."""

    energy: Slope | None  # per atom, within compositions
    across: bool  # whether energies had to be compared across compositions, up to E0
    force: Slope | None
    stress: Slope | None

    def __str__(self) -> str:
        where = "up to E0" if self.across else "within compositions"
        words = [
            f"{what} {slope.value:.2f}"
            for what, slope in (
                (f"energies {where}", self.energy), ("forces", self.force), ("stress", self.stress),
            )
            if slope and slope.is_certain
        ]  # fmt: skip
        return f"slopes of reference against prediction: {', '.join(words)}" if words else ""


def slopes(evaluation: Evaluation) -> Slopes:
    """The slopes of an evaluation, robust against a few frames far off."""
    n_atoms = evaluation.atoms_of_frames.astype(np.float64)
    known = np.isfinite(evaluation.labels["energies"]) & (n_atoms > 1)
    within = Compositions(atom_counts(evaluation)[1][known]) if known.any() else None
    energy = None
    if within:
        reference, predicted = (
            within.removed(x["energies"][known] / n_atoms[known])[within.compared]
            for x in (evaluation.labels, evaluation.predicted)
        )
        energy = slope_of(reference, predicted, within.lost)
    force, stress = evaluation.force, evaluation.stress
    return Slopes(
        energy=energy,
        across=bool(within) and not within.within,
        force=force and slope_of(force.reference, force.predicted),
        stress=stress and slope_of(stress.reference, stress.predicted),
    )


def diagnose(evaluation: Evaluation, names: Sequence[str] | None = None) -> list[Finding]:
    """What is probably wrong with labels, by an evaluation on frames that were not trained on.

    names   of the frames, for the findings; numbers from 0 if not given
    """
    names = list(names) if names else [f"frame {k}" for k in range(evaluation.n_frames)]
    found_slopes = slopes(evaluation)
    energy, force = found_slopes.energy, found_slopes.force
    if energy and found_slopes.across and abs(energy.correlation) < LEAST_CORRELATION:
        energy = None
    learned = force is None or abs(force.correlation) > LEAST_CORRELATION
    found: list[Finding] = []
    if force is not None and learned:
        force_scale = float(np.sqrt((evaluation.force.reference**2).mean()))
        found += energy_findings(energy, SLACK, SOURCE, force_scale)
    codes = {finding.code for finding in found}
    if learned and "length-unit" not in codes:
        # Where forces have the wrong sign, so has the stress that was learned from them.
        sign = -1.0 if "force-sign" in codes else 1.0
        volumes = np.nan  # not part of an evaluation
        certain = energy is not None and energy.is_certain
        found += stress_findings(
            found_slopes.stress, SLACK, SOURCE, volumes, sign, forces_are_right=certain
        )
    if not codes & WRONG_ENERGIES:
        found += offsets([evaluation], names)
    return found


def offsets(evaluations: Sequence[Evaluation], names: Sequence[str]) -> list[Finding]:
    """A warning if energies of all frames together come in two groups.

    A model does not tell the groups apart in frames that it was trained on, either, unless it was
    trained for very long; and of few frames, one cannot say.
    """
    errors = np.concatenate([e.labels["energies"] - e.predicted["energies"] for e in evaluations])
    formulas = [f"{n} {x}" for e in evaluations for n, x in zip(e.atoms_of_frames, compositions(e))]
    known = np.flatnonzero(np.isfinite(errors))
    return offset_between([names[k] for k in known], [formulas[k] for k in known], errors[known])
