"""Several runs side by side: what they reached, and in what they differ.

Everything is read from the run folders, so that runs that are still going can be compared as well.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ..errors import CaceError
from ..files import or_null, read_json
from ..io.checkpoint import load_checkpoint
from ..io.model_info import ModelInfo
from ..quantities import Quantity, quantities_of
from .run_folder import HEADING, RunFolder

NOT_COMPARED = ("folder", "data.cache")  # keys of which runs need different ones


@dataclass(frozen=True)
class Run:
    """What a run folder says of its run."""

    name: str
    config: dict[str, Any]
    rows: list[dict[str, float]]  # metrics.csv; empty before the end of the first epoch
    provenance: dict[str, Any]
    model: ModelInfo | None  # the best one
    report: dict[str, Any] | None  # report.json; None if the run has not come to its end

    @property
    def epochs_asked(self) -> int:
        return sum(phase["epochs"] for phase in self.config["training"]["phases"])

    @property
    def minutes(self) -> float | None:
        return self.rows[-1]["seconds"] / 60 if self.rows else None

    def valid_error(self, quantity: Quantity) -> float | None:
        """RMSE of the best model on the validation data in eV and Å; None if it is not known.

        "Best" is by the weights of the last phase. After the end the model may have been refitted;
        then that is what counts.
        """
        if self.report:
            return self._reported("valid", quantity)
        if not self.rows:
            return None
        best = min(self.rows, key=lambda row: row["score"])
        return or_null(best.get(f"valid_{quantity.metric('rmse')}", math.nan))

    def test_error(self, quantity: Quantity) -> float | None:
        """RMSE of the best model on the test data in eV and Å; None before the end, and without."""
        return self._reported("test", quantity) if self.report else None

    def _reported(self, part: str, quantity: Quantity) -> float | None:
        return self.report["errors"].get(part, {}).get(quantity.name, {}).get("rmse")

    def frames_of(self, part: str) -> Any:
        """Equal for runs whose frames of ``part`` ("valid" or "test") are the same.

        None if there are none, or if the folder does not say which they are.
        """
        files, data = self.provenance.get("data", {}), self.config["data"]
        drawn = part == "valid" and part not in files
        content = files.get("train" if drawn else part, {}).get("sha256")
        if content is None:
            return None
        isolated = data["E0"] == "isolated"  # then isolated atoms are left out
        choice = [data["valid"], self.config["training"]["seed"]] if drawn else []
        return [content, isolated, *choice]


def read_runs(paths: Sequence[pathlib.Path]) -> list[Run]:
    """Runs in the order given, each once, with names that tell them apart.

    Raises CaceError if a path is neither a run folder nor a file in one.
    """
    folders = list({folder_of(path).resolve(): folder_of(path) for path in paths}.values())
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return [_read(folder, name) for folder, name in zip(folders, names)]


def folder_of(path: pathlib.Path) -> pathlib.Path:
    """The run folder that ``path`` is or lies in; CaceError if there is none."""
    if not path.exists():
        raise CaceError(f"cannot open {path}: there is no such folder")
    folder = path if path.is_dir() else path.parent
    config = folder / "config.yaml"
    if not config.is_file() or not config.read_text(errors="replace").startswith(HEADING):
        raise CaceError(
            f"expected the folder of a run, with the config.yaml that cace train writes, found "
            f"none in {folder}; give what stands behind `folder:` in the config of the run"
        )
    return folder


def quantities_in(runs: Sequence[Run]) -> tuple[Quantity, ...]:
    """Everything that models of some runs predict."""
    outputs = [((run.config.get("model") or {}).get("outputs") or {}).items() for run in runs]
    return quantities_of({name: one["unit"] for of_run in outputs for name, one in of_run})


def differing_keys(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Dotted keys of the configs in which runs differ, and the value of each run."""
    flat = [dict(_flat(run.config)) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    found = {key: [one.get(key) for one in flat] for key in keys if key not in NOT_COMPARED}
    return {key: values for key, values in found.items() if any(v != values[0] for v in values)}


def warnings(runs: Sequence[Run]) -> list[str]:
    """What keeps errors of these runs from being compared."""
    said = []
    for part, word in (("valid", "validation"), ("test", "test")):
        frames = [run.frames_of(part) for run in runs]
        known = [one for one in frames if one is not None]
        if any(one != known[0] for one in known):
            others = [run.name for run, one in zip(runs, frames) if one not in (None, known[0])]
            said.append(
                f"{word} errors cannot be compared: the frames of {', '.join(others)} are others "
                f"than those of {runs[frames.index(known[0])].name}; run cace eval on one file"
            )
        elif part == "valid" and len(known) < len(runs):
            unknown = [run.name for run, one in zip(runs, frames) if one is None]
            said.append(
                f"{', '.join(unknown)}: the folder does not say which the validation frames are "
                "(an older run); see that they are the same before you compare errors"
            )
    for run in runs:
        if run.report is None:
            said.append(
                f"{run.name}: {len(run.rows)} of {run.epochs_asked} epochs; running or "
                "interrupted, no report yet"
            )
    return said


def as_json(runs: Sequence[Run]) -> dict[str, Any]:
    """The comparison in eV and Å, for programs; null for what is not known."""
    return {
        "runs": [
            {
                "name": run.name,
                "elements": run.model and list(run.model.elements),
                "parameters": run.model and run.model.n_parameters,
                "epochs": len(run.rows),
                "epochs_asked": run.epochs_asked,
                "minutes": run.minutes,
                "finished": run.report is not None,
                "valid": {one.name: run.valid_error(one) for one in quantities_in(runs)},
                "test": {one.name: run.test_error(one) for one in quantities_in(runs)},
            }
            for run in runs
        ],
        "differences": differing_keys(runs),
        "warnings": warnings(runs),
    }


def _read(path: pathlib.Path, name: str) -> Run:
    folder = RunFolder(path)
    try:
        config = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
        provenance = read_json(folder.provenance, {})
        rows = folder.rows() if folder.metrics.exists() else []
        report = read_json(folder.report)
    except (ValueError, yaml.YAMLError) as error:
        raise CaceError(f"{path}: a file of the run is damaged ({error}); copy it again") from error
    if report and report["epochs"] != len(rows):
        report = None  # of an earlier end; the run goes on
    model = load_checkpoint(folder.best)[1] if folder.best.exists() else None
    return Run(name, config, rows, provenance, model, report)


def _flat(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    entries: Iterator[tuple[Any, Any]] | None = None
    if isinstance(values, dict) and values:
        entries = iter(values.items())
    elif isinstance(values, list) and values and isinstance(values[0], dict):
        entries = enumerate(values)
    if entries is None:
        yield name, values
        return
    for key, value in entries:
        yield from _flat(value, f"{name}.{key}".strip("."))
