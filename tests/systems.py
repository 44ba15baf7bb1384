"""Named structures that trip up neighbour lists and potentials; a fixed bug becomes another one.

Cells are lower triangular, so that LAMMPS can hold them without rotation.
"""

from __future__ import annotations

import ase
import numpy as np

CUTOFF = 3.5  # Å, of the models that the tests make


def _random(n, cell, pbc, elements="HO", seed=0, closest=0.9):
    """``n`` atoms of alternating elements at random, none closer than ``closest`` Å."""
    rng = np.random.default_rng(seed)
    cell = np.asarray(cell, dtype=float)
    atoms = ase.Atoms(cell=cell, pbc=pbc)
    while len(atoms) < n:
        trial = atoms + ase.Atoms(elements[len(atoms) % len(elements)], [rng.random(3) @ cell])
        distances = trial.get_all_distances(mic=True)[np.triu_indices(len(trial), 1)]
        if not (distances < closest).any():
            atoms = trial
    atoms.cell, atoms.pbc = cell, pbc
    return atoms


def _outside_the_cell():
    atoms = _random(8, np.eye(3) * 6.0, True, seed=5)
    atoms.positions += np.arange(8)[:, None] * [6.0, -12.0, 18.0]
    return atoms


TRICLINIC = [[6.0, 0, 0], [1.5, 5.5, 0], [-1.0, 1.2, 6.5]]

SYSTEMS = {
    "one atom": lambda: ase.Atoms("O", [[1.0, 2.0, 3.0]]),
    "two atoms out of reach": lambda: ase.Atoms("OH", [[0, 0, 0], [5.0, 0, 0]]),
    "molecule": lambda: ase.Atoms("OH2", [[0, 0, 0], [0.96, 0.1, 0], [-0.2, 0.9, 0.3]]),
    "two species, one absent": lambda: ase.Atoms("H3", [[0, 0, 0], [1.0, 0.2, 0], [0.1, 1.3, 0.2]]),
    "cluster": lambda: _random(12, np.eye(3) * 6.0, False, seed=1),
    "liquid": lambda: _random(24, np.eye(3) * 7.5, True, seed=2),
    "its own neighbour": lambda: ase.Atoms("O", [[0.2, 0.1, 0.3]], cell=np.eye(3) * 2.6, pbc=True),
    "smaller than two cutoffs": lambda: _random(4, np.diag([3.1, 4.2, 5.0]), True, seed=3),
    "triclinic": lambda: _random(14, TRICLINIC, True, seed=4),
    "outside the cell": _outside_the_cell,
    "slab": lambda: _random(12, np.diag([6.0, 6.5, 7.0]), [True, True, False], seed=6),
    "wire": lambda: _random(8, np.diag([7.0, 6.5, 5.0]), [False, False, True], seed=7),
}
