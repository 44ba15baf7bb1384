"""Files of a run: what went in, how it went, and everything needed to go on after an interruption.

    config.yaml         the config with all defaults filled in
    provenance.json     versions, seed, hashes of the data
    train.log           what was said on the way: sizes of the data, E0, the end
    metrics.csv         one row per epoch
    best.cace.pt        averaged weights with the best validation score
    last.cace.pt        averaged weights after the last epoch
    before-refit.cace.pt   the same before the least squares for the readout, if these changed it
    parent-and-child.json  after fine-tuning: errors of the model before and after
    state.pt            weights, optimizer and counters after the last epoch, for --resume
    report.md, report.json   errors of the best model and what they mean, at the end; with pictures

Every file but the log is replaced whole. state.pt is written last, so that an epoch is either in all files or is
done again; rows of metrics.csv behind the state are dropped on resuming.
"""

from __future__ import annotations

import csv
import io
import pathlib
from typing import Any

import filelock
import torch
import yaml

from ..errors import CaceError
from ..files import check_archive, written_whole
from .commented import commented_yaml
from .config import Config
from .continuation import continued

STATE_VERSION = 1
HEADING = "# written by cace train, with all defaults\n"


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.config = path / "config.yaml"
        self.provenance = path / "provenance.json"
        self.log = path / "train.log"
        self.metrics = path / "metrics.csv"
        self.report = path / "report.json"
        self.best = path / "best.cace.pt"
        self.last = path / "last.cace.pt"
        self.before_refit = path / "before-refit.cace.pt"
        self.parent_and_child = path / "parent-and-child.json"
        self.state = path / "state.pt"
        self._rows: list[dict[str, Any]] = []
        self._lock = filelock.FileLock(path / ".lock")

    def hold(self) -> None:
        """Keep other runs out, until ``release`` or the end of the process."""
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise CaceError(
                f"another process is training in {self.path}; wait for its end, or give another "
                "folder (folder=...)"
            ) from None
        except (OSError, NotImplementedError):
            pass  # not every file system has locks

    def release(self) -> None:
        """Let other runs in."""
        self._lock.release()

    def start(self, config: Config) -> None:
        """Begin a new run, and hold the folder. Raises CaceError if it is taken."""
        if self.state.exists():
            raise CaceError(
                f"{self.path} already holds a run; continue it with --resume, or give another "
                "folder (folder=...)"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CaceError(f"folder: cannot make {self.path}: {error.strerror}") from error
        self.hold()
        self._check_files_are_ours()
        self.log.unlink(missing_ok=True)  # of a run that ended before its first epoch
        self.write_config(config)

    def go_on(self, config: Config) -> None:
        """Go on with the run that is here, and hold the folder."""
        self.hold()
        self.write_config(config)  # which may have more epochs than before

    def write_config(self, config: Config) -> None:
        with written_whole(self.config) as temporary:
            temporary.write_text(HEADING + commented_yaml(config), encoding="utf-8")

    def _check_files_are_ours(self) -> None:
        if self.config.exists() and self.config.read_text(errors="replace").startswith(HEADING):
            return
        for path in (self.config, self.log):
            if path.exists():
                raise CaceError(
                    f"folder: a run writes its own {path.name}, and {path} is not of a run; give "
                    "another folder (folder=...)"
                )

    def add_row(self, row: dict[str, Any]) -> None:
        """Append an epoch to metrics.csv."""
        self._rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        with written_whole(self.metrics) as temporary:
            temporary.write_text(text.getvalue())

    def save_state(self, state: dict[str, Any]) -> None:
        with written_whole(self.state) as temporary:
            torch.save({"version": STATE_VERSION} | state, temporary)

    def load_state(self, config: Config) -> dict[str, Any] | None:
        """What ``save_state`` wrote last; None if the run stopped before its first epoch ended.

        ``config`` may have more epochs than the run began with, and more phases behind them; then the
        state is one from which those go on.
        Raises CaceError if there is no run here or its config is another one.
        """
        if not self.config.exists():
            raise CaceError(f"--resume: {self.path} holds no run; start it without --resume")
        before = Config.model_validate(yaml.safe_load(self.config.read_text(encoding="utf-8")))
        same_phases = {
            "training": before.training.model_copy(update={"phases": config.training.phases})
        }
        changed = _differences(
            before.model_copy(update=same_phases).model_dump(mode="json"),
            config.model_dump(mode="json"),
        )
        if changed:
            raise CaceError(
                f"--resume: the config differs from that of the run in {self.path}: "
                f"{', '.join(changed)}; undo that, or start a new run in another folder. Only "
                "training.phases may have more epochs than before"
            )
        if not self.state.exists():
            return None
        check_archive(self.state)
        state = torch.load(self.state, map_location="cpu", weights_only=True)
        if state["version"] != STATE_VERSION:
            raise CaceError(f"--resume: {self.state} was written by another version of pair_cace")
        with open(self.metrics, newline="") as file:
            rows = list(csv.DictReader(file))
        self._rows = [row for row in rows if int(row["epoch"]) < state["epoch"]]
        return continued(state, self._rows, before.training.phases, config.training.phases)

    def rows(self) -> list[dict[str, float]]:
        """metrics.csv as numbers."""
        with open(self.metrics, newline="") as file:
            return [
                {key: float(value) for key, value in row.items()} for row in csv.DictReader(file)
            ]


def _differences(before: Any, after: Any, name: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [
            found
            for key in keys
            for found in _differences(before.get(key), after.get(key), f"{name}.{key}".strip("."))
        ]
    return [] if before == after else [name]
