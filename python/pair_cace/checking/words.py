"""An inspection in words, for a terminal, and as plain values, for scripts."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from .energies import energies_left
from .finding import counted
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
    closest = min(survey.pair_distances.items(), key=lambda one: _relative(*one), default=None)
    if closest:
        pair, (distance, _) = closest
        stress += (
            f"; closest: {_pair_name(pair)} {distance:.2f} Å, {_relative(*closest):.2f} of the sum of "
            "covalent radii"
        )
    return [*lines, f"{stress}; {_neighbors_line(survey)}"]


def long_lines(inspection: Inspection) -> list[str]:
    """The summary, with histogram, worst frames and all pairs of elements; without the findings."""
    survey = inspection.survey
    lines = [_frames_line(survey)]
    for part in dict.fromkeys(survey.parts):
        lines.append(f"  {part}: {counted(survey.parts.count(part))}")
    lines.append(f"compositions: {_compositions(survey)}")
    kinds = {kind: survey.config_types.count(kind) for kind in dict.fromkeys(survey.config_types)}
    if set(kinds) != {None}:
        named = sorted(((k or "none", n) for k, n in kinds.items()), key=lambda one: -one[1])
        lines.append("config types: " + _first(f"{name} ({n})" for name, n in named))
    lines.append(f"boundaries: {_boundaries(survey)}")
    if survey.has_energies:
        lines += ["", _energy_line(survey), *_histogram(survey)]
    if survey.has_forces:
        lines += ["", _force_line(survey), "  largest:"]
        lines += [f"    {force:9.3f} eV/Å  {name}" for name, force in largest_forces(survey)]
    lines += ["", _stress_line(survey)]
    lines += ["", f"nearest distances up to {survey.cutoff:g} Å (over the sum of covalent radii):"]
    pairs = sorted(survey.pair_distances.items(), key=lambda one: _relative(*one))
    for pair, (distance, frame) in pairs[:MOST_PAIRS]:
        relative = _relative(pair, (distance, frame))
        lines.append(
            f"  {_pair_name(pair):8} {distance:6.3f} Å  {relative:5.2f}  {survey.names[frame]}"
        )
    if len(pairs) > MOST_PAIRS:
        lines.append(f"  and {len(pairs) - MOST_PAIRS} more pairs of elements")
    by_element = ", ".join(
        f"{chemical_symbols[z]} {survey.neighbors_of[z] / survey.atoms_of[z]:.1f}"
        for z in survey.elements
    )
    return [*lines, "", f"{_neighbors_line(survey)} ({by_element})"]


def as_values(inspection: Inspection) -> dict[str, Any]:
    """Everything, for JSON; eV and Å; null where unknown."""
    survey = inspection.survey
    left = energies_left(survey) if survey.has_energies else np.array([])
    probe = inspection.probe
    return {
        "n_frames": len(survey),
        "n_atoms": int(survey.column("n_atoms").sum()),
        "parts": {part: survey.parts.count(part) for part in dict.fromkeys(survey.parts)},
        "elements": dict(zip(survey.symbols, (survey.atoms_of[z] for z in survey.elements))),
        "compositions": {formula: len(group) for formula, group in survey.groups.items()},
        "cutoff": survey.cutoff,
        "energy": _described(left),
        "force": {
            "rms": _or_none(_force_rms(survey)),
            "largest": [{"frame": name, "force": f} for name, f in largest_forces(survey)],
        },
        "stress": {
            "frames": int(np.isfinite(survey.column("largest_stress")).sum()),
            "rms": _or_none(_rms(survey.column("stress_squares"))),
            "largest": _or_none(_largest(survey.column("largest_stress"))),
        },
        "nearest": {
            _pair_name(pair): {"distance": distance, "relative": _relative(pair, (distance, frame)),
                               "frame": survey.names[frame]}
            for pair, (distance, frame) in survey.pair_distances.items()
        },
        "neighbors": {
            "mean": _mean_neighbors(survey),
            "by_element": {
                chemical_symbols[z]: survey.neighbors_of[z] / survey.atoms_of[z]
                for z in survey.elements
            },
        },
        "quick_fit": probe and {
            "frames": len(probe.records),
            "force_misfit": probe.force_misfit,
            "energy_misfit": probe.misfits[""].energy,
            "energy_factor": float(probe.factor),
            "stress_slope": probe.stress_slope and float(probe.stress_slope.value),
        },
        "findings": [
            {"code": f.code, "severity": f.severity, "text": f.text, "frames": list(f.frames)}
            for f in inspection.findings
        ],
    }  # fmt: skip


def _frames_line(survey: Survey) -> str:
    n_atoms = survey.column("n_atoms").astype(int)
    sizes = f"{n_atoms.min()}" if np.ptp(n_atoms) == 0 else f"{n_atoms.min()} to {n_atoms.max()}"
    n = len(survey.groups)
    return (
        f"{counted(len(survey))} of {sizes} atoms, {n} composition{'s' if n > 1 else ''}, elements "
        f"{' '.join(survey.symbols)}"
    )


def _compositions(survey: Survey) -> str:
    return _first(f"{formula} ({len(group)})" for formula, group in survey.groups.items())


def _first(words, most: int = 8) -> str:
    words = list(words)
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _boundaries(survey: Survey) -> str:
    notes = survey.notes
    words = []
    periodic = len(notes["periodic"]) - len(notes["part of pbc"])
    for n, what in (
        (periodic, "periodic"),
        (len(notes["part of pbc"]), "periodic in some directions"),
        (len(notes["not periodic"]), "not periodic"),
        (len(notes["isolated atom"]), "isolated atoms"),
    ):
        if n:
            words.append(f"{counted(n)} {what}" if what != "isolated atoms" else f"{n} {what}")
        if n and what == "not periodic" and notes["cell without pbc"]:
            words[-1] += f", {len(notes['cell without pbc'])} of them with a cell that is not used"
    return "; ".join(words)


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


def _relative(pair: tuple[int, int], nearest: tuple[float, int]) -> float:
    return nearest[0] / float(covalent_radii[list(pair)].sum())


def _pair_name(pair: tuple[int, int]) -> str:
    return "-".join(chemical_symbols[z] for z in pair)


def _described(values: np.ndarray) -> dict[str, float] | None:
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    return {
        "spread": float(values.std()), "lowest": float(values.min()), "highest": float(values.max())
    }  # fmt: skip


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
