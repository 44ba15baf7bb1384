"""Energy conservation in `lmp`: drift of the total energy in 1 ps of NVE, in float32 and float64.

    python benchmarks/nve_drift.py water.cace.pt                 # 64 water molecules
    python benchmarks/nve_drift.py water.cace.pt --start liquid-64.xyz --steps 2000
    python benchmarks/nve_drift.py water.cace.pt --plain         # and plain torch, in float32

Minimises, equilibrates for 1 ps at 300 K (float32), then runs NVE with a time step of 0.5 fs from
the same state in every way. The drift is the slope of a straight line through the total
energy, times the length of the run; the spread is the largest minus the smallest value.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(sys.executable).parent
PAIR = "pair_style cace\npair_coeff * * {model} O H\n"
EQUILIBRATE = (
    "units metal\nread_data water.data\n" + PAIR + "minimize 0 1e-3 30 60\nreset_timestep 0\n"
    "velocity all create 300 12345 mom yes rot no dist gaussian\n"
    "fix 1 all nvt temp 300 300 0.05\ntimestep 0.0005\nthermo 100\nrun {steps}\n"
    "write_data equilibrated.data\n"
)
NVE = (
    "units metal\nread_data equilibrated.data\n" + PAIR + "fix 1 all nve\ntimestep 0.0005\n"
    "thermo 10\nthermo_style custom step temp etotal\nthermo_modify format float %.15g\n"
    "run {steps}\n"
)


def run(command: list, folder: pathlib.Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stdout + result.stderr)
    return result.stdout


def lmp(folder: pathlib.Path, script: str) -> str:
    (folder / "in.lmp").write_text(script)
    return run([BIN / "lmp", "-in", "in.lmp"], folder)


def total_energies(output: str) -> np.ndarray:
    rows = output.split("Step ")[-1].split("Loop time")[0].splitlines()[1:]
    return np.array([float(row.split()[2]) for row in rows if row.strip()])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=pathlib.Path, help="model of water, for cace export")
    parser.add_argument("--start", type=pathlib.Path, help="structure instead of a lattice")
    parser.add_argument("--steps", type=int, default=2000, help="of every run")
    parser.add_argument("--plain", action="store_true", help="plain torch in float32 as well: slow")
    options = parser.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="nve_drift-"))
    ways = {"float32": ["--dtype", "float32"], "float64": ["--dtype", "float64"]}
    if options.plain:
        ways["plain"] = ["--dtype", "float32", "--portable"]
    for name, how in ways.items():
        run(
            [BIN / "cace", "export", options.checkpoint.resolve(), "-o", f"{name}.pt", *how], folder
        )
    start = [options.start.resolve()] if options.start else []
    make_data = REPOSITORY / "examples" / "lammps" / "make_water_data.py"
    atoms = run([sys.executable, make_data, *start], folder)
    n_atoms = int(atoms.split()[1])
    lmp(folder, EQUILIBRATE.format(model="float32.pt", steps=options.steps))

    length = options.steps * 0.5e-3
    print(f"{n_atoms} atoms, {length:g} ps\n{'':8} {'drift':>10} {'spread':>10}   meV/atom")
    for name in ways:
        energies = total_energies(lmp(folder, NVE.format(model=f"{name}.pt", steps=options.steps)))
        energies = 1e3 * energies / n_atoms
        slope = np.polyfit(np.linspace(0.0, 1.0, len(energies)), energies, 1)[0]
        print(f"{name:8} {slope:10.5f} {np.ptp(energies):10.5f}")


if __name__ == "__main__":
    main()
