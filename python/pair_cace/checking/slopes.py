"""Slopes of reference against prediction, and the mistakes in units that they give away.

If labels y are c times what they should be, a model that learned the rest of the data right
predicts p with y = c p + errors. Neither y on p nor p on y has slope c, because a model explains part of
the variance only; but c lies between the two, r q and q / r, where q is the ratio of the standard deviations
and r the correlation. The better the model, the narrower the interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ase.units
import numpy as np

LEAST_CORRELATION = 0.3
LEAST_SIGMAS = 5.0  # of the correlation above nothing


@dataclass(frozen=True)
class Slope:
    """How labels follow predictions."""

    value: float  # that of the symmetric regression, sign(r) q
    correlation: float
    n: int  # degrees of freedom

    @property
    def is_certain(self) -> bool:
        """Whether labels follow predictions at all, with one sign or the other."""
        r = min(abs(self.correlation), 1.0 - 1e-9)
        sigmas = np.arctanh(r) * np.sqrt(max(self.n - 3, 0))  # Fisher's transformation
        return bool(r >= LEAST_CORRELATION and sigmas >= LEAST_SIGMAS)

    @property
    def interval(self) -> tuple[float, float]:
        """Smallest and largest factor, by magnitude, that the data allow."""
        r = min(1.0, abs(self.correlation) + 1e-12)
        return abs(self.value) * r, abs(self.value) / r


def slope_of(reference: np.ndarray, predicted: np.ndarray, lost: int = 0) -> Slope | None:
    """The slope of (n,) values, robust against a few that are far off.

    lost   degrees of freedom that were spent on constants
    None if there is nothing to compare.
    """
    known = np.isfinite(reference) & np.isfinite(predicted)
    x, y = predicted[known], reference[known]
    for _ in range(3):
        if len(x) - lost < 6 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
            return None
        r = float(np.corrcoef(x, y)[0, 1])
        q = float(y.std() / x.std())
        errors = (y - y.mean()) / y.std() - np.sign(r) * (x - x.mean()) / x.std()
        errors -= np.median(errors)
        keep = np.abs(errors) <= 8.0 * 1.4826 * np.median(np.abs(errors))
        if keep.all() or keep.mean() < 0.8:
            break
        x, y = x[keep], y[keep]
    return Slope(np.sign(r) * q, r, len(x) - lost)


# What reference energies are, seen from forces and positions, if …
ENERGY_FACTORS = {
    "energies in Hartree": 1.0 / ase.units.Hartree,
    "energies in Rydberg": 1.0 / ase.units.Rydberg,
    "energies in kcal/mol": ase.units.mol / ase.units.kcal,
    "energies in kJ/mol": ase.units.mol / ase.units.kJ,
    "positions in Bohr": ase.units.Bohr,
    "forces per Bohr rather than per Å": 1.0 / ase.units.Bohr,
    "forces in Hartree/Bohr": ase.units.Hartree / ase.units.Bohr ,
    "forces in kcal/mol/Å": ase.units.kcal / ase.units.mol,
}  # fmt: skip
# What reference stresses are, seen from energies and forces, if they are in …
STRESS_FACTORS = {
    "GPa": 1.0 / ase.units.GPa,
    "kbar": 10.0 / ase.units.GPa,
    "bar": 1e4 / ase.units.GPa,
    "Hartree/Bohr³": ase.units.Bohr**3 / ase.units.Hartree,
}


def explanations(slope: Slope | None, factors: Mapping[str, float], slack: float) -> list[str]:
    """Names of the factors that explain a slope which 1 does not explain, the nearest first.

    slack   the factor by which a slope may be off because the model is not good; a slope is
            found wrong if 1 is further outside the interval than that
    Signs are not compared. Two names are given only if the slope cannot tell them apart.
    """
    if slope is None or not slope.is_certain:
        return []
    low, high = slope.interval
    if low / slack <= 1.0 <= high * slack:
        return []
    near = slack**0.5
    off = {
        name: abs(np.log(factor / abs(slope.value)))
        for name, factor in factors.items()
        if low / near <= factor <= high * near
    }
    nearest = sorted(off, key=off.__getitem__)
    return [name for name in nearest if off[name] <= off[nearest[0]] + 0.1][:2]


def plausible_energy_factors(force_scale: float) -> dict[str, float]:
    """``ENERGY_FACTORS`` without those that the size of the forces speaks against.

    force_scale   rms of the labels; of forces in eV/Å it is 0.1 to 5 in all but relaxed structures
    """
    smallest = {"forces in kcal/mol/Å": 4.0}
    largest = {"forces in Hartree/Bohr": 0.2}
    return {
        name: factor
        for name, factor in ENERGY_FACTORS.items()
        if smallest.get(name, 0.0) <= force_scale <= largest.get(name, np.inf)
    }
