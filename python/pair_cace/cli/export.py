"""``cace export``: checkpoints into TorchScript for LAMMPS."""

from __future__ import annotations

import pathlib

import click

from .options import PATH


@click.command()
@click.argument("checkpoint", type=PATH)
@click.option(
    "-o", "--output", required=True, type=PATH,
    help="TorchScript model to write, for pair_coeff.",
)  # fmt: skip
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]),
    help="Precision of the model. Default: that of the checkpoint. float32 is right for molecular "
    "dynamics; energies are summed in float64 in any case.",
)  # fmt: skip
@click.option(
    "--portable", is_flag=True,
    help="Write the model in plain torch operations: it loads without pair_cace, and is many times "
    "slower.",
)  # fmt: skip
def export(
    checkpoint: pathlib.Path, output: pathlib.Path, dtype: str | None, portable: bool
) -> None:
    """Write CHECKPOINT as TorchScript with its metadata, to run with `pair_style cace`.

    The written model is read back and compared with the checkpoint in float64; if energies or
    forces disagree, the command fails and leaves no file.
    """
    export_checkpoint(checkpoint, output, dtype, portable)


def export_checkpoint(
    checkpoint: pathlib.Path, output: pathlib.Path, dtype: str | None, portable: bool = False
) -> None:
    """Read ``checkpoint`` and write ``output``; see ``pair_cace.io.exported``."""
    from ..files import check_input, check_output, in_lammps
    from ..io.checkpoint import load_checkpoint
    from ..io.exported import export_model

    check_input(checkpoint)
    check_output(output, [checkpoint])
    model, info = load_checkpoint(checkpoint)
    dtype = dtype or info.dtype
    deviations = export_model(model, info, output, dtype, portable)
    agreement = ", ".join(f"{name} to {value:.0e}" for name, value in deviations.items())
    click.echo(f"{output}: {dtype}, agrees with {checkpoint} in {agreement} (relative)")
    click.echo("in LAMMPS:")
    click.echo("  pair_style cace")
    click.echo(f"  pair_coeff * * {in_lammps(output)} ELEMENT ...")
    click.echo(
        "with the element of type 1, of type 2, and so on, in the order of your atom types; this "
        f"model knows {' '.join(info.elements)}"
    )
