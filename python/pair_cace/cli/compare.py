"""``cace compare``: several runs side by side."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import click

from ..errors import CaceError
from ..files import check_output, write_json
from .options import PATH, json_option, plot_option

ABSENT = "—"
SIDE_BY_SIDE = 6  # runs in one table


@click.command()
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@plot_option("Draw the learning curves laid over each other (png, pdf or svg).")
@json_option("Write the comparison here as JSON, in eV and Å.")
def compare(
    runs: tuple[pathlib.Path, ...], plot: pathlib.Path | None, json_file: pathlib.Path | None
) -> None:
    """Print what each RUN reached and in which keys of the config they differ.

    A RUN is the folder of a run, or a file in it such as best.cace.pt; it may still be going on.
    Errors are those of the best model as root-mean-square errors. Those of the test data come from
    report.json, which is written at the end of a run.
    """
    from ..training.compare import as_json, differing_keys, read_runs, warnings

    for output in filter(None, (plot, json_file)):
        check_output(output, runs)
    found = read_runs(runs)
    if plot and not any(run.rows for run in found):
        raise CaceError("--plot: no run has finished an epoch yet; try again later")
    _print_tables(found, differing_keys(found))
    for sentence in warnings(found):
        click.echo(f"note: {sentence}")
    if json_file:
        write_json(json_file, as_json(found))
        click.echo(f"{json_file}: comparison")
    if plot:
        from ..plotting import plot_learning_curves

        plot_learning_curves({run.name: run.rows for run in found if run.rows}, plot)
        click.echo(f"{plot}: learning curves")


def _print_tables(runs, differences) -> None:
    """Runs side by side, a few in each table; beneath, the keys of their configs that differ."""
    from rich.console import Console
    from rich.table import Table

    from ..training.keys import as_yaml

    for first in range(0, len(runs), SIDE_BY_SIDE):
        few = slice(first, first + SIDE_BY_SIDE)
        table = Table(title="best models, RMSE")
        table.add_column("", no_wrap=True)
        for run in runs[few]:
            table.add_column(run.name, justify="right", overflow="fold")
        for name, cells in _results(runs[few]):
            table.add_row(name, *cells)
        table.add_section()
        for key, values in differences.items():
            table.add_row(key, *map(as_yaml, values[few]))
        Console(markup=False, emoji=False).print(table)
    if len(runs) > 1 and not differences:
        click.echo("the configs do not differ")


def _results(runs) -> Iterator[tuple[str, list[str]]]:
    from ..error_table import digits
    from ..training.compare import quantities_in

    def shown(value: float | None, factor: float = 1.0) -> str:
        return ABSENT if value is None else digits(factor * value)

    models = [run.model for run in runs]
    yield "elements", [" ".join(one.elements) if one else ABSENT for one in models]
    yield "parameters", [f"{one.n_parameters:,}" if one else ABSENT for one in models]
    yield "epochs", [f"{len(run.rows)} of {run.epochs_asked}" for run in runs]
    yield "minutes", [shown(run.minutes) for run in runs]
    for part in ("valid", "test"):
        for quantity in quantities_in(runs):
            found = [run.valid_error if part == "valid" else run.test_error for run in runs]
            factor = quantity.scales[-1][1]
            yield f"{part} {quantity.title}", [shown(error(quantity), factor) for error in found]
