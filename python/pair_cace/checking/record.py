"""One structure with its labels, as the checks see it: from a file or from the store of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from ase.data import covalent_radii
from ase.formula import Formula
from ase.symbols import Symbols

from ..data.neighbors import neighbor_list
from ..data.reading import Frame


@dataclass(frozen=True)
class Record:
    """N atoms with E directed edges up to the cutoff; lengths in Å, labels NaN where unknown."""

    name: str  # "train.xyz, frame 3"
    part: str  # the file, or "train", "valid" and "test" in a run
    numbers: np.ndarray  # (N,) atomic numbers
    senders: np.ndarray  # (E,) index of an atom
    receivers: np.ndarray  # (E,)
    vectors: np.ndarray  # (E, 3) Å, r_receiver − r_sender
    volume: float  # Å³; NaN where there is no cell of three vectors
    energy: float  # eV
    forces: np.ndarray  # (N, 3) eV/Å
    stress: np.ndarray  # (3, 3) eV/Å³, tension positive
    config_type: str | None = None

    @cached_property
    def distances(self) -> np.ndarray:
        """(E,) lengths of the edges, Å."""
        return np.linalg.norm(self.vectors, axis=1)

    @cached_property
    def relative_distances(self) -> np.ndarray:
        """(E,) lengths of the edges over the sums of the covalent radii."""
        radii = covalent_radii[self.numbers]
        return self.distances / (radii[self.senders] + radii[self.receivers])

    @cached_property
    def nearest(self) -> np.ndarray:
        """(N,) smallest relative distance of every atom; infinity without neighbours."""
        nearest = np.full(len(self.numbers), np.inf)
        np.minimum.at(nearest, self.receivers, self.relative_distances)
        return nearest

    @cached_property
    def formula(self) -> str:
        """The composition, such as "CH4O"; a name of the group that frames are compared in."""
        return _formula(np.sort(self.numbers).tobytes(), self.numbers.dtype.str)

    def fingerprint(self, cutoff: float) -> np.ndarray:
        """(6,) sums over atoms that rotation, reflection and reordering do not change.

        Atoms begin with a number by element and take in those of their neighbours, weighted by distance, three
        times over, so that crystals are told apart by the order of their elements. All weights go to
        zero smoothly at the cutoff: rounding moves no edge in or out.
        """
        n_atoms = len(self.numbers)
        smooth = np.clip(1.0 - (self.distances / cutoff) ** 2, 0.0, None) ** 2
        short = smooth / self.distances**2
        values = 1.0 + 0.5 * np.sin(self.numbers.astype(np.float64))  # all different
        sums = []
        for _ in range(3):
            around = np.bincount(self.receivers, smooth * values[self.senders], n_atoms)
            near = np.bincount(self.receivers, short * values[self.senders], n_atoms)
            values = values * (1.0 + 0.5 * np.sin(around) * np.cos(3.0 * near))
            sums += [values.sum(), (values**2 * np.cos(near)).sum() + 2.0 * n_atoms * values.max()]
        return np.array(sums)

    @property
    def has_forces(self) -> bool:
        return bool(np.isfinite(self.forces).all())

    @property
    def has_stress(self) -> bool:
        return bool(np.isfinite(self.stress).all())


@lru_cache(maxsize=10_000)
def _formula(numbers: bytes, dtype: str) -> str:
    return Formula(str(Symbols(np.frombuffer(numbers, dtype)))).format("hill")


def record_of(frame: Frame, part: str, cutoff: float) -> Record:
    """The record of a frame with edges up to ``cutoff``, Å."""
    atoms = frame.atoms
    senders, receivers, vectors = neighbor_list(
        atoms.positions, atoms.cell.array, atoms.pbc, cutoff
    )
    unknown = np.full((len(atoms), 3), np.nan)
    return Record(
        name=frame.name,
        part=part,
        numbers=atoms.numbers,
        senders=senders,
        receivers=receivers,
        vectors=vectors,
        volume=float(atoms.cell.volume) if atoms.cell.rank == 3 else np.nan,
        energy=np.nan if frame.energy is None else frame.energy,
        forces=unknown if frame.forces is None else frame.forces,
        stress=np.full((3, 3), np.nan) if frame.stress is None else frame.stress,
        config_type=frame.config_type,
    )
