"""Energies after what the elements bring along: frames far off, and two groups with an offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .finding import Finding, counted, listed
from .survey import Survey

LEAST_IN_GROUP = 8  # frames of a composition that a spread is worked out from
FAR = 10.0  # robust standard deviations from the rest of a composition
GAP = 2.0  # times as far as any other frame
FAR_ENERGY = 0.01  # eV/atom; less is never far
FAR_TOTAL = 0.5  # eV, of a whole frame; nor is less
STEEP = 1.5  # times the largest force of other frames; such a frame may well be far in energy
APART = 6.0  # distance of two groups of energies in standard deviations within them
BETWEEN = 0.02  # share of the values in the middle third between them, at most
MANY = 100  # values from which on chance does not make two groups of one, and these are enough:
APART_OF_MANY, BETWEEN_OF_MANY = 4.0, 0.06
LEAST_SHARE = 0.1  # of the smaller group


def energies_left(survey: Survey) -> np.ndarray:
    """(S,) energies per atom after E0 by least squares, eV/atom; NaN where there is no label.

    Isolated atoms are not in the fit if there are others.
    """
    n_atoms = survey.counts.sum(axis=1)
    energies, shares = survey.column("energies") / n_atoms, survey.counts / n_atoms[:, None]
    known = np.isfinite(energies)
    bonded = known & (survey.column("neighbors") > 0)
    fitted = bonded if bonded.any() else known
    E0 = np.linalg.lstsq(shares[fitted], energies[fitted], rcond=1e-8)[0]
    return energies - shares @ E0


def constant_energies(survey: Survey) -> list[Finding]:
    """A warning if all frames of more than one have the same energy."""
    energies = survey.column("energies")
    energies = energies[np.isfinite(energies) & (survey.column("neighbors") > 0)]
    if len(energies) < 3 or np.ptp(energies) > 0.0:
        return []
    text = (
        f"all {len(energies)} frames have the same energy, {energies[0]:g} eV; this is probably not "
        "the label that was meant: see what the file has, and name it with the key of the energy"
    )
    return [Finding("constant-energy", "warning", text)]


def far_frames(survey: Survey, residuals: dict[str, float]) -> list[Finding]:
    """Frames whose energy is far from the rest of their composition, though their structure is not.

    residuals   of the frames that a probe has seen, by name, eV/atom: what structure does not explain
    """
    energies = survey.column("energies") / survey.column("n_atoms")
    looks = [
        np.log(np.maximum(survey.column(name), 1e-6))
        for name in ("volumes", "closest", "nearest", "largest_force")
    ]
    spread = 1.4826 * float(np.median(np.abs(list(residuals.values())))) if residuals else np.nan
    found = []
    for group in survey.groups.values():
        group = group[np.isfinite(energies[group])]
        if len(group) < LEAST_IN_GROUP:
            continue
        away = np.abs(energies[group] - np.median(energies[group]))
        far = _far(energies[group], FAR_ENERGY)
        if far.any():  # and far from the next one, too: the tail of a distribution is not
            far &= away > GAP * away[~far].max()
        forces = survey.column("largest_force")[group]
        if not far.all():  # forces beyond those of all others say that the structure is another
            far &= ~(forces > STEEP * np.nanmax(forces[~far], initial=0.0))
        for frame in group[far & (away * survey.column("n_atoms")[group] > FAR_TOTAL)]:
            residual = residuals.get(survey.names[frame])
            if residual is not None:
                least = max(FAR_ENERGY, FAR_TOTAL / survey.column("n_atoms")[frame])
                if abs(residual) > max(FAR * spread, least):
                    found.append((frame, residual))
            elif not any(frame in group[_far(look[group], 0.0, 4.0)] for look in looks):
                found.append((frame, energies[frame] - np.median(energies[group])))
    if not found:
        return []
    names = [survey.names[frame] for frame, _ in found]
    largest_frame, largest = max(found, key=lambda one: abs(one[1]))
    total = largest * survey.column("n_atoms")[largest_frame]
    text = (
        f"{counted(len(found))} ({listed(names)}) with an energy far from all others of the same "
        f"composition, by up to {largest:+.3g} eV/atom ({total:+.4g} eV in all), though the structure "
        "is not; probably the calculation did not converge, or ended in another electronic state: "
        "look at its output, and leave the frame out or compute it again"
    )
    return [Finding("far-energy", "warning", text, tuple(names))]


def _far(values: np.ndarray, least: float, sigmas: float = FAR) -> np.ndarray:
    values = np.where(np.isfinite(values), values, np.nanmedian(values)) if len(values) else values
    away = np.abs(values - np.median(values))
    return away > max(sigmas * 1.4826 * np.median(away), least)


@dataclass(frozen=True)
class Offset:
    """Two groups of frames that differ by a constant."""

    size: float  # in the units of the values
    upper: np.ndarray  # (n,) whether a value is in the upper group


def two_groups(values: np.ndarray, most_between: float = BETWEEN) -> Offset | None:
    """Two clearly separate groups among (n,) values, neither of them small; or None.

    Of one normal distribution, cut in two anywhere, the parts are less than 3 of their standard
    deviations apart; here it must be ``APART``, with next to nothing between.

    most_between   share of the values that may lie in the middle third between the groups
    """
    n = len(values)
    if n < LEAST_IN_GROUP:
        return None
    least_apart = APART
    if n >= MANY:
        least_apart, most_between = APART_OF_MANY, max(most_between, BETWEEN_OF_MANY)
    ordered = np.sort(values)
    sizes = np.arange(1, n)
    sums = np.cumsum(ordered)[:-1]
    total = ordered.sum()
    between = (sums / sizes - (total - sums) / (n - sizes)) ** 2 * sizes * (n - sizes)
    cut = int(np.argmax(between)) + 1
    low, high = ordered[:cut], ordered[cut:]
    if min(len(low), len(high)) < max(3, LEAST_SHARE * n):
        return None
    centers = np.median(low), np.median(high)
    distance = float(centers[1] - centers[0])
    widths = [_width(low), _width(high)]
    if distance <= least_apart * max(*widths, 1e-12):
        return None
    third = distance / 3.0
    inside = (values > centers[0] + third) & (values < centers[1] - third)
    if inside.mean() > most_between:
        return None
    return Offset(distance, values > (low[-1] + high[0]) / 2.0)


def _width(values: np.ndarray) -> float:
    """Standard deviation, of the middle of the distribution and of all but its ends, the larger."""
    lower, q1, q3, upper = np.percentile(values, [5, 25, 75, 95])
    return max((q3 - q1) / 1.349, (upper - lower) / 3.29)


def offset_between(names: list[str], formulas: list[str], errors: np.ndarray) -> list[Finding]:
    """A warning if energies come in two groups which structure does not tell apart.

    errors   (n,) what is left of the total energies once structure is explained, eV; compared
             within compositions
    """
    groups: dict[str, list[int]] = {}
    for k, formula in enumerate(formulas):
        groups.setdefault(formula, []).append(k)
    found = _in_large_groups(groups, errors) or _in_pairs(groups, errors)
    if found is None:
        return []
    sizes, outside, n_compared = found
    fewer = [names[k] for k in sorted(outside)]
    text = (
        f"two groups of frames whose energies differ by about {np.median(sizes):.2g} eV (in all, not "
        f"per atom), which structure does not explain: {len(fewer)} of {n_compared} frames "
        f"({listed(fewer)}) against the others; probably two kinds of calculations were mixed (other "
        "pseudopotentials, functional, settings, spin, or E0 subtracted in some): compute all alike, "
        "or move one group by the difference"
    )
    return [Finding("energy-offset", "warning", text, tuple(fewer))]


def _in_large_groups(groups, errors) -> tuple[list[float], list[int], int] | None:
    """Sizes of offsets in compositions of many frames, the fewer frames, and frames compared."""
    large = [np.array(g) for g in groups.values() if len(g) >= 2 * LEAST_IN_GROUP]
    found = [(group, two_groups(errors[group])) for group in large]
    hits = [(group, offset) for group, offset in found if offset]
    n_compared = sum(len(group) for group, _ in hits)
    if n_compared < 0.3 * sum(map(len, large)) or n_compared == 0:
        return None
    outside = []
    for group, offset in hits:
        upper_is_less = offset.upper.mean() <= 0.5
        outside += group[offset.upper if upper_is_less else ~offset.upper].tolist()
    return [offset.size for _, offset in hits], outside, n_compared


def _in_pairs(groups, errors) -> tuple[list[float], list[int], int] | None:
    """As ``_in_large_groups``, from differences of pairs: either about nothing, or the offset."""
    pairs = [pair for g in groups.values() for pair in zip(g[0::2], g[1::2])]
    if len(pairs) < 2 * LEAST_IN_GROUP:
        return None
    differences = np.array([abs(errors[a] - errors[b]) for a, b in pairs])
    offset = two_groups(differences, BETWEEN_OF_MANY)
    if offset is None or np.median(differences[~offset.upper]) > 0.3 * offset.size:
        return None
    size = float(np.median(differences[offset.upper]))
    outside, n_compared = [], 0
    for group in groups.values():
        group = np.array(group)
        middle = (errors[group].min() + errors[group].max()) / 2.0
        if np.ptp(errors[group]) > 0.6 * size:
            upper = errors[group] > middle
            outside += group[upper if upper.mean() <= 0.5 else ~upper].tolist()
            n_compared += len(group)
    return [size], outside, n_compared
