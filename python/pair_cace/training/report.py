"""The end of a run: a page that says what became of it and what to do, pictures, report.json."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..composition import compositions
from ..error_table import digits, errors_as_json
from ..evaluation import Evaluation
from ..files import read_json, write_json, written_whole
from ..io.checkpoint import add_errors
from ..plotting import plot_learning_curve, plot_parity
from ..quantities import OF_ENERGY
from .config import Config
from .data import Part
from .data_diagnosis import UNSEEN, label_warnings, slope_lines
from .outcome import Outcome, outcome_of
from .parent_and_child import lines_of
from .run_folder import RunFolder
from .verdict import verdict

N_WORST = 5  # frames, of each part


@dataclass(frozen=True)
class Report:
    """What was written: errors of every part, and what they mean."""

    outcome: Outcome
    verdict: list[str]
    parent_and_child: list[dict[str, Any]] = field(default_factory=list)  # RMSE, of fine-tuning


def write_report(
    folder: RunFolder, data: dict[str, Part], config: Config, command: str | None = None
) -> Report:
    """Evaluate the best model; writes report.md, report.json and pictures.

    command   that was typed to start the run
    The errors on data that were not trained on go into the checkpoint of the best model as well.
    """
    outcome = outcome_of(folder, data, config)
    unseen = {name: outcome.found[name].errors() for name in UNSEEN if name in outcome.found}
    add_errors(folder.best, unseen)
    for name, evaluation in outcome.found.items():
        title = f"best model, {name} data"
        plot_parity(evaluation, folder.path / f"parity-{name}.png", title, outcome.info.E0)
    plot_learning_curve(outcome.rows, folder.path / "learning-curve.png")
    sentences = [*label_warnings(outcome), *verdict(outcome), *slope_lines(outcome)]
    report = Report(outcome, sentences, read_json(folder.parent_and_child, []))
    with written_whole(folder.path / "report.md") as temporary:
        page = "\n".join(_page(folder.path.resolve().name, report, command))
        temporary.write_text(page + "\n", encoding="utf-8")
    write_json(folder.report, _content(report), allow_nan=False)
    return report


# ---- the page ------------------------------------------------------------------------------------


def _page(name: str, report: Report, command: str | None) -> Iterator[str]:
    outcome = report.outcome
    yield from (f"# {name}", "", "## Verdict", "")
    yield from (f"- {sentence}" for sentence in report.verdict)
    yield from ("", "## Errors of `best.cace.pt`", "")
    yield from _errors(outcome)
    yield from _by_group(outcome)
    yield from ("", "![learning curve](learning-curve.png)", "")
    shown = [part for part in ("test", "valid", "train") if part in outcome.found]
    yield from (f"![parity, {part}](parity-{part}.png)\n" for part in shown)
    yield from _worst_frames(outcome)
    if report.parent_and_child:
        yield from ("## Before fine-tuning, and after", "", *lines_of(report.parent_and_child), "")
    yield from ("## What was asked for", "")
    yield from _asked(outcome, command)
    yield from ("", "## Data", "")
    yield from (f"- {part}: {of_part.size()}" for part, of_part in outcome.data.items())
    yield from (f"- E0 of {symbol}: {energy:.6f} eV" for symbol, energy in outcome.info.E0.items())
    yield from ("", "## Model", "", f"- parameters: {outcome.info.n_parameters:,}")
    for key, value in outcome.info.hyperparameters.model_dump(mode="json").items():
        yield f"- {key}: {_plain(value)}"
    yield from ("", "## Where it comes from", "")
    for key, value in outcome.info.provenance.items():
        if key == "data":
            for part, of_part in value.items():
                pairs = zip(of_part["files"], of_part["sha256"])
                yield f"- {part}: {', '.join(f'{file} (SHA-256 {content})' for file, content in pairs)}"
        elif key == "parent":
            yield f"- fine-tuned from: {value['file']} (SHA-256 {value['sha256']})"
        else:
            yield f"- {key}: {value}"


def _table(head: list[str], rows: list[list[str]], n_words: int) -> Iterator[str]:
    """In Markdown; the first ``n_words`` columns are text, the others numbers."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * n_words + "--:|" * (len(head) - n_words)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _errors(outcome: Outcome) -> Iterator[str]:
    parts = list(outcome.found)
    rows = []
    for row in outcome.errors:
        errors = [row.errors.get(part) for part in parts]
        rmse = [error.text if error else "" for error in errors]
        mae = [digits(error.mae) if error else "" for error in errors]
        rows.append([row.quantity, row.unit, *rmse, *mae])
    head = [f"{measure} {part}" for measure in ("RMSE", "MAE") for part in parts]
    yield from _table(["quantity", "unit", *head], rows, 2)
    spread = (
        "the standard deviation within compositions"
        if outcome.spread_is_within_compositions("valid")
        else "the standard deviation after E0"
    )
    yield ""
    yield (
        f"In brackets: share of the spread of the labels, which is {spread} for energies per atom, "
        "the root mean square for forces, and the standard deviation of each component for stresses"
        + (", and within elements for outputs" if outcome.quantities[len(OF_ENERGY) :] else "")
        + ". Shifted: without the mean error."
    )
    n_all, n_seen = (len(of["train"].structures) for of in (outcome.data, outcome.evaluated))
    if n_seen < n_all:
        yield f"Errors of train are those of {n_seen} of {n_all} training frames, drawn at random."


def _by_group(outcome: Outcome) -> Iterator[str]:
    groups = outcome.by_group()
    if not groups:
        return
    parts = list(outcome.found)
    columns = [q for q in outcome.quantities if any(outcome.error(q.name, part) for part in parts)]
    rows = []
    for name, of_group in groups.items():
        here = [of_group.get(part) for part in parts]
        cells = [" / ".join(str(one.n_frames) if one else "–" for one in here)]
        for quantity in columns:
            pairs = [one.pairs[quantity.name] if one else None for one in here]
            factor = quantity.scales[-1][1]
            cells.append(" / ".join(digits(factor * p.rmse) if p else "–" for p in pairs))
        rows.append([name, *cells])
    yield from ("", f"RMSE by {outcome.grouping[0]}, {' / '.join(parts)}:", "")
    head = [outcome.grouping[0], "frames", *(quantity.title for quantity in columns)]
    yield from _table(head, rows, 1)


def _worst_frames(outcome: Outcome) -> Iterator[str]:
    yield from ("## Worst frames", "")
    units = "force RMSE, meV/Å", "energy error, meV/atom"
    for quantity, unit in zip(("force", "energy"), units):
        rows = []
        for part, evaluation in outcome.found.items():
            formulas = compositions(evaluation)
            for k in worst_frames(evaluation, quantity):
                numbers = evaluation.force_rmse_of_frames[k], evaluation.energy_errors_of_frames[k]
                cells = [digits(1e3 * x) if math.isfinite(x) else "" for x in numbers]
                rows.append([part, outcome.frame_name(part, k), formulas[k], *cells])
        if rows:
            largest = unit.partition(",")[0]
            yield from (f"The {N_WORST} of each part with the largest {largest}:", "")
            yield from _table(["data", "frame", "composition", *units], rows, 3)
            yield ""


def worst_frames(evaluation: Evaluation, quantity: str) -> list[int]:
    """Numbers of the frames with the largest errors of "force" or "energy", the worst first."""
    errors = (
        evaluation.force_rmse_of_frames
        if quantity == "force"
        else np.abs(evaluation.energy_errors_of_frames)
    )
    known = np.flatnonzero(np.isfinite(errors))
    return known[np.argsort(-errors[known], kind="stable")][:N_WORST].tolist()


def _asked(outcome: Outcome, command: str | None) -> Iterator[str]:
    config, last = outcome.config, outcome.rows[-1]
    if command:
        yield from ("```", command, "```", "")
    done = [int(row["phase"]) for row in outcome.rows]
    rows = []
    for number, phase in enumerate(config.training.phases, start=1):
        rate = phase.learning_rate or config.optimizer.learning_rate
        weights = [*(phase.weight_of(q.name) for q in outcome.quantities), rate]
        epochs = f"{done.count(number)} of {phase.epochs}"
        rows.append([str(number), epochs, *(f"{value:g}" for value in weights)])
    names = [f"{quantity.name}_weight" for quantity in outcome.quantities]
    head = ["phase", "epochs", *names, "learning rate"]
    yield from _table(head, rows, 0)
    yield ""
    for section in ("optimizer", "schedule", "loss"):
        values = getattr(config, section).model_dump(mode="json")
        listed = ", ".join(f"{key} {_plain(value)}" for key, value in values.items())
        yield f"- {section}: {listed}"
    yield f"- {len(outcome.rows)} epochs in {last['seconds'] / 60:.1f} minutes"
    best = min(outcome.rows, key=lambda row: row["score"])
    yield (
        f"- lowest validation loss in epoch {best['epoch'] + 1:.0f}; its weights are those of the "
        "last phase"
    )


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


# ---- for programs --------------------------------------------------------------------------------


def _content(report: Report) -> dict[str, Any]:
    outcome = report.outcome
    return {
        "epochs": len(outcome.rows),
        "seconds": outcome.rows[-1]["seconds"],
        "elements": list(outcome.info.elements),
        "parameters": outcome.info.n_parameters,
        "frames": {part: len(of_part.structures) for part, of_part in outcome.data.items()},
        "evaluated_frames": {part: one.n_frames for part, one in outcome.found.items()},
        "errors": {part: errors_as_json(outcome.errors, part) for part in outcome.found},
        "verdict": report.verdict,
    }
