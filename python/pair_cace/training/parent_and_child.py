"""What fine-tuning did: errors of the model that it started from and of the one that it ended with."""

from __future__ import annotations

import pathlib
from typing import Any

from ..evaluation import evaluate
from ..io.checkpoint import load_checkpoint
from .config import Config
from .data import Part
from .groups import groups_of

TITLES = {
    "valid": "new data, validation",
    "test": "new data, test",
    "replay, valid": "first training, frames not replayed",
    "replay": "first training, replayed frames",
}
BY_GROUP = ("test", "replay, valid")  # whose groups have rows, too,
MOST_GROUPS = 12  # if there are no more of them


def compare(
    parent: pathlib.Path, child: pathlib.Path, data: dict[str, Part], config: Config
) -> list[dict[str, Any]]:
    """Root-mean-square errors of two checkpoints on the parts of ``data`` that TITLES name.

    Rows with the keys data (and group), quantity, unit, parent and child.
    """
    device, quantities = config.training.device, config.model.quantities
    models = [load_checkpoint(path)[0].to(device) for path in (parent, child)]
    rows = []
    for name, title in TITLES.items():
        if name not in data:
            continue
        part = data[name]
        both = [
            evaluate(model, part.graphs(config.training), device, quantities=quantities)
            for model in models
        ]
        groups = groups_of(part.store, part.structures)
        tables = [(title, both)]
        if name in BY_GROUP and 1 < len(set(groups)) <= MOST_GROUPS:
            by_group = [evaluation.by(groups) for evaluation in both]
            tables += [(f"{title}: {g}", [one[g] for one in by_group]) for g in sorted(set(groups))]
        for data_name, (before, after) in tables:
            for (quantity, unit, factor, old), (*_, new) in zip(before.rows(), after.rows()):
                if quantity in (one.name for one in quantities):
                    rows.append({
                        "data": data_name, "quantity": quantity, "unit": unit,
                        "parent": factor * old.rmse, "child": factor * new.rmse,
                    })  # fmt: skip
    return rows


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    """The rows of ``compare`` as a table in Markdown, which reads as text, too."""
    head = ["data", "quantity", "parent", "child", "unit"]
    lines = [head] + [
        [row["data"], row["quantity"], f"{row['parent']:.3f}", f"{row['child']:.3f}", row["unit"]]
        for row in rows
    ]
    columns = []
    for name, *cells in zip(*lines):
        width, is_number = max(map(len, (name, *cells))), name in ("parent", "child")
        padded = [f"{text:{'>' if is_number else '<'}{width}}" for text in (name, *cells)]
        rule = "-" * (width + 1) + (":" if is_number else "-")
        columns.append([f" {padded[0]} ", rule, *(f" {text} " for text in padded[1:])])
    return [f"|{'|'.join(line)}|" for line in zip(*columns)]
