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

    Checked: at least one atom, no dummy atoms, finite positions and cell, a volume if fully periodic, lattice
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
    periodic = atoms.cell.array[atoms.pbc]
    if np.linalg.matrix_rank(periodic, tol=1e-6) < len(periodic):
        raise CaceError(
            f"{name}: expected independent lattice vectors in the periodic directions, found "
            f"{periodic.tolist()}, a cell of zero volume; check the Lattice, or switch pbc off"
        )
    if (atoms.numbers == 0).any():
        atom = int(np.flatnonzero(atoms.numbers == 0)[0])
        raise CaceError(f"{name}: expected a chemical element, found 'X' for atom {atom}")
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
    # Searched within 1 Å, since cells as small as SAME_PLACE would be too many.
    senders, receivers, vectors = neighbor_list(nudged, atoms.cell.array, atoms.pbc, 1.0)
    close = np.flatnonzero(np.linalg.norm(vectors, axis=1) < SAME_PLACE)
    if len(close):
        first, second = sorted((int(senders[close[0]]), int(receivers[close[0]])))
        raise CaceError(
            f"{name}: expected atoms apart from each other, found atoms {first} and {second} at "
            f"the same place (closer than {SAME_PLACE} Å)"
        )
