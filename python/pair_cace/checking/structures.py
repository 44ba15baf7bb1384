"""Structures: units of length, neighbours at the cutoff, boundaries."""

from __future__ import annotations

from dataclasses import replace

import ase
import ase.units
import numpy as np

from ..data.neighbors import neighbor_list
from ..data.reading import Frame
from .finding import Finding, counted, listed
from .record import Record, record_of
from .survey import Survey

NOBLE_GASES = {2, 10, 18, 36, 54, 86}
STRETCHED = (1.4, 2.3)  # nearest relative distances of structures in Bohr
SQUEEZED = (0.4, 0.62)  # of those that were taken for Bohr and divided
SPILLED = 1.3  # extent of the atoms over that of the cell, from which on they lie outside of it
TOO_CLOSE = 0.5
FEW_NEIGHBORS = 6.0
FAR_SIGHT = 8.0  # Å; what a structure has to offer to a cutoff
REACH_ALONE = 6.0  # Å; neighbours of atoms without their images
REACH_REPEATED = 4.0  # Å; neighbours of atoms with the images that they would have
ENOUGH = 0.75  # of what there is: nothing is missed


def structure_notes(frame: Frame, record: Record) -> list[str]:
    """What is odd about boundaries and size of one frame, as words that a survey counts.

    "isolated atom"; "periodic" or "not periodic"; "part of pbc"; "cell without pbc"; "cell fits" if
    the atoms fill such a cell; "cell overlap" if periodic images overlap although the atoms of the frame
    do not, and "cell overlap, stretched" if these are as far apart as in Bohr.
    """
    atoms = frame.atoms
    if len(atoms) == 1 and len(record.senders) == 0:
        return ["isolated atom"]
    if not atoms.pbc.any():
        notes = ["not periodic"]
        if atoms.cell.rank == 3:
            notes.append("cell without pbc")
            if len(atoms) > 1 and _fills_cell(frame, record):
                notes.append("cell fits")
        return notes
    notes = ["periodic"] if atoms.pbc.all() else ["periodic", "part of pbc"]
    nearest, beyond = float(np.median(record.nearest)), _reach_over_cell(atoms)
    if nearest < 0.62 or beyond > SPILLED:
        free = replace(frame, atoms=ase.Atoms(atoms.numbers, atoms.positions))
        alone = float(np.median(record_of(free, record.part, REACH_ALONE).nearest))
        if nearest < 0.62 and alone > 1.2 * nearest:
            notes.append("cell overlap")
        if alone > 1.2 * nearest and STRETCHED[0] <= alone <= STRETCHED[1]:
            notes.append("cell overlap, stretched")
    return notes


def _reach_over_cell(atoms: ase.Atoms) -> float:
    """Extent of the atoms over that of the cell, along the periodic direction where it is least."""
    fractions = atoms.get_scaled_positions(wrap=False)
    return float(np.ptp(fractions, axis=0)[atoms.pbc].min())


def _fills_cell(frame: Frame, record: Record) -> bool:
    """Whether pbc would bring atoms as near as neighbours are, and not nearer, on all sides."""
    atoms = frame.atoms.copy()
    atoms.pbc = True
    repeated = record_of(replace(frame, atoms=atoms), record.part, REACH_REPEATED)
    straight = atoms.positions[repeated.receivers] - atoms.positions[repeated.senders]
    shifts = (repeated.vectors - straight) @ np.linalg.pinv(atoms.cell.array)
    images = np.rint(shifts).any(axis=1)
    sides = np.unique(np.nonzero(np.rint(shifts[images]))[1])
    closest = repeated.relative_distances[images].min(initial=np.inf)
    return len(sides) == 3 and closest > 0.7 * min(1.0, float(record.nearest.min()))


def length_findings(survey: Survey) -> list[Finding]:
    """A warning if lengths are probably in another unit."""
    stretched = survey.notes["cell overlap, stretched"]
    if len(stretched) > 0.5 * len(survey):
        what = "positions are probably in Bohr, and cells in Å: atoms lie outside of their cells"
        return [_units(what, "positions")]
    overlap = survey.notes["cell overlap"]
    if len(overlap) > 0.5 * len(survey):
        text = (
            f"in {len(overlap)} of {len(survey)} frames periodic images overlap though the atoms of the "
            "frame are well apart: the cell is too small for them; probably it is in another unit than "
            "the positions"
        )
        return [Finding("cell-unit", "warning", text, _names(survey, overlap))]
    nearest = survey.column("nearest")
    nearest = nearest[np.isfinite(nearest)]
    if len(nearest) == 0 or NOBLE_GASES & set(survey.elements):
        return []
    usual = float(np.median(nearest))
    if STRETCHED[0] <= usual <= STRETCHED[1]:
        what = (
            f"nearest neighbours are at {usual:.2f} of the sum of covalent radii, where bonds "
            "and metals have 0.7 to 1.3: positions and cells are probably in Bohr (1.89)"
        )
        return [_units(what, "positions and cells")]
    if usual <= SQUEEZED[1]:
        reason = (
            "they were probably divided by 1.89, as if they had been in Bohr"
            if usual >= SQUEEZED[0]
            else "they are probably in nm, or fractions of the cell"
        )
        text = (
            f"nearest neighbours are at {usual:.2g} of the sum of covalent radii, where bonds and "
            f"metals have 0.7 to 1.3: positions and cells are not in Å; {reason}"
        )
        return [Finding("length-unit", "warning", text)]
    return []


def _units(what: str, which: str) -> Finding:
    text = (
        f"{what}; multiply {which} by {ase.units.Bohr:.5f} (and see whether energies and forces are "
        "in Hartree and Hartree/Bohr, too)"
    )
    return Finding("length-unit", "warning", text)


def close_atoms(survey: Survey) -> list[Finding]:
    """A note of frames where single atoms are much closer than bonds are."""
    closest = survey.column("closest")
    frames = np.flatnonzero(closest < TOO_CLOSE)
    if len(frames) == 0 or len(frames) > 0.5 * len(survey):
        return []
    frames = frames[np.argsort(closest[frames])]
    names = _names(survey, frames)
    text = (
        f"{counted(len(frames))} ({listed(names)}) with atoms as close as {closest[frames[0]]:.2f} of the "
        f"sum of their covalent radii; if such collisions are not meant, leave them out"
    )
    return [Finding("close-atoms", "note", text, names)]


def neighbor_findings(survey: Survey) -> list[Finding]:
    """A warning if the cutoff sees few neighbours though there are more to see."""
    n_atoms = sum(survey.atoms_of.values()) - len(survey.notes["isolated atom"])
    if n_atoms <= 0:
        return []
    overall = sum(survey.neighbors_of.values()) / n_atoms
    if overall >= FEW_NEIGHBORS or not survey.sample:
        return []
    offered = survey.column("offered")
    offered = np.nanmean(offered) if np.isfinite(offered).any() else np.inf
    if overall >= ENOUGH * offered:
        return []
    by_element = ", ".join(f"{symbol} {n:.1f}" for symbol, n in survey.mean_neighbors().items())
    text = (
        f"with a cutoff of {survey.cutoff:g} Å an atom has {overall:.1f} neighbours on average "
        f"({by_element}), fewer than six; within {FAR_SIGHT:g} Å there are {offered:.0f}: take a "
        "larger cutoff, 5 Å or so"
    )
    return [Finding("few-neighbors", "warning", text)]


def neighbors_offered(frame: Frame, record: Record, cutoff: float) -> float:
    """Neighbours within ``FAR_SIGHT`` per atom, looked for only if the cutoff sees few; else NaN."""
    n_atoms = len(record.numbers)
    if n_atoms == 0 or len(record.senders) >= 2 * FEW_NEIGHBORS * n_atoms or cutoff >= FAR_SIGHT:
        return np.nan
    atoms = frame.atoms
    if not atoms.pbc.any() and n_atoms > 1:
        extent = np.linalg.norm(np.ptp(atoms.positions, axis=0))
        if extent < FAR_SIGHT:
            return n_atoms - 1.0
    found = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, FAR_SIGHT)
    return len(found[0]) / n_atoms


def boundary_findings(survey: Survey) -> list[Finding]:
    """Mixed periodicity, cells that are not used, isolated atoms, atoms without neighbours."""
    found = []
    fits, unused = survey.notes["cell fits"], survey.notes["cell without pbc"]
    partly, isolated = survey.notes["part of pbc"], survey.notes["isolated atom"]
    if fits:
        text = (
            f"{counted(len(fits))} ({listed(_names(survey, fits))}) with pbc=F have a cell that the atoms "
            'fill, so that it is probably meant to repeat: set pbc to "T T T"'
        )
        found.append(Finding("cell-without-pbc", "warning", text, _names(survey, fits)))
    rest = len(survey) - len(isolated)
    free = survey.notes["not periodic"]
    periodic = rest - len(free)
    if free and periodic:
        fewer = free if len(free) <= periodic else survey.notes["periodic"]
        text = (
            f"{len(free)} of {rest} frames are not periodic (pbc=F) and {periodic} are, "
            f"{len(partly)} of them in some directions only; is it meant for "
            f"{listed(_names(survey, fewer))}?"
        )
        severity = "note" if not fits else "warning"
        found.append(Finding("mixed-periodicity", severity, text, _names(survey, fewer)))
    elif unused and len(unused) < rest and not fits:
        text = (
            f"{counted(len(unused))} ({listed(_names(survey, unused))}) of {rest} have a cell and pbc=F: "
            "the cell is not used"
        )
        found.append(Finding("unused-cell", "note", text, _names(survey, unused)))
    lonely = np.flatnonzero((survey.column("lonely") > 0) & (survey.column("n_atoms") > 1))
    if len(lonely):
        names = _names(survey, lonely)
        text = (
            f"{counted(len(lonely))} ({listed(names)}) with atoms that have no neighbour within "
            f"{survey.cutoff:g} Å: the model gives them the energy of a free atom, and no force"
        )
        found.append(Finding("lonely-atoms", "note", text, names))
    return found


def _names(survey: Survey, frames) -> tuple[str, ...]:
    return tuple(survey.names[k] for k in frames)
