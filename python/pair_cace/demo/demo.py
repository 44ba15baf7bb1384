"""The course of the demo."""

from __future__ import annotations

import pathlib
import time
from dataclasses import dataclass

import ase.io
import click
import numpy as np
import torch
import yaml

from ..cli.export import export_checkpoint
from ..cli.tables import print_errors
from ..cli.train import train_from_file
from ..data.reading import read_frames
from ..errors import CaceError
from ..evaluation import Evaluation, evaluate, graphs_of
from ..io.checkpoint import load_checkpoint
from ..training.run_folder import RunFolder
from .lammps import Melt, label, melt, trained_potential, true_potential
from .picture import draw

CUTOFF = 5.5  # Å; that of the true potential is 5.65
SIDE = 3  # unit cells of the melt in each direction: 108 atoms


@dataclass(frozen=True)
class Outcome:
    """What the demo found."""

    test: Evaluation
    epochs: list[dict[str, float]]  # rows of metrics.csv
    true: Melt
    trained: Melt

    @property
    def force_error(self) -> float:
        """Force RMSE on the test frames, as a share of the RMS of the forces."""
        return self.test.force.rmse / float(np.sqrt(np.mean(self.test.force.reference**2)))

    @property
    def structure_error(self) -> float:
        """Largest difference of the radial distribution functions beyond 2 Å."""
        beyond = self.true.r > 2.0
        return float(np.abs(self.true.g - self.trained.g)[beyond].max())


def run_demo(folder: pathlib.Path, epochs: int, steps: int) -> Outcome:
    """Label, train, evaluate, export, run, draw; prints what it does.

    Raises CaceError if the folder holds an earlier demo.
    """
    if (folder / "run").exists():
        raise CaceError(f"{folder} holds a demo already; remove it, or give another --folder")
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)

    click.echo("1. labels: LAMMPS heats Ni3Al from 300 to 3000 K with an embedded-atom potential")
    for name, n_frames, seed in (("train", 300, 1), ("test", 60, 2)):
        frames = label(folder / "labels" / name, n_frames, seed)
        ase.io.write(folder / f"{name}.xyz", frames, format="extxyz")
        click.echo(f"   {folder / name}.xyz: {len(frames)} frames of {len(frames[0])} atoms")

    click.echo("2. training")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(_config(folder, epochs), sort_keys=False))
    torch.set_num_threads(1)  # batches this small gain nothing from more
    train_from_file(config, (), resume=False)
    run = RunFolder(folder / "run")

    click.echo("3. errors on frames of another trajectory")
    model, info = load_checkpoint(run.best)
    test = evaluate(model, graphs_of(read_frames(folder / "test.xyz"), info.cutoff, 400))
    print_errors({"test": test}, info.E0)

    click.echo("4. export for LAMMPS")
    export_checkpoint(run.best, folder / "model.pt", "float32")

    click.echo("5. the melt at 1800 K, with the true and with the trained potential")
    true = melt(folder / "melt" / "true", true_potential(), SIDE, steps, seed=1)
    trained = melt(
        folder / "melt" / "trained", trained_potential(folder / "model.pt"), SIDE, steps, 1
    )

    outcome = Outcome(test, run.rows(), true, trained)
    draw(outcome, folder / "demo.png")
    _print_outcome(outcome, folder, time.monotonic() - started)
    return outcome


def _config(folder: pathlib.Path, epochs: int) -> dict:
    return {
        "folder": str(folder / "run"),
        "data": {"train": str(folder / "train.xyz"), "valid": 0.1},
        "model": {
            "cutoff": CUTOFF, "n_rbf": 6, "n_radial": 6, "n_atom_basis": 2, "l_max": 2,
            "readout_hidden": [24, 12],
        },
        "training": {
            "batch_size": 2,
            "refit_readout": True,
            "phases": [{"epochs": epochs, "energy_weight": 10000, "force_weight": 1000}],
        },
        "loss": {"energies": "relative"},
        "optimizer": {"kind": "muon", "learning_rate": 1e-2, "betas": [0.9, 0.999]},
        "schedule": {"kind": "cosine", "warmup_steps": 20},
    }  # fmt: skip


def _print_outcome(outcome: Outcome, folder: pathlib.Path, seconds: float) -> None:
    drift = abs(float(outcome.trained.drift[-1]))
    click.echo(f"\n{'':44}{'found':>10}{'good below':>12}")
    for what, value, limit, digits in (
        ("force RMSE, share of the RMS force", outcome.force_error, 0.05, ".1%"),
        ("largest difference of g(r) beyond 2 Å", outcome.structure_error, 0.1, ".3f"),
        ("drift of the energy in 0.5 ps (meV/atom)", drift, 0.5, ".3f"),
    ):
        verdict = "good" if value < limit else "poor"
        click.echo(f"{what:44}{value:10{digits}}{limit:12{digits}}  {verdict}")
    click.echo(f"\n{folder / 'demo.png'}: the picture; everything took {seconds:.0f} s")
