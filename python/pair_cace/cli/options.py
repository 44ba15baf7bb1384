"""Options that several verbs have, and checks of what is given for them."""

from __future__ import annotations

import pathlib

import click

from ..errors import CaceError

PATH = click.Path(path_type=pathlib.Path)


def _checked_index(_context, _option, index: str) -> str:
    """Raises CaceError unless ASE understands ``index``."""
    from ase.io.formats import string2index

    try:
        is_index = not isinstance(string2index(index), str)
    except (ValueError, TypeError):
        is_index = False
    if not is_index:
        raise CaceError(f"--index: expected a number or a range as 0:10, -1 or ::5, got '{index}'")
    return index


def _checked_plot(_context, _option, plot: pathlib.Path | None) -> pathlib.Path | None:
    """Raises CaceError unless ``plot``, if it is given, has the name of a picture."""
    if plot and plot.suffix not in (".png", ".pdf", ".svg"):
        raise CaceError(f"--plot: expected a name that ends in .png, .pdf or .svg, got {plot}")
    return plot


index_option = click.option(
    "--index", default=":", show_default=True, callback=_checked_index,
    help="Frames to take from each file, in ASE's notation: 0:10, -1, ::5.",
)  # fmt: skip
format_option = click.option(
    "--format", "file_format", help="Format of the data, as ASE calls it. Default: ASE's guess."
)


def plot_option(help: str):
    """--plot FILE, as ``plot``."""
    return click.option("--plot", type=PATH, callback=_checked_plot, help=help)


def json_option(help: str):
    """--json FILE, as ``json_file``."""
    return click.option("--json", "json_file", type=PATH, help=help)
