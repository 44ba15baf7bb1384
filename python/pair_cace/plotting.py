"""Figures, as files; never opens a window."""

from __future__ import annotations

import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from .evaluation import Evaluation, Pairs  # noqa: E402
from .files import written_whole  # noqa: E402


def plot_parity(evaluation: Evaluation, path: pathlib.Path, title: str) -> None:
    """Reference against prediction for every quantity that was compared.

    Energies of several frames are shown after the constant shift per atom that the table reports.
    """
    panels: list[tuple[str, Pairs, str]] = []
    shift = None
    if evaluation.energy_per_atom:
        pairs = evaluation.energy_per_atom
        if pairs.reference.size > 1:
            pairs, shift = evaluation.energy_per_atom_shifted, evaluation.energy_shift
        panels.append(("energy", pairs, "eV/atom"))
    if evaluation.force:
        panels.append(("force", evaluation.force, "eV/Å"))
    if evaluation.stress:
        panels.append(("stress", evaluation.stress, "eV/Å³"))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 4.2), squeeze=False, layout="constrained"
    )
    for axis, (name, pairs, unit) in zip(axes[0], panels):
        low = min(pairs.reference.min(), pairs.predicted.min())
        high = max(pairs.reference.max(), pairs.predicted.max())
        axis.plot([low, high], [low, high], color="0.6", linewidth=1, zorder=1)
        axis.scatter(pairs.reference, pairs.predicted, s=4, alpha=0.5, rasterized=True, zorder=2)
        axis.set_xlabel(f"reference {name} ({unit})")
        axis.set_ylabel(f"predicted {name} ({unit})")
        moved = f" after a shift of {-shift:.4g} {unit}" if name == "energy" and shift else ""
        axis.set_title(f"RMSE {1e3 * pairs.rmse:.3g} m{unit}{moved}", fontsize="medium")
        axis.ticklabel_format(useOffset=False)
        axis.tick_params(axis="x", labelrotation=30)
    figure.suptitle(title)
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.lstrip(".") or "png")
    plt.close(figure)


def plot_learning_curve(rows: list[dict[str, float]], path: pathlib.Path) -> None:
    """Errors of energy and forces against epochs; ``rows`` are those of metrics.csv."""
    epochs = [row["epoch"] + 1 for row in rows]
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
    for axis, quantity, unit in ((axes[0], "energy", "eV/atom"), (axes[1], "force", "eV/A")):
        for part in ("train", "valid"):
            values = [1e3 * row[f"{part}_{quantity}_rmse ({unit})"] for row in rows]
            axis.plot(epochs, values, label=part)
        for before, after in zip(rows, rows[1:]):
            if after["phase"] != before["phase"]:
                axis.axvline(after["epoch"] + 0.5, color="0.8", linewidth=1, zorder=0)
        axis.set_yscale("log")
        axis.set_xlabel("epoch")
        axis.set_ylabel(f"{quantity} RMSE (m{unit.replace('A', 'Å')})")
        axis.legend()
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    plt.close(figure)
