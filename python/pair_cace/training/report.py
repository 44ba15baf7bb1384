"""The end of a run: errors of the best model, plots, and one page that shows them."""

from __future__ import annotations

import pathlib

from ..evaluation import Evaluation, evaluate
from ..files import written_whole
from ..io.checkpoint import add_errors, load_checkpoint
from ..io.model_info import ModelInfo
from ..plotting import plot_learning_curve, plot_parity
from .batching import batches
from .config import Config
from .data import Part
from .run_folder import RunFolder


def write_report(folder: RunFolder, data: dict[str, Part], config: Config) -> dict[str, Evaluation]:
    """Evaluate the best model on validation and test data; writes report.md and its pictures.

    The errors go into the checkpoint of the best model as well.
    """
    model, info = load_checkpoint(folder.best)
    model = model.to(config.training.device)
    found = {}
    for name in ("valid", "test"):
        if name not in data:
            continue
        part = data[name]
        groups = batches(part.structures, part.store, config.training)
        found[name] = evaluate(
            model, (part.store.batch(group) for group in groups), config.training.device
        )
        plot_parity(found[name], folder.path / f"parity-{name}.png", f"best model, {name} data")
    add_errors(folder.best, {name: evaluation.errors() for name, evaluation in found.items()})
    rows = folder.rows()
    plot_learning_curve(rows, folder.path / "learning-curve.png")
    _write_page(folder.path / "report.md", found, rows, info, data)
    return found


def _write_page(
    path: pathlib.Path,
    found: dict[str, Evaluation],
    rows: list[dict],
    info: ModelInfo,
    data: dict[str, Part],
) -> None:
    lines = [f"# {path.parent.name}", "", "Errors of `best.cace.pt`:", ""]
    lines += ["| data | quantity | RMSE | MAE | unit |", "|---|---|--:|--:|---|"]
    for name, evaluation in found.items():
        for quantity, unit, factor, pairs in evaluation.rows():
            rmse, mae = factor * pairs.rmse, factor * pairs.mae
            lines.append(f"| {name} | {quantity} | {rmse:.3f} | {mae:.3f} | {unit} |")
    last = rows[-1]
    lines += [
        "",
        f"{len(rows)} epochs in {last['seconds'] / 60:.1f} minutes; "
        f"{last['skipped_steps']:.0f} steps skipped because their loss was not finite.",
        "",
        "![learning curve](learning-curve.png)",
        "",
    ]
    lines += [f"![parity, {name}](parity-{name}.png)\n" for name in found]
    lines += ["## Data", ""]
    lines += [f"- {name}: {part.size()}" for name, part in data.items()]
    lines += [f"- E0 of {symbol}: {energy:.6f} eV" for symbol, energy in info.E0.items()]
    lines += ["", "## Model", ""]
    for key, value in info.hyperparameters.model_dump(mode="json").items():
        lines.append(f"- {key}: {value}")
    lines += ["", "## Where it comes from", ""]
    lines += [f"- {key}: {value}" for key, value in info.provenance.items()]
    with written_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
