"""The command ``cace``: one verb, one file."""

from __future__ import annotations

import os
import sys

import click

from .. import __version__
from ..errors import CaceError
from .convert import convert
from .eval import evaluate_command
from .export import export
from .info import info
from .train import train


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="pair_cace")
def cace() -> None:
    """CACE machine-learning potentials: make models in Python, run them in LAMMPS.

    \b
    A published model:   cace convert water.pth -o water.cace.pt
    For LAMMPS:          cace export water.cace.pt -o water.pt
                         pair_style cace
                         pair_coeff * * water.pt O H

    Units are eV, Å, eV/Å and eV/Å³. `cace VERB --help` explains a verb.
    """


for verb in (train, export, info, evaluate_command, convert):
    cace.add_command(verb)


def main() -> None:
    """Run the command; user errors are printed without a traceback and exit with status 1."""
    # OpenMP threads that spin while they wait stall for minutes on a core that another program
    # uses as well. Has to be said before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        cace()
    except CaceError as error:
        click.echo(f"cace: error: {error}", err=True)
        sys.exit(1)
