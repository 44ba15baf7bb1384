"""``cace convert``: published models into checkpoints."""

from __future__ import annotations

import math
import pathlib

import click

from ..errors import CaceError
from .options import PATH


@click.command()
@click.argument("published", type=PATH)
@click.option(
    "-o", "--output", required=True, type=PATH,
    help="Checkpoint to write, for example water.cace.pt.",
)  # fmt: skip
@click.option(
    "--e0", "e0", metavar="H=…,O=…",
    help="Reference energy of every element in eV, added to what the model learned. Published "
    "files hold none, as a rule; without this option they are 0.",
)  # fmt: skip
def convert(published: pathlib.Path, output: pathlib.Path, e0: str | None) -> None:
    """Turn a model PUBLISHED with the original implementation into a checkpoint.

    The original package is not needed. The file is read as data: it can contain tensors and the
    parts of a CACE model, and anything else in it is refused, not run. Models with a long-range
    part, charge states or several outputs have no counterpart here; the message names what it is.
    """
    convert_model(published, output, _parse_e0(e0) if e0 else {})


def convert_model(published: pathlib.Path, output: pathlib.Path, E0: dict[str, float]) -> None:
    """Read ``published``, set E0 (eV by element; all of them or none) and write ``output``."""
    from .. import __version__
    from ..files import check_input, check_output, sha256_of, typed
    from ..io.checkpoint import save_checkpoint
    from ..io.published import convert_published

    check_input(published)
    check_output(output, [published])
    model, settings, E0_of_file, notes = convert_published(published)
    if E0:
        _set_E0(model, settings.elements, E0)
    provenance = {
        "converted_from": published.name,
        "sha256": sha256_of(published),
        "pair_cace_version": __version__,
    }
    save_checkpoint(output, model, settings, provenance)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    click.echo(
        f"{output}: {n_parameters:,} parameters, elements {' '.join(settings.elements)}, "
        f"cutoff {settings.cutoff:g} Å, {settings.n_layers} message-passing layer(s)"
    )
    for note in notes:
        click.echo(f"note: {note}")
    if E0_of_file:
        listed = ", ".join(f"{symbol}={E0_of_file[symbol]:g}" for symbol in settings.elements)
        choice = "but --e0 is used" if E0 else "which are used"
        click.echo(f"note: the file holds E0 in eV, {choice}: {listed}")
    elif not E0:
        click.echo(
            f"note: E0 is 0 for {' '.join(settings.elements)}: forces are as published, total "
            "energies lack what the data of the model had subtracted (--e0)"
        )
    click.echo(f"next: cace export {typed(output)} -o model.pt")


def _parse_e0(text: str) -> dict[str, float]:
    energies = {}
    for entry in text.split(","):
        symbol, equals, number = (part.strip() for part in entry.partition("="))
        try:
            energies[symbol] = float(number)
        except ValueError:
            equals = ""
        if not (equals and symbol and math.isfinite(energies[symbol])):
            raise CaceError(f"--e0: expected entries like H=-13.6,O=-432.1, got '{entry}'")
    return energies


def _set_E0(model, elements: tuple[str, ...], E0: dict[str, float]) -> None:
    if set(E0) != set(elements):
        raise CaceError(
            f"--e0: expected one energy for each of {' '.join(elements)}, got {' '.join(E0)}"
        )
    for position, symbol in enumerate(elements):
        model.elements.E0[position] = E0[symbol]
