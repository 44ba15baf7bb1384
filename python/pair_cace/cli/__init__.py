"""The command ``cace``: one verb, one file."""

from __future__ import annotations

import pathlib
import sys

import click

from .. import __version__
from ..errors import CaceError
from .check import check
from .compare import compare
from .convert import convert
from .demo import demo
from .eval import evaluate_command
from .export import export
from .info import info
from .options import PATH
from .train import train


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="pair_cace")
@click.option(
    "--with", "terms", type=PATH, multiple=True, metavar="FILE.py",
    help="A Python file with message terms, radial bases, losses or outputs of yours; can be given again.",
)  # fmt: skip
def cace(terms: tuple[pathlib.Path, ...]) -> None:
    """CACE machine-learning potentials: make models in Python, run them in LAMMPS.

    \b
    To see it work:      cace demo
    Data of yours:       cace check my-data.xyz
    A model of yours:    cace train --template quick > config.yaml
                         cace train config.yaml data.train=my-data.xyz
    A published model:   cace convert water.pth -o water.cace.pt
    For LAMMPS:          cace export water.cace.pt -o water.pt
                         pair_style cace
                         pair_coeff * * water.pt O H

    Units are eV, Å, eV/Å and eV/Å³. `cace VERB --help` explains a verb.
    """
    if terms:
        from ..extending import load_terms

        for path in terms:
            load_terms(path)


for verb in (demo, check, train, compare, export, info, evaluate_command, convert):
    cace.add_command(verb)


def main() -> None:
    """Run the command; user errors are printed without a traceback and exit with status 1."""
    try:
        cace()
    except CaceError as error:
        click.echo(f"cace: error: {error}", err=True)
        sys.exit(1)
