"""Figures, as files; never opens a window."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Mapping

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter  # noqa: E402

from .composition import compositions, energies_after_E0  # noqa: E402
from .evaluation import TO_GPA, Evaluation, Pairs  # noqa: E402
from .files import written_whole  # noqa: E402

# Of the commonest compositions; all others are grey.
COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "black", "C8", "C9")


def plot_parity(
    evaluation: Evaluation, path: pathlib.Path, title: str, E0: Mapping[str, float] = {}
) -> None:
    """Reference against prediction for every quantity that was compared.

    Energies are per atom, after ``E0`` (eV by element), coloured by composition. A constant that
    predictions lack, as those of published models do, is added if it is most of their error.
    """
    panels = [
        name
        for name in ("energy_per_atom", "force", "stress")
        if getattr(evaluation, name) is not None
    ]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 4.2), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], panels):
        if name == "energy_per_atom":
            _energy_panel(axis, evaluation, E0)
        elif name == "force":
            _panel(axis, evaluation.force, "force", "eV/Å", 1e3, "meV/Å")
        else:
            stress = evaluation.stress
            in_GPa = Pairs(TO_GPA * stress.reference, TO_GPA * stress.predicted)
            _panel(axis, in_GPa, "stress", "GPa", 1.0, "GPa")
    figure.suptitle(title)
    _save(figure, path)


def _energy_panel(axis, evaluation: Evaluation, E0: Mapping[str, float]) -> None:
    pairs, moved = energies_after_E0(evaluation, E0), ""
    if pairs.reference.size > 1:
        shift = float(np.mean(pairs.errors))
        shifted = Pairs(pairs.reference, pairs.predicted - shift)
        if shifted.rmse < 0.5 * pairs.rmse:
            pairs, moved = shifted, f" after a shift of {-shift:.4g} eV/atom"
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
    axis.set_xlabel(f"reference {name} ({unit})")
    axis.set_ylabel(f"predicted {name} ({unit})")
    axis.set_title(f"RMSE {factor * pairs.rmse:.3g} {error_unit}{remark}", fontsize="medium")
    axis.ticklabel_format(useOffset=False)
    axis.tick_params(axis="x", labelrotation=30)


def plot_learning_curve(rows: list[dict[str, float]], path: pathlib.Path) -> None:
    """Errors of energy and forces against epochs; ``rows`` are those of metrics.csv."""
    figure, axes = _curve_axes()
    for axis, column in axes:
        for part in ("train", "valid"):
            _curve(axis, rows, f"{part}_{column}", label=part)
        for before, after in zip(rows, rows[1:]):
            if after["phase"] != before["phase"]:
                axis.axvline(after["epoch"] + 0.5, color="0.8", linewidth=1, zorder=0)
        axis.legend()
    _save(figure, path)


def plot_learning_curves(runs: Mapping[str, list[dict[str, float]]], path: pathlib.Path) -> None:
    """Validation errors of several runs laid over each other, those of training thin beneath."""
    figure, axes = _curve_axes(height=4.4)
    for axis, column in axes:
        for number, (name, rows) in enumerate(runs.items()):
            style = {"color": f"C{number % 10}", "linestyle": ("-", "--", ":")[number // 10 % 3]}
            _curve(axis, rows, f"train_{column}", linewidth=0.8, alpha=0.4, **style)
            _curve(axis, rows, f"valid_{column}", label=name, **style)
        axis.legend(fontsize="small")
    figure.suptitle("validation; thin: training")
    _save(figure, path)


def _curve_axes(height: float = 3.6):
    """A figure, and (axis, column of metrics.csv without its part) of energies and of forces."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, height), layout="constrained")
    columns = ("energy_rmse (eV/atom)", "force_rmse (eV/A)")
    for axis, name in zip(axes, ("energy RMSE (meV/atom)", "force RMSE (meV/Å)")):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("epoch")
        axis.set_ylabel(name)
    return figure, list(zip(axes, columns))


def _curve(axis, rows: list[dict[str, float]], column: str, **style) -> None:
    epochs = [row["epoch"] + 1 for row in rows]
    axis.plot(epochs, [1e3 * row[column] for row in rows], **style)


def _save(figure, path: pathlib.Path) -> None:
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.lstrip(".") or "png")
    plt.close(figure)
