"""``cace info``: what a model file is."""

from __future__ import annotations

import json
import pathlib

import click


@click.command()
@click.argument("model", type=click.Path(path_type=pathlib.Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def info(model: pathlib.Path, as_json: bool) -> None:
    """Print what MODEL, a checkpoint or an exported model, contains."""
    show_info(model, as_json)


def show_info(path: pathlib.Path, as_json: bool) -> None:
    """Print kind, elements, cutoff, precision, E0, hyperparameters and provenance."""
    from ..io.loading import load_model

    _, found = load_model(path)
    content = {
        "file": str(path),
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
    if as_json:
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    for key, value in content.items():
        if isinstance(value, dict):
            click.echo(f"{key}:")
            for name, entry in value.items():
                entry = " ".join(map(str, entry)) if isinstance(entry, list) else entry
                click.echo(f"  {name + ':':22} {entry}")
        else:
            value = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
            click.echo(f"{key + ':':24} {value}")
