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
    _energies(axes[0, 0], survey)
    _forces(axes[0, 1], survey)
    _distances(axes[1, 0], survey)
    _neighbors(axes[1, 1], survey)
    figure.suptitle(title)
    save(figure, path)


def _by_part(survey: Survey, values: np.ndarray, keep: np.ndarray):
    """(label, values) of every file."""
    parts = np.array(survey.parts)
    for part in dict.fromkeys(survey.parts):
        chosen = values[(parts == part) & keep & np.isfinite(values)]
        if len(chosen):
            yield part, chosen


def _histograms(axis, groups: list, bins) -> None:
    for label, values in groups:
        axis.hist(values, bins=bins, histtype="stepfilled", alpha=0.5, label=label)
    if len(groups) > 1:
        axis.legend(fontsize="small")
    axis.set_ylabel("frames")


def _bins(groups: list, n: int = 40) -> np.ndarray:
    together = np.concatenate([values for _, values in groups])
    low, high = together.min(), together.max()
    return np.linspace(low, high if high > low else low + 1e-3, n)


def _energies(axis, survey: Survey) -> None:
    axis.set_title("energies", fontsize="medium")
    axis.set_xlabel("energy after E0 (eV/atom)")
    if not survey.has_energies:
        return _none(axis)
    groups = list(_by_part(survey, energies_left(survey), survey.column("neighbors") > 0))
    if groups:
        _histograms(axis, groups, _bins(groups))


def _forces(axis, survey: Survey) -> None:
    axis.set_title("forces", fontsize="medium")
    axis.set_xlabel("largest force of a frame (eV/Å)")
    if not survey.has_forces:
        return _none(axis)
    largest = survey.column("largest_force")
    groups = list(_by_part(survey, np.maximum(largest, 1e-3), np.ones(len(largest), dtype=bool)))
    together = np.concatenate([values for _, values in groups])
    bins = np.geomspace(together.min() * 0.99, together.max() * 1.01, 40)
    _histograms(axis, groups, bins)
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
    groups = list(_by_part(survey, survey.column("neighbors"), survey.column("n_atoms") > 1))
    if not groups:
        return _none(axis)
    _histograms(axis, groups, _bins(groups))


def _none(axis) -> None:
    axis.text(0.5, 0.5, "none", transform=axis.transAxes, ha="center", color="0.5")
