"""A step of molecular dynamics in `lmp` with several exported models in turn, on one core.

    python benchmarks/models.py start.xyz molecule.pt accurate.pt --repeat 3
    python benchmarks/models.py start.xyz small.pt --repeat 2 4 --memory

start.xyz is repeated in all directions if it is periodic. Prints, for every size, µs per atom and step of each model,
as medians over the turns, and the median of their ratios to the first model. With --memory, two sizes tell how much
memory (kB) a further atom takes, of all that `lmp` has.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import tempfile

from builds import box_of, end, seconds_of_turns, setup_of, started

import pair_cace

BUILD = pathlib.Path(pair_cace.__file__).parent


def resident(process) -> float:
    """The most memory that a process has had so far, bytes."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024.0 * int(line.split()[1])
    raise OSError("no VmHWM in /proc")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("start", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path, nargs="+")
    parser.add_argument("--repeat", type=int, nargs="+", default=[1], help="of the box, per size")
    parser.add_argument("--turns", type=int, default=25)
    parser.add_argument("--atom-steps", type=int, default=5_000, help="in a turn")
    parser.add_argument("--neighbors", choices=("lammps", "own"), default="lammps")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    options.train = 0  # for builds.serve
    os.environ["OMP_NUM_THREADS"] = "1"
    sizes: list[tuple[int, list[float]]] = []  # atoms, bytes of each model
    for repeat in options.repeat:
        atoms = box_of(options.start, repeat)
        options.steps = max(1, options.atom_steps // len(atoms))
        with tempfile.TemporaryDirectory() as folder:
            running = [
                started(BUILD, options, setup_of(atoms, model, folder, options.neighbors))
                for model in options.models
            ]
            turns = seconds_of_turns([pipe for _, pipe in running], options.turns)
            sizes.append((len(atoms), [resident(process) for process, _ in running]))
            end(running)
        print(f"{len(atoms)} atoms")
        for k, model in enumerate(options.models):
            median = 1e6 * statistics.median(turn[k] for turn in turns)
            ratio = statistics.median(turn[k] / turn[0] for turn in turns)
            print(
                f"  {model.name:24} {median / options.steps / len(atoms):8.2f} µs per atom and step, ratio {ratio:.3f}",
                flush=True,
            )
    if options.memory:
        if len({n_atoms for n_atoms, _ in sizes}) < 2:
            parser.error("--memory needs a periodic box and two sizes, such as --repeat 2 4")
        (few, small), (many, large) = min(sizes), max(sizes)
        for model, before, after in zip(options.models, small, large):
            print(f"{model.name:24} {(after - before) / (many - few) / 1024:8.1f} kB per atom")


if __name__ == "__main__":
    main()
