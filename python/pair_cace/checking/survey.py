"""What is kept of every frame while a data set streams by: some numbers each, and a sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from functools import cached_property
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from .record import Record

SAMPLE_FRAMES = 600
SAMPLE_ATOMS = 40_000


class NearestPair(NamedTuple):
    """Two elements, and how near they come to each other."""

    name: str  # "H-O"
    distance: float  # Å
    radii: float  # sum of the covalent radii, Å
    frame: int

    @property
    def relative(self) -> float:
        return self.distance / self.radii


class Survey:
    """Summaries of S frames, in the order in which they came.

    Arrays have one entry per frame: ``energies`` eV, ``n_atoms``, ``largest_force`` eV/Å, ``force_squares``
    (sum over atoms, eV²/Å²), ``largest_stress`` eV/Å³, ``volumes`` Å³, ``closest`` (smallest relative
    distance), ``nearest`` (median over atoms), ``neighbors`` (mean); NaN where unknown.
    """

    def __init__(self, cutoff: float, seed: int = 0):
        self.cutoff = cutoff  # Å
        self.names: list[str] = []
        self.parts: list[str] = []
        self.formulas: list[str] = []
        self.config_types: list[str | None] = []
        self.sample: list[Record] = []
        self.notes: dict[str, list[int]] = defaultdict(list)  # of structures: kind, frames
        self.pair_distances: dict[tuple[int, int], tuple[float, int]] = {}  # Å, frame
        self.atoms_of: dict[int, int] = defaultdict(int)  # element: atoms
        self.neighbors_of: dict[int, int] = defaultdict(int)  # element: edges
        self._columns: dict[str, list] = defaultdict(list)
        self._compositions: dict[str, dict[int, int]] = {}
        self._seen = 0  # frames that could have come into the sample
        self._chosen = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.names)

    def add(self, record: Record, notes: Collection[str] = (), offered: float = np.nan) -> None:
        """Take in one frame.

        notes     kinds of oddities of its structure, see ``structures.structure_notes``
        offered   neighbours per atom that a larger cutoff would see; NaN where not looked for
        """
        frame = len(self)
        self.names.append(record.name)
        self.parts.append(record.part)
        self.formulas.append(record.formula)
        self.config_types.append(record.config_type)
        for note in notes:
            self.notes[note].append(frame)
        elements, counts = np.unique(record.numbers, return_counts=True)
        self._compositions[record.formula] = dict(zip(elements.tolist(), counts.tolist()))
        self._count_pairs(record, frame)
        self._keep_in_sample(record)
        has_neighbors = np.isfinite(record.nearest)
        force_squares = (record.forces**2).sum(axis=1)
        columns = {
            "energies": record.energy,
            "n_atoms": len(record.numbers),
            "largest_force": np.sqrt(force_squares.max()),
            "force_squares": force_squares.sum(),
            "net_force": np.linalg.norm(record.forces.sum(axis=0)),
            "largest_stress": np.abs(record.stress).max(),
            "stress_squares": (record.stress**2).mean(),
            "volumes": record.volume,
            "closest": record.nearest.min(),
            "nearest": np.median(record.nearest[has_neighbors]) if has_neighbors.any() else np.nan,
            "lonely": len(record.numbers) - int(has_neighbors.sum()),
            "offered": offered,
            "neighbors": len(record.senders) / len(record.numbers),
            "fingerprints": record.fingerprint(self.cutoff),
        }
        for name, value in columns.items():
            self._columns[name].append(value)

    def _count_pairs(self, record: Record, frame: int) -> None:
        numbers = record.numbers
        of_edges = np.bincount(record.receivers, minlength=len(numbers))
        for z in np.unique(numbers):
            mine = numbers == z
            self.atoms_of[int(z)] += int(mine.sum())
            self.neighbors_of[int(z)] += int(of_edges[mine].sum())
        first = np.minimum(numbers[record.senders], numbers[record.receivers])
        second = np.maximum(numbers[record.senders], numbers[record.receivers])
        pairs = first.astype(np.int64) * 1000 + second
        kinds, inverse = np.unique(pairs, return_inverse=True)
        closest = np.full(len(kinds), np.inf)
        np.minimum.at(closest, inverse, record.distances)
        for kind, distance in zip(kinds.tolist(), closest.tolist()):
            pair = divmod(kind, 1000)
            if distance < self.pair_distances.get(pair, (np.inf, 0))[0]:
                self.pair_distances[pair] = (distance, frame)

    def _keep_in_sample(self, record: Record) -> None:
        """Every frame is as likely to be in the sample as any other (reservoir sampling)."""
        if len(record.senders) == 0:
            return
        size = max(1, min(SAMPLE_FRAMES, SAMPLE_ATOMS // len(record.numbers)))
        self._seen += 1
        if len(self.sample) < size:
            self.sample.append(record)
        else:
            place = int(self._chosen.integers(self._seen))
            if place < len(self.sample):
                self.sample[place] = record

    def column(self, name: str) -> np.ndarray:
        """(S, …) one of the arrays."""
        return np.array(self._columns[name])

    @cached_property
    def elements(self) -> list[int]:
        """Atomic numbers, sorted."""
        return sorted(self.atoms_of)

    @cached_property
    def symbols(self) -> list[str]:
        return [chemical_symbols[z] for z in self.elements]

    @cached_property
    def counts(self) -> np.ndarray:
        """(S, elements) atoms of every element."""
        rows = {
            formula: [of.get(z, 0) for z in self.elements]
            for formula, of in self._compositions.items()
        }
        return np.array([rows[formula] for formula in self.formulas], dtype=np.float64)

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """Frames of every composition, the most frequent composition first."""
        found: dict[str, list[int]] = defaultdict(list)
        for frame, formula in enumerate(self.formulas):
            found[formula].append(frame)
        ordered = sorted(found, key=lambda formula: -len(found[formula]))
        return {formula: np.array(found[formula]) for formula in ordered}

    def nearest_pairs(self) -> list[NearestPair]:
        """All pairs of elements that are neighbours, the relatively closest first."""
        found = []
        for pair, (distance, frame) in self.pair_distances.items():
            name = "-".join(chemical_symbols[z] for z in pair)
            found.append(
                NearestPair(name, distance, float(covalent_radii[list(pair)].sum()), frame)
            )
        return sorted(found, key=lambda pair: pair.relative)

    def mean_neighbors(self) -> dict[str, float]:
        """Of an atom, by element."""
        return {chemical_symbols[z]: self.neighbors_of[z] / self.atoms_of[z] for z in self.elements}

    @property
    def has_energies(self) -> bool:
        return bool(np.isfinite(self.column("energies")).any())

    @property
    def has_forces(self) -> bool:
        return bool(np.isfinite(self.column("largest_force")).any())
