"""What the forces of a data set say of its energies and stresses, by fits of a linear potential.

The potential is fitted to forces and energies / c together for factors c that known mistakes bring
about: 1 if all is right, -1 if forces have the wrong sign, 0.0367 if energies are in Hartree. With the
right c, frames that the fit has not seen come out best in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .compositions import Compositions
from .linear_potential import LinearPotential
from .mixture import moved_together
from .record import Record
from .slopes import Slope, plausible_energy_factors, slope_of

PROBE_ATOMS = 10_000  # whose forces are fitted
N_FOLDS = 3
PRIOR = 1e-2  # ridge of the parameters, (eV/Å)²
LEAST_FRAMES = 20
LEAST_LEFT = 15  # frames beyond the constants of compositions, for a verdict on energies
POOR = 0.4  # misfit of energies from which on two groups of them are looked for
# What two groups leave of the spread, if they explain it; of one normal distribution, 0.6.
CLEAR = 0.2


@dataclass(frozen=True)
class Misfit:
    """How far frames are from fits to others, relative to the spread of the labels."""

    energy: float
    force: float

    @property
    def score(self) -> float:
        return self.energy * self.force


@dataclass(frozen=True)
class Probe:
    """Of the F frames of a sample: what a linear potential, fitted to other frames, says of them."""

    records: list[Record]
    force_scale: float  # rms, eV/Å
    force_misfit: float  # of a fit to forces alone
    # By mistake: "" if nothing is wrong; names of ``ENERGY_FACTORS`` after "" or "-".
    misfits: dict[str, Misfit]
    mistake: str | None  # key of ``misfits`` that explains the data much better than ""
    factor: float  # what energies are taken to be too large by
    residuals: np.ndarray  # (F,) eV/atom, energies less their fit and the part of the composition
    stress_slope: Slope | None  # reference against fit
    mean_volume: float  # Å³


def mistake_in(misfits: Mapping[str, Misfit], force_misfit: float) -> str | None:
    """The key that explains energies and forces much better than ""; None if there is none.

    Only a fit counts that explains energies at all, and the forces nearly as well as one to forces
    alone: otherwise the potential is too simple for the data.
    """
    if force_misfit > 0.8:
        return None
    best = min(misfits, key=lambda name: misfits[name].score)
    misfit = misfits[best]
    if best == "" or misfit.energy > 0.9 or misfit.force > 1.5 * force_misfit:
        return None
    return best if misfits[""].score > 1.4 * misfit.score else None


def probe(records: list[Record], most_atoms: int = PROBE_ATOMS) -> Probe | None:
    """Fit a potential to a sample; None if it is too small or has no forces.

    most_atoms   whose forces are fitted
    """
    usable = [r for r in records if r.has_forces and len(r.senders) and np.isfinite(r.energy)]
    usable = _without_wild_forces(usable)
    if len(usable) < LEAST_FRAMES:
        return None
    potential = LinearPotential(sorted({int(z) for r in usable for z in r.numbers}))
    n_atoms = np.array([len(r.numbers) for r in usable], dtype=np.float64)
    fit = _Fit(potential, usable, n_atoms, most_atoms)
    counts = np.array([(r.numbers[:, None] == potential.elements).sum(axis=0) for r in usable])
    compositions = Compositions(counts.astype(np.float64))
    rows = compositions.removed(fit.energy_rows / n_atoms[:, None])
    energies = compositions.removed(np.array([r.energy for r in usable]) / n_atoms)
    if fit.force_scale == 0.0 or np.ptp(energies) == 0.0:
        return None

    factors = {"": 1.0, "-": -1.0}
    for name, factor in plausible_energy_factors(fit.force_scale).items():
        if abs(np.log(factor)) > 1.0:  # a simple potential cannot tell 1 from 0.53
            factors |= {name: factor, f"-{name}": -factor}
    parameters = {name: fit.parameters(rows, energies / c) for name, c in factors.items()}
    compared = compositions.compared
    misfits = {}
    for name, c in factors.items():
        errors = energies / c - fit.predicted(rows, parameters[name])
        relative = _spread(errors[compared]) / _spread(energies[compared] / c)
        misfits[name] = Misfit(relative, fit.force_misfit(parameters[name]))
    of_forces = fit.force_misfit(fit.parameters())
    telling = compositions.left >= max(LEAST_LEFT, 0.5 * compared.sum())
    chosen = (telling and mistake_in(misfits, of_forces)) or ""
    best = parameters[chosen]
    if misfits[""].energy > POOR:
        starts = parameters[""], fit.parameters(with_stress=True)
        moved, left = min(
            (_in_two_groups(fit, rows, energies, n_atoms, compositions, start) for start in starts),
            key=lambda one: one[1],
        )
        if not chosen or left < CLEAR * _spread((energies * n_atoms)[compared]):
            best, chosen = moved, ""
    factor = factors[chosen]
    return Probe(
        records=usable,
        force_scale=fit.force_scale,
        force_misfit=of_forces,
        misfits=misfits,
        mistake=chosen or None,
        factor=factor,
        residuals=energies - factor * fit.predicted(rows, best),
        stress_slope=fit.stress_slope(best),
        mean_volume=float(np.mean([r.volume for r in usable])),
    )


def _in_two_groups(
    fit, rows, energies, n_atoms, compositions, parameters
) -> tuple[np.ndarray, float]:
    """Parameters of a fit to energies of which some are higher by a constant, and what it leaves, eV.

    Which ones, and the constant, are found in turns with the fit, from ``parameters`` on. Whether
    there are two groups at all is seen from what it leaves of frames that it has not seen.
    """
    moved = energies
    for _ in range(10):
        errors = (energies - fit.predicted(rows, parameters)) * n_atoms
        offsets = moved_together(errors, compositions.groups)
        before, moved = moved, compositions.removed(energies - offsets / n_atoms)
        if np.allclose(moved, before):
            break
        parameters = fit.parameters(rows, moved)
    left = (energies - fit.predicted(rows, parameters)) * n_atoms
    left -= moved_together(left, compositions.groups)
    return parameters, _spread(compositions.removed(left)[compositions.compared])


def _without_wild_forces(records: list[Record]) -> list[Record]:
    """Those whose largest force is not far above that of the others, which a fit would follow."""
    if not records:
        return []
    largest = np.array([np.abs(r.forces).max() for r in records])
    return [r for r, f in zip(records, largest) if f <= 5.0 * np.percentile(largest, 80) + 1e-9]


def _spread(values: np.ndarray) -> float:
    """A standard deviation that does not mind a few values far off."""
    return max(1.4826 * float(np.median(np.abs(values - np.median(values)))), 1e-9)


class _Fit:
    """Normal equations by fold, so that every frame is predicted by a fit to others.

    Energies come per atom, in rows without what compositions explain.
    """

    def __init__(self, potential: LinearPotential, records: list[Record], n_atoms: np.ndarray,
                 most_atoms: int):  # fmt: skip
        p = potential.n_parameters
        self.folds = np.arange(len(records)) % N_FOLDS
        self.energy_rows = np.zeros((len(records), p))
        self._squares = np.zeros((N_FOLDS, p, p))
        self._products = np.zeros((N_FOLDS, p))
        self._sums = np.zeros(N_FOLDS)  # of the squared forces
        self._stresses: list[tuple[int, np.ndarray, np.ndarray]] = []  # frame, labels, rows
        self._virial_squares = np.zeros((N_FOLDS, p, p))
        self._virial_products = np.zeros((N_FOLDS, p))
        n_forces = 0
        fitted = np.cumsum(n_atoms) <= max(most_atoms, n_atoms[0])
        for k, record in enumerate(records):
            if not fitted[k]:
                self.energy_rows[k] = potential.energy_row(record)
                continue
            self.energy_rows[k], force_rows, stress_rows = potential.rows(record)
            labels, fold = record.forces.ravel(), self.folds[k]
            self._squares[fold] += force_rows.T @ force_rows
            self._products[fold] += force_rows.T @ labels
            self._sums[fold] += labels @ labels
            n_forces += len(labels)
            if record.has_stress:
                self._stresses.append((k, record.stress, stress_rows))
                scale = record.volume / np.sqrt(len(record.numbers))
                virial_rows = scale * stress_rows.reshape(9, p)
                self._virial_squares[fold] += virial_rows.T @ virial_rows
                self._virial_products[fold] += virial_rows.T @ (scale * record.stress.ravel())
        self.force_scale = float(np.sqrt(self._sums.sum() / n_forces))

    def parameters(
        self,
        rows: np.ndarray | None = None,
        energies: np.ndarray | None = None,
        with_stress: bool = False,
    ) -> np.ndarray:
        """(folds, P) fitted to forces and, if given, (F,) energies of all other folds.

        with_stress   fit virials, too, which come in eV per square root of the number of atoms

        An error of a third of the typical force weighs as much as one of a tenth of the spread of the
        energies. Energies that are far off do not count.
        """
        found = []
        for fold in range(N_FOLDS):
            squares = self._squares.sum(axis=0) - self._squares[fold]
            squares += PRIOR * np.eye(len(squares))
            products = self._products.sum(axis=0) - self._products[fold]
            if with_stress:
                squares += self._virial_squares.sum(axis=0) - self._virial_squares[fold]
                products += self._virial_products.sum(axis=0) - self._virial_products[fold]
            if rows is not None:
                spread = _spread(energies)
                weight = (0.3 * self.force_scale / (0.1 * spread)) ** 2
                near = np.abs(energies - np.median(energies)) <= 50.0 * spread
                others = near & (self.folds != fold)
                squares += weight * rows[others].T @ rows[others]
                products = products + weight * rows[others].T @ energies[others]
            found.append(np.linalg.solve(squares, products))
        return np.array(found)

    def predicted(self, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """(F,) energies of every frame by the parameters that have not seen it."""
        return np.einsum("fp,fp->f", rows, parameters[self.folds])

    def force_misfit(self, parameters: np.ndarray) -> float:
        """Rms error over the rms of the forces."""
        squared = sum(
            total - 2.0 * theta @ products + theta @ squares @ theta
            for theta, squares, products, total in zip(
                parameters, self._squares, self._products, self._sums
            )
        )
        return float(np.sqrt(max(squared, 0.0) / self._sums.sum()))

    def stress_slope(self, parameters: np.ndarray) -> Slope | None:
        """Labels against predictions, one value per component and frame."""
        if len(self._stresses) < LEAST_FRAMES // 2:
            return None
        upper = np.triu_indices(3)
        reference = [stress[upper] for _, stress, _ in self._stresses]
        predicted = [
            (rows @ parameters[self.folds[k]]).reshape(3, 3)[upper] for k, _, rows in self._stresses
        ]
        return slope_of(np.concatenate(reference), np.concatenate(predicted))
