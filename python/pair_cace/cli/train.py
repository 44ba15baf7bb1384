"""``cace train``: from a data file and a config to a model."""

from __future__ import annotations

import importlib.resources
import os
import pathlib
import shlex
import sys
import textwrap
import time

import click

from ..errors import CaceError
from ..files import typed
from ..training.watcher import Watcher, WithLog, duration
from .options import PATH
from .tables import print_errors

TEMPLATES = ("quick", "water", "molecule", "accurate", "alloy", "finetune")


@click.command()
@click.argument("config", type=PATH, required=False)
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option(
    "--template", type=click.Choice(TEMPLATES),
    help="Print a commented config to start from, and do nothing else.",
)  # fmt: skip
@click.option(
    "--keys", is_flag=True,
    help="Print all keys of a config with type, default, unit and a sentence, and do nothing else.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the run in the folder of the config.")
def train(
    config: pathlib.Path | None,
    overrides: tuple[str, ...],
    template: str | None,
    keys: bool,
    resume: bool,
) -> None:
    """Train a model as the file CONFIG says; keys can be overridden on the command line.

    \b
    cace train --template quick > config.yaml
    cace train config.yaml data.train=my-data.xyz folder=runs/first

    The run folder then holds best.cace.pt (for `cace export` and `cace eval`), metrics.csv and
    report.md. A run that was interrupted goes on with --resume and ends as if it had not been.
    Several processes: torchrun --nproc-per-node 2 -m pair_cace train config.yaml
    """
    if template:
        click.echo(template_text(template), nl=False)
        return
    if keys:
        from ..training.keys import keys_text

        click.echo(keys_text(), nl=False)
        return
    if config is None:
        raise CaceError("expected a config file; `cace train --template quick` prints one")
    train_from_file(config, overrides, resume)


def template_text(name: str) -> str:
    """The commented config called ``name``."""
    folder = importlib.resources.files("pair_cace") / "training" / "templates"
    return (folder / f"{name}.yaml").read_text()


def train_from_file(config: pathlib.Path, overrides: tuple[str, ...], resume: bool) -> None:
    """Read ``config``, train, write the report, and print its table and its verdict."""
    from ..training.config import load_config

    # A mistake in the config is reported before torch takes seconds to load.
    loaded = load_config(config, overrides)
    from ..training.interruption import Interruption, what_was_kept
    from ..training.report import write_report
    from ..training.run import train as run
    from ..training.run_folder import RunFolder

    first = os.environ.get("RANK", "0") == "0"
    watcher = _Printer() if first else Watcher()

    def report(folder, data, loaded_config) -> None:
        print_report(write_report(folder, data, loaded_config, command_line()), folder.log)

    with Interruption() as interruption:
        try:
            folder = run(loaded, resume, watcher, report)
        except BaseException:
            if not interruption.happened:
                raise
            watcher.close()
            if first:
                click.echo(what_was_kept(RunFolder(loaded.folder), config, overrides), err=True)
            os._exit(130)  # threads of torch.distributed may wait for processes that have gone
        finally:
            watcher.close()
    if first:
        click.echo(f"{folder.path / 'report.md'}: report")
        click.echo(f"{folder.best}: best model; next: cace export {typed(folder.best)} -o model.pt")


def command_line() -> str:
    """What was typed, in one line that can be typed again."""
    program = pathlib.Path(sys.argv[0]).name
    program = "python -m pair_cace" if program == "__main__.py" else program
    return f"{program} {shlex.join(sys.argv[1:])}"


def print_report(report, log: pathlib.Path) -> None:
    """Errors, and what they mean; the latter also at the end of the file ``log``."""
    print_errors(report.outcome.found, report.outcome.info.E0)
    say = WithLog(_Sentences(), log).say
    for sentence in report.verdict:
        say(sentence)


SECONDS_OF_SILENCE = 60  # without a terminal, after which a line says how far something is


class _Sentences(Watcher):
    """Prints what it is told to say as entries of a list."""

    def say(self, text):
        click.echo(textwrap.fill(text, 96, initial_indent="- ", subsequent_indent="  "))


class _Printer(Watcher):
    """Prints a line per epoch; within it a progress bar on a terminal, elsewhere a line a minute."""

    def __init__(self):
        self.bar = self.task = None
        self.spoke = self.began = time.monotonic()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task("epoch")
            self.bar.start()

    def say(self, text):
        click.echo(text)
        self.spoke = time.monotonic()

    def step(self, epoch, done, total):
        self.progress(f"epoch {epoch + 1}", done, total)

    def progress(self, what, done, total):
        now = time.monotonic()
        if done <= 1:
            self.began = now
        if self.bar:
            self.bar.update(self.task, description=what, completed=done, total=total)
        elif now - self.spoke > SECONDS_OF_SILENCE and 1 < done < total:
            left = (now - self.began) * (total - done) / (done - 1)
            self.say(f"{what}: {done} of {total} steps, {duration(left)} left")

    def epoch(self, row, seconds_left):
        from ..quantities import known_to

        outputs = [quantity for quantity in known_to(row) if quantity.is_output]
        errors = [
            f"{part} E {1e3 * row[f'{part}_energy_rmse (eV/atom)']:8.2f} meV/atom "
            f"F {1e3 * row[f'{part}_force_rmse (eV/A)']:8.1f} meV/Å"
            + "".join(
                f" {q.name} {row[f'{part}_' + q.metric('rmse')]:8.3g} {q.unit}".rstrip()
                for q in outputs
            )
            for part in ("train", "valid", "replay")
            if f"{part}_energy_rmse (eV/atom)" in row
        ]
        self.say(
            f"epoch {row['epoch'] + 1:4d} | {' | '.join(errors)} | lr {row['learning_rate']:.1e} | "
            f"{duration(row['seconds'])}, {duration(seconds_left)} left"
        )

    def close(self):
        if self.bar:
            self.bar.stop()
            self.bar = None
