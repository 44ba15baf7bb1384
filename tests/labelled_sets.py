"""Sets of labelled frames that are right, made in a second, and what can be wrong with them."""

from __future__ import annotations

import dataclasses

import ase
import ase.io
import numpy as np
from ase import units
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from pair_cace.data.neighbors import neighbor_list
from pair_cace.data.reading import Frame


def frame_of(atoms: ase.Atoms, calculator, name: str) -> Frame:
    atoms = atoms.copy()
    atoms.calc = calculator
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    stress = atoms.get_stress(voigt=False) if atoms.cell.rank == 3 and atoms.pbc.all() else None
    atoms.calc = None
    return Frame(name, atoms, energy, forces, stress, 1.0)


def shaken(name: str, n: int, seed: int, width: float, make, calculator=EMT) -> list[Frame]:
    """``n`` structures, which ``make`` has of a generator and their number, shaken by ``width`` in Å."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        atoms = make(rng, k)
        atoms.rattle(width, rng=rng)
        frames.append(frame_of(atoms, calculator(), f"{name}, frame {k}"))
    return frames


def copper_gold(rng: np.random.Generator) -> ase.Atoms:
    """A crystal of 8 atoms with 1 to 6 of gold."""
    atoms = bulk("Cu", cubic=True, a=rng.uniform(3.6, 4.0)).repeat((1, 1, 2))
    atoms.symbols[rng.choice(8, rng.integers(1, 7), replace=False)] = "Au"
    return atoms


def alloy(n: int = 60, seed: int = 1) -> list[Frame]:
    """Shaken copper-gold crystals of 8 atoms and several compositions."""
    return shaken("alloy", n, seed, 0.08, lambda rng, k: copper_gold(rng))


def metal(n: int = 40, seed: int = 2) -> list[Frame]:
    """Shaken copper of 32 atoms at several densities and shears."""

    def make(rng, k):
        atoms = bulk("Cu", cubic=True, a=rng.uniform(3.5, 3.8)).repeat(2)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), True)
        return atoms

    return shaken("metal", n, seed, 0.12, make)


def ethanol(n: int = 80, seed: int = 3) -> list[Frame]:
    """A shaken molecule of 9 atoms."""
    return shaken("ethanol", n, seed, 0.07, lambda rng, k: molecule("CH3CH2OH"))


def slabs_and_bulk(n: int = 20, seed: int = 4) -> list[Frame]:
    """Copper of 16 atoms: as a crystal, and as a slab in vacuum; the latter are higher in energy."""

    def make(rng, k):
        if k % 2:
            return fcc111("Cu", (2, 2, 4), vacuum=6.0, periodic=True)
        return bulk("Cu", cubic=True).repeat((2, 2, 1))

    return shaken("copper", 2 * n, seed, 0.08, make)


def argon(n: int = 30, seed: int = 5) -> list[Frame]:
    """Shaken crystals of argon, whose atoms are far apart."""
    return shaken(
        "argon", n, seed, 0.15,
        lambda rng, k: bulk("Ar", cubic=True, a=rng.uniform(5.2, 5.5)).repeat(2),
        lambda: LennardJones(sigma=3.4, epsilon=0.0104, rc=7.0, smooth=True),
    )  # fmt: skip


def with_charges(frames: list[Frame], name: str = "charge", cutoff: float = 4.0) -> list[Frame]:
    """``frames`` with a label for every atom, above 0, that neighbours up to ``cutoff`` in Å and
    elements make."""
    found = []
    for frame in frames:
        atoms = frame.atoms.copy()
        senders, receivers, vectors = neighbor_list(
            atoms.positions, atoms.cell.array, atoms.pbc, cutoff
        )
        r = np.linalg.norm(vectors, axis=1)
        pull = np.exp(-r) * (1 - (r / cutoff) ** 2) ** 2 * atoms.numbers[senders] / 29
        charges = np.bincount(receivers, pull, len(atoms)) + 0.01 * atoms.numbers
        atoms.set_array(name, charges)
        found.append(dataclasses.replace(frame, atoms=atoms))
    return found


def write(path, frames, **names):
    """Extended XYZ with labels under their usual names, or those given."""
    written = []
    for frame in frames:
        atoms = frame.atoms.copy()
        if names:
            atoms.info[names["energy"]] = frame.energy
            atoms.arrays[names["forces"]] = frame.forces
        else:
            labels = {"energy": frame.energy, "forces": frame.forces, "stress": frame.stress}
            atoms.calc = SinglePointCalculator(
                atoms, **{name: value for name, value in labels.items() if value is not None}
            )
        written.append(atoms)
    ase.io.write(path, written, format="extxyz")


# ---- mistakes ------------------------------------------------------------------------------------


def energies_times(frames: list[Frame], factor: float) -> list[Frame]:
    return [dataclasses.replace(f, energy=f.energy * factor) for f in frames]


def forces_times(frames: list[Frame], factor: float) -> list[Frame]:
    return [dataclasses.replace(f, forces=f.forces * factor) for f in frames]


def stress_times(frames: list[Frame], factor: float) -> list[Frame]:
    return [dataclasses.replace(f, stress=f.stress * factor) for f in frames]


def in_bohr(frames: list[Frame], with_cell: bool = True) -> list[Frame]:
    found = []
    for frame in frames:
        atoms = frame.atoms.copy()
        if with_cell:
            atoms.set_cell(atoms.cell.array / units.Bohr)
        atoms.positions /= units.Bohr
        found.append(dataclasses.replace(frame, atoms=atoms))
    return found


def half_offset(frames: list[Frame], offset: float = 5.0, seed: int = 0) -> list[Frame]:
    moved = np.random.default_rng(seed).permutation(len(frames)) < len(frames) // 2
    return [
        dataclasses.replace(f, energy=f.energy + offset) if yes else f
        for f, yes in zip(frames, moved)
    ]


def one_large_force(frames: list[Frame], which: int = 5) -> list[Frame]:
    forces = frames[which].forces.copy()
    forces[0] = [350.0, 0.0, 0.0]
    frames = list(frames)
    frames[which] = dataclasses.replace(frames[which], forces=forces)
    return frames
