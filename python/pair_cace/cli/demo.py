"""``cace demo``: see it work, from labels to molecular dynamics."""

from __future__ import annotations

import pathlib

import click

from .options import PATH


@click.command()
@click.option(
    "--folder", default="cace-demo", show_default=True, type=PATH,
    help="Everything is written here; made if it is not there.",
)  # fmt: skip
@click.option(
    "--epochs", default=50, show_default=True, type=click.IntRange(min=1), help="Of training."
)
@click.option(
    "--steps", default=3000, show_default=True, type=click.IntRange(min=50),
    help="Of molecular dynamics over which the structure of the melt is averaged.",
)  # fmt: skip
def demo(folder: pathlib.Path, epochs: int, steps: int) -> None:
    """Train a model of a nickel-aluminium alloy and run it in LAMMPS; about a minute.

    The data are made by LAMMPS with an embedded-atom potential, from cold crystal to hot melt. The
    same molecular dynamics then runs with that potential and with the trained model, and
    demo.png in the folder shows both: errors, learning curve, radial distribution functions
    and the drift of the energy.
    """
    from ..demo.demo import run_demo

    run_demo(folder, epochs, steps)
