"""``cace info``: what a model file is."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Iterator

import click

from .options import PATH

CELLS_OF_A_LINE = 6  # of the table of closest distances


@click.command()
@click.argument("model", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def info(model: pathlib.Path, as_json: bool) -> None:
    """Print what MODEL, a checkpoint or an exported model, contains, and what it was trained on."""
    from ..io.loading import load_model

    _, found = load_model(model)
    content = {
        "file": str(model),
        "kind": found.kind,
        "format_version": found.format_version,
        "portable": found.portable,
        "dtype": found.dtype,
        "parameters": found.n_parameters,
        "units": {"energy": "eV", "length": "Å"},
        "E0": found.E0,
        "hyperparameters": found.hyperparameters.model_dump(mode="json"),
        "provenance": found.provenance,
    }
    extent, outputs = found.trained_on, found.hyperparameters.outputs
    if as_json:
        content["trained_on"] = extent and extent.model_dump(mode="json")
        content["errors"] = found.errors
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    content["hyperparameters"].pop("outputs")
    for key, value in content.items():
        if isinstance(value, dict):
            click.echo(f"{key}:")
            for name, entry in value.items():
                click.echo(f"  {name + ':':22} {_plain(entry)}")
        else:
            value = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
            click.echo(f"{key + ':':24} {value}")
    lines = [*_lines_of_outputs(outputs), *_lines_of_extent(extent)]
    for line in [*lines, *_lines_of_errors(found.errors, found.hyperparameters.quantities)]:
        click.echo(line)


def _lines_of_outputs(outputs) -> Iterator[str]:
    """What the model predicts beside energies, for people."""
    if outputs:
        yield "outputs, for every atom:"
    for name, settings in outputs.items():
        given = {key: value for key, value in settings.model_dump(mode="json").items() if value}
        listed = ", ".join(f"{key} {_plain(value)}" for key, value in given.items())
        yield f"  {name + ':':22} {listed}"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _lines_of_extent(extent) -> Iterator[str]:
    """What the model was trained on, for people."""
    if extent is None:
        yield f"{'trained on:':24} not known"
        return
    from ..io.training_extent import ranges_text

    yield f"{'trained on:':24} {extent.n_structures} structures, {extent.n_atoms} atoms"
    if not extent.is_whole:
        yield "  and before on data that are not known, which the following does not hold"
    yield f"closest in training (Å, up to {extent.cutoff:g} Å):"
    cells = []
    for a, b in extent.pairs():
        distance = extent.closest_of(a, b)
        known = "?" if distance is None else "none" if math.isinf(distance) else f"{distance:.2f}"
        cells.append(f"{a + '-' + b:6}{known:>6}")
    for k in range(0, len(cells), CELLS_OF_A_LINE):
        yield "  " + "    ".join(cells[k : k + CELLS_OF_A_LINE])
    for name, densities in (
        ("density around atoms", extent.densities),
        ("mean over a structure", extent.mean_densities),
    ):
        yield f"{name} (atoms/Å³):"
        for symbol, ranges in densities.items():
            yield f"  {symbol + ':':6} {ranges_text(ranges)}"
    if extent.cell_densities:
        yield f"{'density of cells:':24} {ranges_text(extent.cell_densities)} atoms/Å³"


def _lines_of_errors(errors: dict[str, dict[str, float]], quantities) -> Iterator[str]:
    """RMSE and MAE of every part of the data, for people."""
    if not errors:
        yield f"{'errors:':24} not known"
        return
    yield f"errors:{'RMSE':>25}{'MAE':>10}"
    for part, found in errors.items():
        for quantity in quantities:
            name, (unit, factor) = quantity.name, quantity.scales[0]
            if f"{name}_rmse" in found:
                rmse, mae = (factor * found[f"{name}_{kind}"] for kind in ("rmse", "mae"))
                digits = 5 if quantity.is_output else 3
                yield f"  {part:8}{name:8}{rmse:14.{digits}f}{mae:10.{digits}f} {unit}".rstrip()
