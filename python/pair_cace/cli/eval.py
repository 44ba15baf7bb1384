"""``cace eval``: errors of a model on labelled data."""

from __future__ import annotations

import pathlib

import click

from ..errors import CaceError
from ..files import check_input, check_output, write_json, written_whole
from .options import PATH, format_option, index_option, json_option, plot_option
from .tables import print_table


@click.command("eval")
@click.argument("model", type=PATH)
@click.argument("data", nargs=-1, required=True, type=PATH)
@plot_option("Write a parity plot here (png, pdf or svg).")
@json_option("Write the errors here as JSON, in eV and Å; those of stresses in GPa, too.")
@click.option(
    "--write", "write_file", type=PATH,
    help="Write the frames here, as extended XYZ with the model's cace_energy, cace_forces, "
    "cace_stress, and cace_NAME for every output, beside their labels.",
)  # fmt: skip
@click.option(
    "--by", metavar="KEY",
    help="Errors by what the frames have under this name, such as config_type, too.",
)  # fmt: skip
@click.option(
    "--energy-key", default="energy", show_default=True,
    help="Label of total energies, eV; none: do without. The same for the others.",
)  # fmt: skip
@click.option("--forces-key", default="forces", show_default=True, help="Label of forces, eV/Å.")
@click.option(
    "--stress-key", default="stress", show_default=True,
    help="Label of stresses, eV/Å³, tension positive. Frames without it are fine.",
)  # fmt: skip
@click.option(
    "--output-key", "output_keys", multiple=True, metavar="NAME=LABEL",
    help="Label of an output of the model, if it is not that of the training.",
)  # fmt: skip
@index_option
@format_option
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--batch-atoms", default=400, show_default=True, type=click.IntRange(min=1),
    help="Atoms evaluated together; fewer need less memory.",
)  # fmt: skip
def evaluate_command(
    model: pathlib.Path,
    data: tuple[pathlib.Path, ...],
    plot: pathlib.Path | None,
    json_file: pathlib.Path | None,
    write_file: pathlib.Path | None,
    by: str | None,
    energy_key: str,
    forces_key: str,
    stress_key: str,
    output_keys: tuple[str, ...],
    index: str,
    file_format: str | None,
    device: str,
    batch_atoms: int,
) -> None:
    """Print the errors of MODEL on the frames of DATA (one or more files, extended XYZ or other).

    MODEL is a checkpoint or an exported model. The table has root-mean-square and mean absolute
    errors of energy per atom, as it is and after the best constant shift per atom (models and data
    often differ in the zero of energy), of forces, in all and by element, of stresses, and of outputs
    if the model has any. The plot shows energies after E0 of the model, coloured by composition.
    """
    from rich.console import Console
    from rich.progress import Progress

    from ..data.reading import (
        LABELS,
        Keys,
        count_remarks,
        iter_frames,
        labels_in,
        missing_label,
        remark_notes,
    )
    from ..evaluation import evaluate, graphs_of
    from ..io.loading import load_model

    if write_file and write_file.suffix not in (".xyz", ".extxyz"):
        raise CaceError(f"--write: expected a name that ends in .xyz or .extxyz, got {write_file}")
    for output in filter(None, (plot, json_file, write_file)):
        check_output(output, [model, *data])
    for path in data:
        check_input(path)
        if path.suffix in (".pt", ".pth"):
            raise CaceError(
                f"expected data after the model, but {path} looks like a model; the order is "
                "cace eval MODEL DATA..."
            )
    module, info = load_model(model, device)
    outputs = _keys_of_outputs(info.hyperparameters.outputs, output_keys)
    keys = Keys(energy_key, forces_key, stress_key, outputs=outputs)
    frames = [
        frame
        for path in data
        for frame in iter_frames(path, keys, (), info.elements, file_format, index)
    ]
    for label in LABELS:  # a name that the user gave must be somewhere
        named = getattr(keys, label) not in (getattr(Keys(), label), None)
        if named and all(getattr(frame, label) is None for frame in frames):
            raise CaceError(missing_label(frames[0], label, keys, "--{label}-key"))
    for name in (one.partition("=")[0] for one in output_keys):
        if all(frame.outputs[name] is None for frame in frames):
            raise CaceError(
                f"--output-key: expected the label '{outputs[name]}' ({name}) of atoms, found "
                f"{labels_in(frames[0])} in {frames[0].name}, and in no other frame; correct the name"
            )
    quantities = info.hyperparameters.quantities
    labelled = any(q.label_in(frame) is not None for frame in frames for q in quantities)
    if not labelled and (plot or json_file or not write_file):
        raise CaceError(
            f"expected labels {', '.join(map(repr, outputs.values()))}{', ' if outputs else ''}"
            f"'{energy_key}', '{forces_key}' or '{stress_key}' to compare with, "
            f"found {labels_in(frames[0])} in {', '.join(map(str, data))}; name them with "
            "--energy-key and so on, or ask for the predictions alone with --write"
        )
    groups = _groups(frames, by) if by else []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("evaluating", total=len(frames))
        evaluation = evaluate(
            module, graphs_of(frames, info.cutoff, batch_atoms), device,
            lambda n_frames: progress.advance(task, n_frames), quantities,
        )  # fmt: skip
    of_groups = evaluation.by(groups)
    if labelled:
        _print_table(evaluation)
        if of_groups:
            _print_groups(by, of_groups)
    remarks: dict[str, tuple[int, str]] = {}
    for frame in frames:
        count_remarks(remarks, frame)
    for note in remark_notes(remarks, len(frames)):
        click.echo(note, err=True)
    for quantity in quantities:
        lacking = [frame.name for frame in frames if quantity.label_in(frame) is None]
        if 0 < len(lacking) < len(frames):
            label = quantity.label
            key = outputs[label] if quantity.is_output else getattr(keys, label)
            click.echo(
                f"warning: {len(lacking)} of {len(frames)} frames have no '{key}' (first: "
                f"{lacking[0]}); they do not count for the {label}",
                err=True,
            )
    if write_file:
        _write_frames(frames, evaluation.predicted_frames(), write_file)
        click.echo(f"{write_file}: frames with predictions")
    if json_file:
        content = _content(evaluation, info.E0)
        if of_groups:
            content["by"] = {name: _content(one, info.E0) for name, one in of_groups.items()}
        write_json(json_file, content)
        click.echo(f"{json_file}: errors")
    if plot:
        from ..plotting import plot_parity

        title = f"{model.name} on {', '.join(path.name for path in data)}"
        plot_parity(evaluation, plot, title, info.E0)
        click.echo(f"{plot}: parity plot")


def _keys_of_outputs(outputs, given: tuple[str, ...]) -> dict[str, str]:
    """What labels of the outputs of a model are called, in training or as the user says."""
    found = {name: settings.key or name for name, settings in outputs.items()}
    for one in given:
        name, equals, label = one.partition("=")
        if name not in found or not equals or not label:
            raise CaceError(
                f"--output-key: expected NAME=LABEL with an output of the model "
                f"({', '.join(found) or 'it has none'}), found {one}"
            )
        found[name] = label
    return found


def _groups(frames, key: str) -> list[str]:
    """What every frame has under ``key``. Raises CaceError if no frame has it."""
    if not any(key in frame.atoms.info for frame in frames):
        there = sorted({name for frame in frames for name in frame.atoms.info})
        raise CaceError(f"--by: no frame has '{key}'; found {', '.join(there) or 'no names'}")
    return [str(frame.atoms.info.get(key, f"no {key}")) for frame in frames]


def _print_groups(key: str, of_groups) -> None:
    quantities = next(iter(of_groups.values())).quantities
    scales = [(q.name, *scale) for q in quantities for scale in q.scales]
    rows = []
    for name, one in of_groups.items():
        errors = [(one.pairs[quantity], factor) for quantity, _, factor in scales]
        in_units = [_digits(factor * pairs.rmse) if pairs else "" for pairs, factor in errors]
        rows.append([name, str(one.n_frames), *in_units])
    heads = [(f"{quantity}\n{unit}", "right") for quantity, unit, _ in scales]
    print_table("root-mean-square errors", [(key, "left"), ("frames", "right"), *heads], rows)


def _print_table(evaluation) -> None:
    sides = {"quantity": "left", "RMSE": "right", "MAE": "right", "unit": "left", "values": "right"}
    rows = []
    for name, unit, factor, pairs in evaluation.rows():
        rmse, mae = factor * pairs.rmse, factor * pairs.mae
        rows.append([name, _digits(rmse), _digits(mae), unit, str(pairs.reference.size)])
    title = f"{evaluation.n_frames} frames, {evaluation.n_atoms} atoms"
    print_table(title, sides.items(), rows)
    if evaluation.energy_per_atom:
        click.echo(f"shift of the energies: {evaluation.energy_per_atom.shift:.6f} eV/atom")


def _digits(value: float) -> str:
    return f"{value:.3f}" if not 0.0 < abs(value) < 0.1 else f"{value:.3g}"


def _write_frames(frames, predicted, path: pathlib.Path) -> None:
    import ase.io

    with written_whole(path) as temporary:
        for frame, values in zip(frames, predicted):
            atoms = frame.atoms.copy()
            atoms.calc = frame.atoms.calc  # with the labels that ASE knows, and writes
            for key in atoms.calc.results if atoms.calc else ():
                atoms.info.pop(key, None)
                atoms.arrays.pop(key, None)
            stress = values.pop("stress")
            if atoms.cell.rank == 3:
                atoms.info["cace_stress"] = stress.ravel()
            atoms.info["cace_energy"] = float(values.pop("energy"))
            atoms.arrays |= {f"cace_{name}": of_atoms for name, of_atoms in values.items()}
            ase.io.write(temporary, atoms, format="extxyz", append=True)


def _content(evaluation, E0: dict[str, float]) -> dict:
    from ..error_table import error_rows, errors_as_json

    content = {
        "n_frames": evaluation.n_frames,
        "n_atoms": evaluation.n_atoms,
        "errors": errors_as_json(error_rows({"data": evaluation}, E0), "data"),
    }
    if evaluation.energy_per_atom:
        content["energy_shift"] = evaluation.energy_per_atom.shift
    return content
