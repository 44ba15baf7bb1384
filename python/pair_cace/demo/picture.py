"""One picture of what the demo found."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from ..plotting import plt, save

if TYPE_CHECKING:
    from .demo import Outcome


def draw(outcome: Outcome, path: pathlib.Path) -> None:
    """Parity of forces, learning curve, radial distribution functions, drift of the energy."""
    figure, ((parity, learning), (structure, drift)) = plt.subplots(
        2, 2, figsize=(9, 7.2), layout="constrained"
    )
    force = outcome.test.force
    ends = [force.reference.min(), force.reference.max()]
    parity.plot(ends, ends, color="0.6", linewidth=1)
    parity.scatter(force.reference, force.predicted, s=3, alpha=0.4)
    parity.set(xlabel="true force (eV/Å)", ylabel="predicted force (eV/Å)")
    parity.set_title(f"test frames: RMSE {1e3 * force.rmse:.0f} meV/Å ({outcome.force_error:.1%})")

    epochs = [row["epoch"] + 1 for row in outcome.epochs]
    for part in ("train", "valid"):
        values = [1e3 * row[f"{part}_force_rmse (eV/A)"] for row in outcome.epochs]
        learning.plot(epochs, values, label=f"{part} force")
    learning.set(xlabel="epoch", ylabel="force RMSE (meV/Å)", yscale="log", title="learning curve")
    learning.legend()

    structure.plot(outcome.true.r, outcome.true.g, label="embedded-atom potential")
    structure.plot(outcome.trained.r, outcome.trained.g, "--", label="pair_style cace")
    structure.set(xlabel="r (Å)", ylabel="g(r)")
    structure.set_title(f"melt at 1800 K: largest difference {outcome.structure_error:.3f}")
    structure.legend()

    steps = range(0, 5 * len(outcome.true.drift), 5)
    drift.plot(steps, outcome.true.drift, label="embedded-atom potential")
    drift.plot(steps, outcome.trained.drift, "--", label="pair_style cace")
    drift.set(xlabel="NVE step of 1 fs", ylabel="total energy − start (meV/atom)")
    drift.set_title("energy conservation")
    drift.legend()
    save(figure, path)
