"""Small labelled data sets, and a config that trains on them in seconds."""

import csv
import os
import subprocess
import sys

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from labelled_sets import copper_gold
from pair_cace.io.checkpoint import load_checkpoint
from pair_cace.nn.derivatives import predict
from pair_cace.training.data import load_data
from pair_cace.training.distributed import Processes
from pair_cace.training.watcher import Watcher


def labelled(n_frames, seed, with_stress=True):
    """Shaken copper-gold crystals of 8 atoms, labelled with effective-medium theory."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n_frames):
        atoms = copper_gold(rng)
        atoms.rattle(0.08, rng=rng)
        atoms.calc = EMT()
        results = dict(energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        if with_stress:
            results["stress"] = atoms.get_stress()
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="session")
def data_file(tmp_path_factory):
    """20 labelled frames."""
    path = tmp_path_factory.mktemp("data") / "train.xyz"
    ase.io.write(path, labelled(20, seed=1), format="extxyz")
    return path


@pytest.fixture
def config_file(tmp_path, data_file):
    """A config for ``data_file`` with the run in tmp_path/run; returns a writer of variations."""

    def write(name="config.yaml", **sections):
        content = {
            "folder": str(tmp_path / "run"),
            "data": {"train": str(data_file), "valid": 0.2},
            "model": {
                "cutoff": 4.0, "n_rbf": 4, "n_radial": 2, "n_atom_basis": 2, "l_max": 2,
                "readout_hidden": [8],
            },
            "training": {
                "batch_size": 4,
                "dtype": "float64",
                "phases": [
                    {"epochs": 2, "energy_weight": 1, "force_weight": 100, "stress_weight": 10},
                    {"epochs": 2, "energy_weight": 100, "force_weight": 100},
                ],
            },
        }  # fmt: skip
        for section, changes in sections.items():
            if isinstance(changes, dict) and isinstance(content.get(section), dict):
                content[section] = content[section] | changes
            else:
                content[section] = changes
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content))
        return path

    return write


class Listener(Watcher):
    """Keeps what it is told."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def cace_train(*arguments, processes=1, **options):
    command = [sys.executable, "-m", "pair_cace", "train", *map(str, arguments)]
    if processes > 1:
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            "--nproc-per-node", str(processes), "-m", "pair_cace", "train", *map(str, arguments),
        ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        **options,
    )


def rows_of(folder):
    """metrics.csv of a run, without the times."""
    with open(folder / "metrics.csv", newline="") as file:
        return [
            {key: float(value) for key, value in row.items() if key != "seconds"}
            for row in csv.DictReader(file)
        ]


def mean_energy_error(path, config):
    """Of the energies per atom of the training frames, eV."""
    model, info = load_checkpoint(path)
    data = load_data(config, info.cutoff, Processes(), Watcher())["train"]
    graph, labels = data.store.batch(data.structures.tolist())
    n_atoms = torch.bincount(graph.structure)
    return float(((labels.energies - predict(model, graph).energies) / n_atoms).mean())
