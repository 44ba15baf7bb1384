"""Tables on the screen that several verbs print."""

from __future__ import annotations

from collections.abc import Mapping


def print_errors(found, E0: Mapping[str, float]) -> None:
    """Errors of sets of frames side by side: ``found`` are evaluations by name, E0 in eV."""
    from rich.console import Console
    from rich.table import Table

    from ..error_table import error_rows

    table = Table(title="RMSE of the best model (in brackets: share of the spread of the labels)")
    table.add_column("quantity")
    table.add_column("unit")
    for name in found:
        table.add_column(name, justify="right")
    for row in error_rows(found, E0):
        cells = [row.errors[name].text if name in row.errors else "" for name in found]
        table.add_row(row.quantity, row.unit, *cells)
    Console(markup=False, emoji=False).print(table)
