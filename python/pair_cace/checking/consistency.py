"""Units and signs of energies, forces and stress, by what each says of the others."""

from __future__ import annotations

import numpy as np

from .energies import offset_between
from .finding import Finding
from .probe import Probe
from .slopes import ENERGY_FACTORS, STRESS_FACTORS, Slope, explanations, plausible_energy_factors

SLACK = 2.5  # slopes of stress against a linear potential are off by less
LEAST_STRESS_CORRELATION = 0.6
LARGE_STRESS = 3.0  # eV/Å³, 480 GPa; no set of solids has half of its frames above it


def probe_findings(probe: Probe | None) -> list[Finding]:
    """What a linear potential, fitted to forces and energies of a sample, finds."""
    if probe is None:
        return []
    found = []
    if probe.mistake:
        better = probe.misfits[""].score / probe.misfits[probe.mistake].score
        measured = (
            f"a quick fit explains energies and forces together {better:.1f} times better if "
            f"energies are divided by {probe.factor:.3g}"
        )
        name = probe.mistake.lstrip("-")
        found += _energy_findings(probe.factor < 0, [name] if name else [], measured)
    # Where forces have the wrong sign, so has what is predicted from them.
    if probe.force_misfit <= 0.8:
        sign = float(np.sign(probe.factor))
        found += stress_findings(probe.stress_slope, SLACK, "a quick fit", probe.mean_volume, sign)
    n_atoms = np.array([len(r.numbers) for r in probe.records])
    names, formulas = [r.name for r in probe.records], [r.formula for r in probe.records]
    return found + offset_between(names, formulas, probe.residuals * n_atoms)


def energy_findings(
    slope: Slope | None, slack: float, source: str, force_scale: float
) -> list[Finding]:
    """Warnings by the slope of reference energies within compositions against those of ``source``.

    force_scale   rms of the forces, eV/Å
    """
    if slope is None or not slope.is_certain:
        return []
    measured = (
        f"within compositions, energies against those of {source} have a slope of {slope.value:.3g}, "
        "which should be 1"
    )
    factors = plausible_energy_factors(force_scale)
    if slope.value < 0:  # then energies and forces pulled apart, and the slope is only about right
        factors = {name: c for name, c in factors.items() if abs(np.log(c)) > 1.0}
    names = explanations(slope, factors, slack)
    return _energy_findings(slope.value < 0, names, measured)


def _energy_findings(negative: bool, names: list[str], measured: str) -> list[Finding]:
    found = []
    if negative:
        text = (
            f"forces have the wrong sign: {measured}; probably the file has gradients, dE/dx: multiply "
            "forces by -1"
        )
        found.append(Finding("force-sign", "warning", text))
    if names:
        probable = " or ".join(f"{name} (factor {ENERGY_FACTORS[name]:.3g})" for name in names)
        kind, factor = names[0].split()[0], ENERGY_FACTORS[names[0]]
        what = "positions and cells" if kind == "positions" else kind
        text = (
            f"energies and forces do not go together: {measured}; probably {probable}: "
            f"multiply {what} by {1.0 / factor if kind == 'energies' else factor:.6g}"
        )
        code = {"energies": "energy-unit", "positions": "length-unit", "forces": "force-unit"}[kind]
        found.append(Finding(code, "warning", text))
    return found


def stress_findings(
    slope: Slope | None,
    slack: float,
    source: str,
    mean_volume: float,
    sign: float = 1.0,
    forces_are_right: bool = True,
) -> list[Finding]:
    """Warnings by the slope of reference stress against that of ``source`` times ``sign``.

    forces_are_right   whether energies say so; otherwise, it may be the forces that have the wrong sign
    """
    if slope is None or abs(slope.correlation) < LEAST_STRESS_CORRELATION or not slope.is_certain:
        return []
    factors = STRESS_FACTORS | {"eV, a virial rather than a stress": mean_volume}
    names = explanations(slope, factors, slack)
    value = slope.value * sign
    measured = f"stress against {source} has a slope of {value:.3g}, which should be 1"
    flipped = value < 0
    found = []
    if flipped:
        text = (
            f"stress has the wrong sign: {measured}; tension is positive here, as in ASE, and "
            "pressure is in many codes: multiply stress by -1"
        )
        if not forces_are_right:
            text += " (or forces by -1, if it is they that have it: energies are too few to say)"
        found.append(Finding("stress-sign", "warning", text))
    if names:
        minus = "-" if flipped else ""
        probable = " or ".join(f"in {name} (slope {minus}{factors[name]:.4g})" for name in names)
        remedy = (
            "give it as the label virial instead"
            if "virial" in names[0]
            else f"divide it by {minus}{factors[names[0]]:.6g} to have eV/Å³"
        )
        text = f"stress is not in eV/Å³: {measured}; it is probably {probable}: {remedy}"
        found.append(Finding("stress-unit", "warning", text))
    return found


def large_stress(largest: np.ndarray) -> list[Finding]:
    """A warning if stress is too large to be in eV/Å³; ``largest`` component of every frame."""
    known = largest[np.isfinite(largest)]
    if len(known) == 0 or np.median(known) < LARGE_STRESS:
        return []
    text = (
        f"stress is not in eV/Å³: in half of the frames it is above {np.median(known):.3g}, where 1 is "
        "160 GPa; it is probably in GPa (divide by 160.2), kbar (divide by 1602), or a virial in eV"
    )
    return [Finding("stress-unit", "warning", text)]
