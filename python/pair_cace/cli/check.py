"""``cace check``: what a data set is, before a model is trained on it."""

from __future__ import annotations

import pathlib
import sys
from dataclasses import replace

import click

from ..errors import CaceError
from ..files import check_input, check_output, write_json
from .options import PATH, format_option, index_option, json_option, plot_option


@click.command()
@click.argument("data", nargs=-1, required=True, type=PATH)
@click.option(
    "--cutoff", type=click.FloatRange(min=0.5, max=20.0),
    help="Of the model that is to be trained, Å.  [default: that of the config, or 5.0]",
)  # fmt: skip
@plot_option("Draw the data here (png, pdf or svg).")
@json_option("Write everything here as JSON, in eV and Å.")
@click.option("--strict", is_flag=True, help="Exit with status 1 if there are warnings.")
@click.option("--energy-key", help="Label of total energies, eV.  [default: energy]")
@click.option("--forces-key", help="Label of forces, eV/Å.  [default: forces]")
@click.option("--stress-key", help="Label of stresses, eV/Å³, tension positive.  [default: stress]")
@index_option
@format_option
def check(
    data: tuple[pathlib.Path, ...],
    cutoff: float | None,
    plot: pathlib.Path | None,
    json_file: pathlib.Path | None,
    strict: bool,
    energy_key: str | None,
    forces_key: str | None,
    stress_key: str | None,
    index: str,
    file_format: str | None,
) -> None:
    """Print what is in DATA (one or more files, extended XYZ or other), and what is odd about it.

    \b
    cace check train.xyz test.xyz --plot data.png
    cace check config.yaml

    Found are wrong units and signs of energies, forces, stress and positions, energies with an
    offset, forces and energies far from all others, a cutoff that sees little, frames that are in
    two files or twice in one, and boundaries that are probably not meant. With the config of a
    training as DATA, its files, names of labels and cutoff are taken. What only a trained model can
    tell, `cace train` says at its end.
    """
    from rich.console import Console
    from rich.progress import Progress

    from ..checking.inspection import inspect, survey_of
    from ..checking.words import as_values, long_lines
    from ..data.reading import count_remarks, iter_frames, remark_notes

    for output in filter(None, (plot, json_file)):
        check_output(output, data)
    files, keys, configured = _sources(data)
    given = {"energy": energy_key, "forces": forces_key, "stress": stress_key}
    keys = replace(keys, **{name: key for name, key in given.items() if key})
    remarks: dict[str, tuple[int, str]] = {}  # how often, and the first frame
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)

        def frames():
            for part, path in files:
                for frame in iter_frames(path, keys, (), None, file_format, index):
                    count_remarks(remarks, frame)
                    progress.advance(task)
                    yield part, frame

        survey = survey_of(frames(), cutoff or configured or 5.0)
        progress.update(task, description="looking for mistakes")
        inspection = inspect(survey)
    for line in (*long_lines(inspection), "", *inspection.findings):
        click.echo(line)
    for note in remark_notes(remarks, len(inspection.survey)):
        click.echo(note)
    if not inspection.warnings:
        click.echo("no warnings")
    if json_file:
        write_json(json_file, as_values(inspection))
        click.echo(f"{json_file}: everything above")
    if plot:
        from ..checking.picture import plot_survey

        plot_survey(survey, plot, ", ".join(path.name for path in data))
        click.echo(f"{plot}: picture")
    if strict and inspection.warnings:
        sys.exit(1)


def _sources(data: tuple[pathlib.Path, ...]):
    """Files by the name of their part, names of labels, and a cutoff, if a config gives one."""
    from ..checking.inspection import part_names
    from ..data.reading import Keys

    configs = [path for path in data if path.suffix in (".yaml", ".yml")]
    if not configs:
        for path in data:
            check_input(path)
            if path.suffix in (".pt", ".pth"):
                raise CaceError(f"expected data, but {path} looks like a model; see `cace eval`")
        return list(zip(part_names(data), data)), Keys(), None
    if len(data) > 1:
        raise CaceError(
            f"expected either files of data or the config of one training, got {configs[0]} and "
            "others; the config already names its files"
        )
    from ..training.config import load_config
    from ..training.data import keys_of

    config = load_config(configs[0])
    files = [(part, path) for part, paths in config.data.files.items() for path in paths]
    return files, keys_of(config), config.model.cutoff if config.model else None
