"""Tables on the screen that several verbs print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def print_table(
    title: str, columns: Iterable[tuple[str, str]], rows: Iterable[Sequence[str]]
) -> None:
    """A table with ``columns`` (name, "left" or "right")."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for name, justify in columns:
        table.add_column(name, justify=justify)
    for row in rows:
        table.add_row(*row)
    Console(markup=False, emoji=False).print(table)


def print_errors(found, E0: Mapping[str, float]) -> None:
    """Errors of sets of frames side by side: ``found`` are evaluations by name, E0 in eV."""
    from ..error_table import error_rows

    rows = []
    for row in error_rows(found, E0):
        cells = [row.errors[name].text if name in row.errors else "" for name in found]
        rows.append([row.quantity, row.unit, *cells])
    title = "RMSE of the best model (in brackets: share of the spread of the labels)"
    columns = [("quantity", "left"), ("unit", "left"), *((name, "right") for name in found)]
    print_table(title, columns, rows)
