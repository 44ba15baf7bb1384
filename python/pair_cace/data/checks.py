"""Checks of structures before anything is computed from them."""

from __future__ import annotations

from collections.abc import Collection

import ase
import numpy as np

from ..errors import CaceError
from .neighbors import neighbor_list

SAME_PLACE = 0.05  # Å; no two nuclei of any use are closer


def check_structure(atoms: ase.Atoms, name: str, elements: Collection[str] | None = None) -> None:
    """Raise CaceError, naming ``name``, if ``atoms`` cannot be computed.

    Checked: at least one atom, finite positions and cell, a volume if fully periodic, lattice
    vectors in every periodic direction, no two atoms at the same place, and, if ``elements`` is
    given, no other element.
    """
    if len(atoms) == 0:
        raise CaceError(f"{name}: expected at least one atom, found none")
    if not np.isfinite(atoms.positions).all():
        atom = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise CaceError(f"{name}: expected finite positions, found NaN or infinity for atom {atom}")
    if not np.isfinite(atoms.cell.array).all():
        raise CaceError(f"{name}: expected a finite cell, found NaN or infinity in it")
    for k in np.flatnonzero(atoms.pbc):
        if not atoms.cell.array[k].any():
            raise CaceError(
                f"{name}: expected a lattice vector in direction {'xyz'[k]}, which is periodic "
                "(pbc), found none; give a cell or switch pbc off"
            )
    if atoms.pbc.all() and atoms.cell.volume < 1e-6:
        raise CaceError(
            f"{name}: expected a periodic cell with a volume, found {atoms.cell.volume:g} Å³; "
            "check the Lattice, or switch pbc off"
        )
    if elements is not None:
        unknown = sorted(set(atoms.get_chemical_symbols()) - set(elements))
        if unknown:
            raise CaceError(
                f"{name}: expected only elements that the model knows ({' '.join(elements)}), "
                f"found {' '.join(unknown)}"
            )
    _check_apart(atoms, name)


def _check_apart(atoms: ase.Atoms, name: str) -> None:
    # A neighbour list leaves out pairs at distance zero, so that coinciding atoms would just not
    # interact. Nudge them apart to see them.
    nudged = atoms.positions + 1e-9 * np.arange(len(atoms))[:, None]
    senders, receivers, _ = neighbor_list(nudged, atoms.cell.array, atoms.pbc, SAME_PLACE)
    if len(senders):
        first, second = sorted((int(senders[0]), int(receivers[0])))
        raise CaceError(
            f"{name}: expected atoms apart from each other, found atoms {first} and {second} at "
            f"the same place (closer than {SAME_PLACE} Å)"
        )
