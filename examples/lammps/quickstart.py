"""The whole path on one page: model, checkpoint, export, LAMMPS, and ASE to compare with.

    python quickstart.py                         # a small model with random weights
    python quickstart.py --published water.pth   # the published bulk-water model, 192 atoms

With random weights the numbers mean nothing; that `lmp` and ASE agree on them, and that energy is
conserved, does.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile

import ase.io
import numpy as np
import torch
from make_water_data import lattice_of_molecules
from pair_cace.io.checkpoint import save_checkpoint
from pair_cace.nn import CACE, Hyperparameters

from pair_cace import CACECalculator

INPUT = """\
units       metal
read_data   water.data
pair_style  cace
pair_coeff  * * model.pt O H
compute     energies all pe/atom
thermo_style custom step temp pe etotal
thermo_modify format float %.15g
run         0
print       "SINGLE_POINT $(pe:%.17g)"
write_dump  all custom single.dump id fx fy fz c_energies modify sort id format float %.17g
minimize    0 0.5 20 40
reset_timestep 0
velocity    all create 300 4928459
fix         nve all nve
timestep    0.0005
thermo      10
print       "START"
run         {steps}
"""


def random_checkpoint(path: pathlib.Path) -> None:
    """An untrained model with one message-passing layer."""
    torch.manual_seed(1)
    settings = Hyperparameters(elements=("H", "O"), cutoff=4.0, l_max=2, n_radial=6, n_layers=1)
    model = CACE(settings)
    with torch.no_grad():
        model.atomic_basis.mixing_weight *= 0.3
    save_checkpoint(path, model, settings, {"made_by": "quickstart.py, random weights"})


def cace(*arguments: str) -> None:
    print("$ cace", *arguments, flush=True)
    if subprocess.run([sys.executable, "-m", "pair_cace", *arguments]).returncode != 0:
        sys.exit(1)  # cace has said why


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--published", type=pathlib.Path, help="published model to convert instead")
    parser.add_argument("--steps", type=int, default=100, help="of molecular dynamics")
    options = parser.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="pair_cace-"))
    checkpoint, model = folder / "model.cace.pt", folder / "model.pt"
    if options.published:
        cace("convert", str(options.published), "-o", str(checkpoint))
    else:
        random_checkpoint(checkpoint)
    cace("export", str(checkpoint), "-o", str(model), "--dtype", "float64")

    atoms = lattice_of_molecules(4, seed=1)
    ase.io.write(
        folder / "water.data", atoms, format="lammps-data", specorder=["O", "H"], masses=True
    )
    (folder / "in.lmp").write_text(INPUT.format(steps=options.steps))
    lmp = pathlib.Path(sys.executable).parent / "lmp"
    print(f"$ cd {folder} && lmp -in in.lmp", flush=True)
    run = subprocess.run([lmp, "-in", "in.lmp"], cwd=folder, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stdout + run.stderr)

    atoms.calc = CACECalculator(model)
    single = next(line for line in run.stdout.splitlines() if line.startswith("SINGLE_POINT"))
    dump = np.loadtxt(folder / "single.dump", skiprows=9)
    differences = {
        "energy (eV)": abs(float(single.split()[1]) - atoms.get_potential_energy()),
        "forces (eV/Å)": np.abs(dump[:, 1:4] - atoms.get_forces()).max(),
        "energies of atoms (eV)": np.abs(dump[:, 4] - atoms.get_potential_energies()).max(),
    }
    rows = run.stdout.split("\nSTART")[1].split("Loop time")[0].splitlines()
    totals = [float(row.split()[3]) for row in rows if row.split()[:1] and row.split()[0].isdigit()]
    drift = 1e3 * np.ptp(totals) / len(atoms)

    print(f"\n{'lmp against ASE, largest difference':38} value")
    for name, value in differences.items():
        print(f"  {name:36} {value:.1e}")
    print(f"{f'spread of the total energy, {options.steps} steps':38} {drift:.4f} meV/atom")
    if max(differences.values()) > 1e-6:
        sys.exit("lmp and ASE disagree")
    print("the whole path works")


if __name__ == "__main__":
    main()
