"""Writes a LAMMPS data file of liquid water, type 1 = O and type 2 = H.

    python make_water_data.py                          # 64 molecules, placed by this script
    python make_water_data.py FILE                     # any structure of H and O that ASE reads
    python make_water_data.py --repeat 2 2 2 -o water-512.data

Molecules placed by this script stand on a lattice with random orientations, at 0.997 g/cm³:
minimise before running dynamics (the inputs in this folder do).
"""

from __future__ import annotations

import argparse

import ase
import ase.io
import numpy as np
from ase.build import molecule

VOLUME_PER_MOLECULE = 29.97  # Å³, 0.997 g/cm³


def lattice_of_molecules(n_side: int, seed: int) -> ase.Atoms:
    """``n_side``³ water molecules on a cubic lattice, turned at random."""
    rng = np.random.default_rng(seed)
    spacing = VOLUME_PER_MOLECULE ** (1 / 3)
    atoms = ase.Atoms(cell=np.eye(3) * spacing * n_side, pbc=True)
    for site in np.ndindex(n_side, n_side, n_side):
        one = molecule("H2O")
        one.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        one.translate((np.array(site) + 0.5) * spacing - one.get_center_of_mass())
        atoms += one
    return atoms


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("structure", nargs="?", help="structure to use instead of the lattice")
    parser.add_argument("-o", "--output", default="water.data")
    parser.add_argument("--repeat", type=int, nargs=3, default=(1, 1, 1), metavar=("X", "Y", "Z"))
    parser.add_argument("--seed", type=int, default=1, help="of the orientations")
    options = parser.parse_args()

    if options.structure:
        try:
            atoms = ase.io.read(options.structure)
        except OSError as error:
            parser.error(f"cannot read {options.structure}: {error.strerror}")
        if set(atoms.get_chemical_symbols()) != {"H", "O"}:
            parser.error(f"expected H and O in {options.structure}, found {atoms.symbols}")
    else:
        atoms = lattice_of_molecules(4, options.seed)
    atoms = atoms.repeat(options.repeat)
    ase.io.write(
        options.output,
        atoms,
        format="lammps-data",
        specorder=["O", "H"],
        units="metal",
        masses=True,
    )
    print(f"{options.output}: {len(atoms)} atoms, cell {atoms.cell.cellpar().round(4)}")


if __name__ == "__main__":
    main()
