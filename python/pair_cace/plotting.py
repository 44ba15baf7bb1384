"""Figures, as files; never opens a window."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Mapping

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from ase.data import chemical_symbols  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter  # noqa: E402

from .composition import compositions, energies_after_E0  # noqa: E402
from .evaluation import Evaluation, Pairs  # noqa: E402
from .files import written_whole  # noqa: E402
from .quantities import ENERGY, FORCE, Quantity, known_to  # noqa: E402

# Of the commonest compositions; all others are grey.
COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "black", "C8", "C9")


def plot_parity(
    evaluation: Evaluation, path: pathlib.Path, title: str, E0: Mapping[str, float] = {}
) -> None:
    """Reference against prediction for every quantity that was compared.

    Energies are per atom, after ``E0`` (eV by element), coloured by composition. A constant that
    predictions lack, as those of published models do, is added if it is most of their error.
    """
    panels = [quantity for quantity in evaluation.quantities if evaluation.pairs[quantity.name]]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 4.2), squeeze=False, layout="constrained"
    )
    for axis, quantity in zip(axes[0], panels):
        if quantity is ENERGY:
            _energy_panel(axis, evaluation, E0)
            continue
        pairs, (unit, factor) = evaluation.pairs[quantity.name], quantity.axes
        shown = Pairs(factor * pairs.reference, factor * pairs.predicted)
        error_unit, error_factor = quantity.scales[-1]
        colours = {}
        if quantity.is_output:
            symbols = np.array(chemical_symbols)[evaluation.labelled_species(quantity)]
            colours = _colours(symbols)
        _panel(axis, shown, quantity.name, unit, error_factor / factor, error_unit, "", colours)
    figure.suptitle(title)
    save(figure, path)


def _energy_panel(axis, evaluation: Evaluation, E0: Mapping[str, float]) -> None:
    pairs, moved = energies_after_E0(evaluation, E0), ""
    if pairs.reference.size > 1:
        if pairs.shifted.rmse < 0.5 * pairs.rmse:
            pairs, moved = pairs.shifted, f" after a shift of {-pairs.shift:.4g} eV/atom"
    known = np.isfinite(evaluation.labels["energies"])
    colours = _colours(np.array(compositions(evaluation))[known])
    name = "energy after E0" if any(E0.values()) else "energy"
    _panel(axis, pairs, name, "eV/atom", 1e3, "meV/atom", moved, colours)


def _colours(names: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """Colour and frames of everything that gets a line of the legend."""
    # Drawn from the commonest on, so that single frames are seen.
    common = [name for name, _ in Counter(names.tolist()).most_common(len(COLOURS))]
    found = {name: (colour, names == name) for name, colour in zip(common, COLOURS)}
    others = ~np.isin(names, common)
    return found | ({"other": ("0.6", others)} if others.any() else {})


def _panel(
    axis,
    pairs: Pairs,
    name: str,
    unit: str,
    factor: float,
    error_unit: str,
    remark: str = "",
    colours: dict[str, tuple[str, np.ndarray]] = {},
) -> None:
    low = min(pairs.reference.min(), pairs.predicted.min())
    high = max(pairs.reference.max(), pairs.predicted.max())
    axis.plot([low, high], [low, high], color="0.6", linewidth=1, zorder=1)
    for label, (colour, chosen) in (colours or {"": ("C0", slice(None))}).items():
        axis.scatter(
            pairs.reference[chosen], pairs.predicted[chosen],
            s=9 if len(colours) > 1 else 4, color=colour, alpha=0.5, linewidths=0,
            rasterized=True, zorder=2, label=label,
        )  # fmt: skip
    if len(colours) > 1:
        legend = axis.legend(fontsize="x-small", markerscale=1.5, handletextpad=0.1)
        for handle in legend.legend_handles:
            handle.set_alpha(1.0)
    in_unit = f" ({unit})" if unit else ""
    axis.set_xlabel(f"reference {name}{in_unit}")
    axis.set_ylabel(f"predicted {name}{in_unit}")
    axis.set_title(f"RMSE {factor * pairs.rmse:.3g} {error_unit}{remark}", fontsize="medium")
    axis.ticklabel_format(useOffset=False)
    axis.tick_params(axis="x", labelrotation=30)


def plot_learning_curve(rows: list[dict[str, float]], path: pathlib.Path) -> None:
    """Errors of energy, forces and outputs against epochs; ``rows`` are those of metrics.csv."""
    outputs = [quantity for quantity in known_to(rows[0]) if quantity.is_output]
    figure, axes = _curve_axes([ENERGY, FORCE, *outputs])
    for axis, quantity in axes:
        for part in ("train", "valid"):
            _curve(axis, rows, part, quantity, label=part)
        for before, after in zip(rows, rows[1:]):
            if after["phase"] != before["phase"]:
                axis.axvline(after["epoch"] + 0.5, color="0.8", linewidth=1, zorder=0)
        axis.legend()
    save(figure, path)


def plot_learning_curves(runs: Mapping[str, list[dict[str, float]]], path: pathlib.Path) -> None:
    """Validation errors of several runs laid over each other, those of training thin beneath."""
    figure, axes = _curve_axes([ENERGY, FORCE], height=4.4)
    for axis, quantity in axes:
        for number, (name, rows) in enumerate(runs.items()):
            style = {"color": f"C{number % 10}", "linestyle": ("-", "--", ":")[number // 10 % 3]}
            _curve(axis, rows, "train", quantity, linewidth=0.8, alpha=0.4, **style)
            _curve(axis, rows, "valid", quantity, label=name, **style)
        axis.legend(fontsize="small")
    figure.suptitle("validation; thin: training")
    save(figure, path)


def _curve_axes(quantities: list[Quantity], height: float = 3.6):
    """A figure, and (axis, quantity)."""
    n = len(quantities)
    figure, axes = plt.subplots(1, n, figsize=(4.2 * n, height), layout="constrained")
    for axis, quantity in zip(axes, quantities):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("epoch")
        unit = quantity.scales[-1][0]
        axis.set_ylabel(f"{quantity.name} RMSE" + (f" ({unit})" if unit else ""))
    return figure, list(zip(axes, quantities))


def _curve(axis, rows: list[dict[str, float]], part: str, quantity: Quantity, **style) -> None:
    epochs, factor = [row["epoch"] + 1 for row in rows], quantity.scales[-1][1]
    column = f"{part}_{quantity.metric('rmse')}"
    axis.plot(epochs, [factor * row[column] for row in rows], **style)


def save(figure, path: pathlib.Path) -> None:
    """Write a figure, whole or not at all, in the format that the name of the file says."""
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.lstrip(".") or "png")
    plt.close(figure)
