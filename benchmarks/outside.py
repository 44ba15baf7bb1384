"""What `outside warn` costs in a step of `lmp`: against `outside ignore`, in the same process.

python benchmarks/outside.py
python benchmarks/outside.py --model model.pt --data atoms.data --elements O H --repeats 40

Without a model and data it takes the shape of the published model of bulk water with random weights, the
distances and densities that 380 frames of water have, and 512 molecules. Atoms hardly move, and LAMMPS
builds its lists every ten steps, as it does in liquid water. Runs take turns; prints medians of µs of a
core per atom and step, and the median over repetitions of their ratio with its standard error.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import torch
from pair_cace.cli.export import export_checkpoint
from pair_cace.io.checkpoint import save_checkpoint
from pair_cace.io.training_extent import TrainingExtent
from pair_cace.nn import CACE, Hyperparameters

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(sys.executable).parent
INPUT = """\
units metal
read_data {data}
pair_style cace neighbors {neighbors}
pair_coeff * * {model} {elements}
velocity all create 300 12345 mom yes rot yes dist gaussian
fix 1 all nve
timestep 1e-7
neighbor 2.0 bin
neigh_modify every 10 delay 0 check no
thermo {steps}
run 5
variable repeat loop {repeats}
label again
{turns}
next repeat
jump SELF again
"""
TURN = """\
pair_style cace neighbors {neighbors} outside {choice}
run {steps}
print "TURN {choice} $(atoms)"
"""


def water(folder: pathlib.Path, kind: str) -> tuple[pathlib.Path, pathlib.Path]:
    """A model and 1,536 atoms."""
    torch.manual_seed(1)
    settings = Hyperparameters(
        elements=("H", "O"), cutoff=5.5, n_rbf=6, n_radial=12, n_atom_basis=3, l_max=3, nu_max=3,
        n_layers=0 if kind == "no messages" else 1, messages=("Bchi",), avg_num_neighbors=75.0,
    )  # fmt: skip
    model = CACE(settings).float()
    extent = TrainingExtent.model_validate(
        dict(
            cutoff=5.5, n_structures=380, n_atoms=72960, elements=("H", "O"),
            closest={"H-H": 0.74, "H-O": 0.75, "O-O": 1.5},
            densities={"H": [(0.046, 0.14)], "O": [(0.051, 0.14)]},
            mean_densities={"H": [(0.072, 0.126)], "O": [(0.072, 0.126)]},
        )
    )  # fmt: skip
    save_checkpoint(folder / "m.cace.pt", model, settings, {"made_by": "outside.py"}, extent)
    export_checkpoint(folder / "m.cace.pt", folder / "model.pt", "float32")
    make = ROOT / "examples" / "lammps" / "make_water_data.py"
    command = [sys.executable, make, "--repeat", "2", "2", "2", "-o", folder / "atoms.data"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "model.pt", folder / "atoms.data"


def times(
    folder: pathlib.Path, options: argparse.Namespace, neighbors: str
) -> dict[str, list[float]]:
    """µs of a core per atom and step, of every repetition."""
    fill = dict(neighbors=neighbors, steps=options.steps)
    order = ("warn", "ignore", "ignore", "warn")
    turns = "".join(TURN.format(choice=choice, **fill) for choice in order)
    script = INPUT.format(
        data=options.data.resolve(), model=options.model.resolve(), turns=turns,
        elements=" ".join(options.elements), repeats=options.repeats, **fill,
    )  # fmt: skip
    (folder / "in.lmp").write_text(script)
    command = [BIN / "lmp", "-in", "in.lmp"]
    if options.ranks > 1:
        command = [BIN / "mpiexec", "-n", str(options.ranks), *command]
    run = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        sys.exit(run.stdout + run.stderr)
    found: dict[str, list[float]] = {"warn": [], "ignore": []}
    # CPU time: what else runs on a machine adds to the other. The first is of no turn.
    _, *seconds = [
        float(wall) * float(share) / 100
        for wall, share in re.findall(r"Loop time of (\S+).*?(\S+)% CPU use", run.stdout, re.DOTALL)
    ]
    turns = re.findall(r"^TURN (\S+) (\d+)", run.stdout, flags=re.MULTILINE)
    for time, (choice, n_atoms) in zip(seconds, turns, strict=True):
        found[choice].append(1e6 * time / options.steps / int(n_atoms))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, help="exported")
    parser.add_argument("--data", type=pathlib.Path, help="for read_data")
    parser.add_argument("--elements", nargs="+", default=["O", "H"])
    parser.add_argument("--kind", choices=["water", "no messages"], default="water")
    parser.add_argument("--neighbors", nargs="+", default=["lammps", "own"])
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20, help="of a run")
    parser.add_argument("--repeats", type=int, default=20, help="of two runs of each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if not (options.model and options.data):
            options.model, options.data = water(folder, options.kind)
        print(f"{'lists':10}{'ignore':>10}{'warn':>10}{'ratio':>10}")
        for neighbors in options.neighbors:
            found = times(folder, options, neighbors)
            ratios = [warn / ignore for warn, ignore in zip(found["warn"], found["ignore"])]
            spread = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5  # of a median
            medians = [statistics.median(found[choice]) for choice in ("ignore", "warn")]
            ratio = f"{statistics.median(ratios):10.4f} ± {spread:.4f}"
            print(f"{neighbors:10}{medians[0]:10.2f}{medians[1]:10.2f}{ratio}")


if __name__ == "__main__":
    main()
