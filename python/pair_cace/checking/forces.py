"""Forces: largest ones, none at all, and those that do not sum to zero."""

from __future__ import annotations

import numpy as np

from .finding import Finding, listed
from .survey import Survey

LARGE = 30.0  # eV/Å; thermal motion, even in collisions at 5000 K, has less
FACTOR = 10.0  # over the force that 9 of 10 frames stay below
OVERLAP = 0.6  # relative distance below which large forces are to be expected


def largest_forces(survey: Survey, n: int = 10) -> list[tuple[str, float]]:
    """The ``n`` frames with the largest forces, and these, eV/Å."""
    largest = survey.column("largest_force")
    order = [k for k in np.argsort(-largest)[:n] if np.isfinite(largest[k])]
    return [(survey.names[k], float(largest[k])) for k in order]


def force_findings(survey: Survey) -> list[Finding]:
    """Warnings on forces that stand out."""
    if not survey.has_forces:
        return []
    return [*_large(survey), *_zero(survey), *_net(survey)]


def _large(survey: Survey) -> list[Finding]:
    largest = survey.column("largest_force")
    known = largest[np.isfinite(largest)]
    usual = float(np.percentile(known, 90)) if len(known) >= 10 else float(np.median(known))
    frames = np.flatnonzero(largest > max(LARGE, FACTOR * usual))
    if len(frames) == 0:
        return []
    frames = frames[np.argsort(-largest[frames])]
    names = [survey.names[k] for k in frames]
    closest = survey.column("closest")[frames[0]]
    reason = (
        f"its closest atoms are at {closest:.2f} of the sum of their covalent radii, so atoms overlap: "
        "leave it out unless such collisions are what the model is for"
        if closest < OVERLAP
        else "no atoms of it are unusually close, so probably the calculation did not converge: leave "
        "it out or compute it again"
    )
    several = "" if len(frames) == 1 else f", in all in {len(frames)} frames ({listed(names)})"
    text = (
        f"a force of {largest[frames[0]]:.4g} eV/Å in {names[0]}, where 9 of 10 frames stay below "
        f"{usual:.3g} eV/Å{several}; {reason}"
    )
    return [Finding("large-force", "warning", text, tuple(names))]


def _zero(survey: Survey) -> list[Finding]:
    # In a crystal of high symmetry forces vanish, up to rounding.
    is_zero = (survey.column("force_squares") == 0.0) & (survey.column("n_atoms") > 1)
    if not is_zero.all():
        return []
    text = (
        f"all forces of all {len(survey)} frames are zero; these are probably not the labels that were "
        "meant: see what the file has, and name it with the key of the forces"
    )
    return [Finding("zero-forces", "warning", text)]


def _net(survey: Survey) -> list[Finding]:
    net, n_atoms = survey.column("net_force"), survey.column("n_atoms")
    rms = np.sqrt(survey.column("force_squares") / n_atoms)
    known = np.isfinite(net) & (n_atoms > 2) & (rms > 0.05)
    if known.sum() < 3:
        return []
    relative = net[known] / (rms[known] * np.sqrt(n_atoms[known]))
    if np.median(relative) < 0.5:
        return []
    text = (
        f"forces do not sum to zero: in half of the frames the sum is above "
        f"{np.median(net[known]):.3g} eV/Å; forces of atoms that were held fixed are missing, or an "
        "external potential was there, which the model cannot have"
    )
    return [Finding("net-force", "warning", text)]
