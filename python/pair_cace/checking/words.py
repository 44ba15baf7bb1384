"""An inspection in words, for a terminal, and as plain values, for scripts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np

from ..files import or_null
from .energies import energies_left
from .finding import counted, listed
from .forces import largest_forces
from .inspection import Inspection
from .survey import Survey

BARS = "▁▂▃▄▅▆▇█"
MOST_PAIRS = 30  # of elements, in the list of nearest distances


def short_lines(inspection: Inspection) -> list[str]:
    """The summary in a few lines, without the findings."""
    survey = inspection.survey
    lines = [_frames_line(survey)]
    if survey.has_energies:
        lines.append(_energy_line(survey))
    if survey.has_forces:
        lines.append(_force_line(survey))
    stress = _stress_line(survey)
    for pair in survey.nearest_pairs()[:1]:
        stress += (
            f"; closest: {pair.name} {pair.distance:.2f} Å, {pair.relative:.2f} of the sum of "
            "covalent radii"
        )
    return [*lines, f"{stress}; {_neighbors_line(survey)}"]


def long_lines(inspection: Inspection) -> list[str]:
    """The summary, with histogram, worst frames and all pairs of elements; without the findings."""
    survey = inspection.survey
    lines = [_frames_line(survey)]
    for part, n in Counter(survey.parts).items():
        lines.append(f"  {part}: {counted(n)}")
    lines.append(f"compositions: {_with_numbers(Counter(survey.formulas))}")
    if any(survey.config_types):
        kinds = Counter(kind or "none" for kind in survey.config_types)
        lines.append(f"config types: {_with_numbers(kinds)}")
    lines.append(f"boundaries: {_boundaries(survey)}")
    if survey.has_energies:
        lines += ["", _energy_line(survey), *_histogram(survey)]
    if survey.has_forces:
        lines += ["", _force_line(survey), "  largest:"]
        lines += [f"    {force:9.3f} eV/Å  {name}" for name, force in largest_forces(survey)]
    lines += ["", _stress_line(survey)]
    lines += ["", f"nearest distances up to {survey.cutoff:g} Å (over the sum of covalent radii):"]
    pairs = survey.nearest_pairs()
    for pair in pairs[:MOST_PAIRS]:
        found_in = survey.names[pair.frame]
        lines.append(f"  {pair.name:8} {pair.distance:6.3f} Å  {pair.relative:5.2f}  {found_in}")
    if len(pairs) > MOST_PAIRS:
        lines.append(f"  and {len(pairs) - MOST_PAIRS} more pairs of elements")
    by_element = ", ".join(f"{symbol} {n:.1f}" for symbol, n in survey.mean_neighbors().items())
    return [*lines, "", f"{_neighbors_line(survey)} ({by_element})"]


def as_values(inspection: Inspection) -> dict[str, Any]:
    """Everything, for JSON; eV and Å; null where unknown."""
    survey = inspection.survey
    left = energies_left(survey) if survey.has_energies else np.array([])
    probe = inspection.probe
    return {
        "n_frames": len(survey),
        "n_atoms": int(survey.column("n_atoms").sum()),
        "parts": dict(Counter(survey.parts)),
        "elements": dict(zip(survey.symbols, (survey.atoms_of[z] for z in survey.elements))),
        "compositions": dict(Counter(survey.formulas).most_common()),
        "cutoff": survey.cutoff,
        "energy": _described(left),
        "force": {
            "rms": or_null(_force_rms(survey)),
            "largest": [{"frame": name, "force": f} for name, f in largest_forces(survey)],
        },
        "stress": {
            "frames": int(np.isfinite(survey.column("largest_stress")).sum()),
            "rms": or_null(_rms(survey.column("stress_squares"))),
            "largest": or_null(_largest(survey.column("largest_stress"))),
        },
        "nearest": {
            pair.name: {"distance": pair.distance, "relative": pair.relative,
                        "frame": survey.names[pair.frame]}
            for pair in survey.nearest_pairs()
        },
        "neighbors": {"mean": _mean_neighbors(survey), "by_element": survey.mean_neighbors()},
        "quick_fit": probe and {
            "frames": len(probe.records),
            "force_misfit": probe.force_misfit,
            "energy_misfit": probe.misfits[""].energy,
            "energy_factor": float(probe.factor),
            "stress_slope": probe.stress_slope and float(probe.stress_slope.value),
        },
        "findings": [dataclasses.asdict(finding) for finding in inspection.findings],
    }  # fmt: skip


def _frames_line(survey: Survey) -> str:
    n_atoms = survey.column("n_atoms").astype(int)
    sizes = f"{n_atoms.min()}" if np.ptp(n_atoms) == 0 else f"{n_atoms.min()} to {n_atoms.max()}"
    n = len(survey.groups)
    return (
        f"{counted(len(survey))} of {sizes} atoms, {n} composition{'s' if n > 1 else ''}, elements "
        f"{' '.join(survey.symbols)}"
    )


def _with_numbers(names: Counter[str]) -> str:
    return listed([f"{name} ({n})" for name, n in names.most_common()], 8)


def _boundaries(survey: Survey) -> str:
    partly, free, unused, isolated = (
        len(survey.notes[kind])
        for kind in ("part of pbc", "not periodic", "cell without pbc", "isolated atom")
    )
    periodic = len(survey.notes["periodic"]) - partly
    with_cell = f", {unused} of them with a cell that is not used" if unused else ""
    words = {
        f"{counted(periodic)} periodic": periodic,
        f"{counted(partly)} periodic in some directions": partly,
        f"{counted(free)} not periodic{with_cell}": free,
        f"{isolated} isolated atoms": isolated,
    }
    return "; ".join(text for text, n in words.items() if n)


def _energy_line(survey: Survey) -> str:
    left = energies_left(survey)
    known = left[np.isfinite(left) & (survey.column("neighbors") > 0)]
    if len(known) == 0:
        known = left[np.isfinite(left)]
    lacking = len(left) - int(np.isfinite(left).sum())
    missing = f"; {counted(lacking)} without" if lacking else ""
    return (
        f"energy after E0 by least squares: spread {known.std():.3g} eV/atom, from {known.min():+.3g} to "
        f"{known.max():+.3g}{missing}"
    )


def _histogram(survey: Survey) -> list[str]:
    left = energies_left(survey)
    left = left[np.isfinite(left) & (survey.column("neighbors") > 0)]
    if len(left) < 2 or np.ptp(left) == 0.0:
        return []
    low, high = np.percentile(left, [0.5, 99.5])
    counts, edges = np.histogram(np.clip(left, low, high), bins=40)
    heights = np.ceil(counts / counts.max() * 8).astype(int)
    bars = "".join(" " if n == 0 else BARS[n - 1] for n in heights)
    return [f"  {edges[0]:+.3g} |{bars}| {edges[-1]:+.3g} eV/atom"]


def _force_line(survey: Survey) -> str:
    lacking = int((~np.isfinite(survey.column("largest_force"))).sum())
    missing = f"; {counted(lacking)} without" if lacking else ""
    return (
        f"forces: rms {_force_rms(survey):.3g} eV/Å, largest "
        f"{_largest(survey.column('largest_force')):.4g} eV/Å{missing}"
    )


def _stress_line(survey: Survey) -> str:
    largest = survey.column("largest_stress")
    n = int(np.isfinite(largest).sum())
    if n == 0:
        return "stress: none"
    return (
        f"stress: {counted(n)}, rms {_rms(survey.column('stress_squares')):.3g} eV/Å³, largest "
        f"{_largest(largest):.3g} eV/Å³ ({_largest(largest) * 160.21766:.3g} GPa)"
    )


def _neighbors_line(survey: Survey) -> str:
    return f"{_mean_neighbors(survey):.1f} neighbours on average within {survey.cutoff:g} Å"


def _mean_neighbors(survey: Survey) -> float:
    return sum(survey.neighbors_of.values()) / max(1, sum(survey.atoms_of.values()))


def _force_rms(survey: Survey) -> float:
    squares, n_atoms = survey.column("force_squares"), survey.column("n_atoms")
    known = np.isfinite(squares)
    if not known.any():
        return np.nan
    return float(np.sqrt(squares[known].sum() / (3.0 * n_atoms[known].sum())))


def _rms(squares: np.ndarray) -> float:
    known = squares[np.isfinite(squares)]
    return float(np.sqrt(known.mean())) if len(known) else np.nan


def _largest(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else np.nan


def _described(values: np.ndarray) -> dict[str, float] | None:
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    return {
        "spread": float(values.std()), "lowest": float(values.min()), "highest": float(values.max())
    }  # fmt: skip
