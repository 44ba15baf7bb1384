"""Errors of models against what a step costs, as a picture.

python benchmarks/pareto.py docs/pareto.svg

Numbers and where they come from are in pareto.yaml, beside this file.
"""

from __future__ import annotations

import argparse
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import yaml  # noqa: E402

COLOURS = {"pair_cace": "C3", "CACE": "C0", "others": "0.45"}


def draw(axis, panel: dict) -> None:
    """One data set: a point, or a bar where a cost is known within bounds, for every model."""
    for model in panel["models"]:
        costs, error = model["cost"], model["error"]
        colour = COLOURS[model["from"]]
        if isinstance(costs, list):
            axis.plot(costs, [error, error], "-", color=colour, linewidth=3, alpha=0.5)
            place = costs[0]
        else:
            axis.plot(costs, error, "o", color=colour)
            place = costs
        axis.annotate(
            model["name"],
            (place, error),
            (4, 4),
            textcoords="offset points",
            fontsize=8,
            color=colour,
        )
    axis.margins(0.2)
    axis.set(xscale="log", title=panel["title"])
    axis.set_ylim(bottom=0)
    axis.set_xlabel(panel["cost"])
    axis.set_ylabel(panel["error"])
    axis.grid(True, which="both", linewidth=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=pathlib.Path)
    options = parser.parse_args()
    panels = yaml.safe_load(pathlib.Path(__file__).with_suffix(".yaml").read_text())
    width = 5.2 * len(panels)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(width, 4.2), squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes[0], panels):
        draw(axis, panel)
    figure.savefig(options.picture)


if __name__ == "__main__":
    main()
