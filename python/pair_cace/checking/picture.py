"""A page of panels that shows what a data set is."""

from __future__ import annotations

import pathlib

import numpy as np

from ..plotting import plt, save
from .energies import energies_left
from .survey import Survey

MOST_PAIRS = 20


def plot_survey(survey: Survey, path: pathlib.Path, title: str) -> None:
    """Histograms of energies, forces and neighbours, and the nearest distances of all pairs."""
    figure, axes = plt.subplots(2, 2, figsize=(10.0, 7.2), layout="constrained")
    for axis, draw in zip(axes.flat, (_energies, _forces, _distances, _neighbors)):
        draw(axis, survey)
    figure.suptitle(title)
    save(figure, path)


def _histograms(axis, survey: Survey, values: np.ndarray, keep, bins_of=None) -> None:
    """One of every file, of the ``values`` of frames that are known and to be kept."""
    parts, known = np.array(survey.parts), keep & np.isfinite(values)
    if not known.any():
        return _none(axis)
    bins = (bins_of or _even_bins)(values[known].min(), values[known].max())
    there = dict.fromkeys(parts[known].tolist())
    for part in there:
        chosen = values[known & (parts == part)]
        axis.hist(chosen, bins=bins, histtype="stepfilled", alpha=0.5, label=part)
    if len(there) > 1:
        axis.legend(fontsize="small")
    axis.set_ylabel("frames")


def _even_bins(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high if high > low else low + 1e-3, 40)


def _energies(axis, survey: Survey) -> None:
    axis.set_title("energies", fontsize="medium")
    axis.set_xlabel("energy after E0 (eV/atom)")
    if not survey.has_energies:
        return _none(axis)
    _histograms(axis, survey, energies_left(survey), survey.column("neighbors") > 0)


def _forces(axis, survey: Survey) -> None:
    axis.set_title("forces", fontsize="medium")
    axis.set_xlabel("largest force of a frame (eV/Å)")
    if not survey.has_forces:
        return _none(axis)
    largest = np.maximum(survey.column("largest_force"), 1e-3)
    _histograms(
        axis, survey, largest, True, lambda low, high: np.geomspace(0.99 * low, 1.01 * high, 40)
    )
    axis.set_xscale("log")


def _distances(axis, survey: Survey) -> None:
    """The closest pairs of elements, and the sums of their covalent radii."""
    axis.set_title("nearest distances", fontsize="medium")
    found = survey.nearest_pairs()
    if not found:
        return _none(axis)
    more = len(found) - MOST_PAIRS
    found = found[:MOST_PAIRS]
    places = np.arange(len(found))
    distances, radii = [pair.distance for pair in found], [pair.radii for pair in found]
    axis.bar(places, distances, color="C0", alpha=0.6, label="nearest")
    axis.plot(places, radii, "k_", markersize=14, markeredgewidth=2,
              label="sum of covalent radii")  # fmt: skip
    axis.set_xticks(places, [pair.name for pair in found], rotation=90 if len(found) > 8 else 0)
    axis.set_ylabel("distance (Å)")
    if more > 0:
        axis.set_xlabel(f"and {more} more pairs that are less close")
    axis.set_ylim(0, 1.35 * max(distances + radii))
    axis.legend(fontsize="small", ncols=2, loc="upper left")


def _neighbors(axis, survey: Survey) -> None:
    axis.set_title("neighbours", fontsize="medium")
    axis.set_xlabel(f"neighbours within {survey.cutoff:g} Å, mean of a frame")
    _histograms(axis, survey, survey.column("neighbors"), survey.column("n_atoms") > 1)


def _none(axis) -> None:
    axis.text(0.5, 0.5, "none", transform=axis.transAxes, ha="center", color="0.5")
