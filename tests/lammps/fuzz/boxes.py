"""Random boxes with atoms, as LAMMPS data files."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np


@dataclass
class Box:
    """A box with atoms in it; the cell is lower triangular."""

    low: np.ndarray  # (3,) Å
    cell: np.ndarray  # (3, 3) Å, rows are lattice vectors
    boundary: list[str]  # of every direction: p, f, s, m or two of the last three
    positions: np.ndarray  # (N, 3) Å
    types: list[int]  # (N,) from 1 on
    n_types: int
    atom_style: str
    bonds: list[tuple[int, int]]  # atom IDs
    crowded: bool  # two atoms so close that they would explode if they moved

    @property
    def n_atoms(self) -> int:
        return len(self.types)

    @property
    def periodic(self) -> list[bool]:
        return [kind == "p" for kind in self.boundary]

    @property
    def volume(self) -> float:
        return float(np.prod(np.diag(self.cell)))

    @property
    def skewed(self) -> bool:
        return not np.array_equal(self.cell, np.diag(np.diag(self.cell)))

    @property
    def roomy(self) -> bool:
        """Large enough for comm_style tiled, whose cutoff may not exceed the box."""
        return np.diag(self.cell).min() > 8.0 or not any(self.periodic)


def random_box(rng: random.Random) -> Box:
    n_types = rng.choice([1, 2, 2, 2, 3, 3, 4, 5])
    n = _number_of_atoms(rng)
    boundary = _boundary(rng)
    kind = rng.choice(["dense"] * 6 + ["dilute"] * 3 + ["tiny"] * 3 + ["thin"] * 2 + ["huge"] * 2)
    if kind in ("tiny", "thin"):
        n = min(n, 4 if kind == "tiny" else 30)
    edges = _edges(rng, kind, max(n, 1))
    cell = np.diag(edges) + _tilt(rng, edges, boundary)
    fractions = _clusters(rng, n, edges) if kind == "huge" else _shaken_grid(rng, n, edges)
    low = np.array([rng.choice([0.0, 0.0, rng.uniform(-50, 50)]) for _ in range(3)])
    positions = low + fractions @ cell
    if rng.random() < 0.2:  # atoms in other images
        for axis in range(3):
            if boundary[axis] == "p":
                images = np.array([rng.randint(-2, 2) for _ in range(n)])
                positions += images[:, None] * cell[axis]
    crowded = n > 1 and rng.random() < 0.04
    if crowded:
        direction = np.array([rng.uniform(-1, 1) for _ in range(3)])
        positions[1] = positions[0] + direction * 10 ** rng.uniform(-3, -1)
    types = [rng.randint(1, n_types) for _ in range(n)]
    atom_style = rng.choice(["atomic", "atomic", "charge", "full"])
    bonded = atom_style == "full" and kind == "dense" and n > 1 and rng.random() < 0.4
    bonds = [(k, k + 1) for k in range(1, min(n, 8), 2)] if bonded else []
    return Box(low, cell, boundary, positions, types, n_types, atom_style, bonds, crowded)


def _number_of_atoms(rng: random.Random) -> int:
    few, many = rng.choices(
        [(0, 0), (1, 1), (2, 2), (3, 10), (11, 60), (61, 300)], [4, 14, 12, 40, 23, 7]
    )[0]
    return rng.randint(few, many)


def _boundary(rng: random.Random) -> list[str]:
    if rng.random() < 0.5:
        return ["p"] * 3
    return [
        rng.choice(["p", "p", "f", "s", "m", rng.choice("fsm") + rng.choice("fsm")])
        for _ in range(3)
    ]


def _edges(rng: random.Random, kind: str, n: int) -> np.ndarray:
    shape = np.array([rng.uniform(0.6, 1.6) for _ in range(3)])
    if kind == "huge":
        return shape * 10 ** rng.uniform(1.5, 2.5)  # bins for neighbors need memory
    volume = n * (rng.uniform(40, 300) if kind == "dilute" else rng.uniform(6, 20))
    if kind == "thin":
        shape[rng.randrange(3)] *= rng.uniform(0.1, 0.4)
    edges = shape * (volume / np.prod(shape)) ** (1 / 3)
    return edges * max(1.0, 1.3 / edges.min())


def _tilt(rng: random.Random, edges: np.ndarray, boundary: list[str]) -> np.ndarray:
    """xy, xz and yz; LAMMPS allows them where their second direction is periodic."""
    tilt = np.zeros((3, 3))
    how_far = rng.choices([0.0, 0.5, 2.5], [60, 30, 10])[0]
    careless = rng.random() < 0.05
    for second, first in [(1, 0), (2, 0), (2, 1)]:
        if careless or boundary[second] == "p":
            tilt[second, first] = edges[first] * rng.choice([rng.uniform(-how_far, how_far), 0.0])
    return tilt


def _shaken_grid(rng: random.Random, n: int, edges: np.ndarray) -> np.ndarray:
    counts = np.ones(3, dtype=int)
    while counts.prod() < n:
        counts[np.argmax(edges / counts)] += 1
    corners = np.array(rng.sample(list(np.ndindex(*counts)), n)).reshape(n, 3)
    shake = np.array([rng.uniform(0.25, 0.75) for _ in range(3 * n)]).reshape(n, 3)
    return (corners + shake) / counts


def _clusters(rng: random.Random, n: int, edges: np.ndarray) -> np.ndarray:
    fractions = []
    while len(fractions) < n:
        middle = np.array([rng.uniform(0.05, 0.95) for _ in range(3)])
        size = min(n - len(fractions), rng.randint(1, 9))
        extent = np.full(3, 2.2) * math.ceil(size ** (1 / 3))
        places = _shaken_grid(rng, size, extent) * extent
        fractions += list(np.clip(middle + places / edges, 0.001, 0.999))
    return np.array(fractions).reshape(n, 3)


def data_file(box: Box) -> str:
    """All digits; masses large enough for a timestep of 0.5 fs."""
    lines = ["random", "", f"{box.n_atoms} atoms", f"{box.n_types} atom types"]
    if box.bonds:
        lines += [f"{len(box.bonds)} bonds", "1 bond types", "4 extra bond per atom"]
    lengths = np.diag(box.cell)
    for axis, name in enumerate("xyz"):
        high = float(box.low[axis] + lengths[axis])
        lines.append(f"{float(box.low[axis])!r} {high!r} {name}lo {name}hi")
    if box.skewed:
        tilt = (float(box.cell[place]) for place in [(1, 0), (2, 0), (2, 1)])
        lines.append(" ".join(map(repr, tilt)) + " xy xz yz")
    lines += ["", "Masses", ""] + [f"{k} 12.0" for k in range(1, box.n_types + 1)]
    if box.n_atoms:
        between = {"atomic": "{t}", "charge": "{t} 0.1", "full": "1 {t} -0.1"}[box.atom_style]
        lines += ["", f"Atoms # {box.atom_style}", ""]
        for k, (t, position) in enumerate(zip(box.types, box.positions), start=1):
            x, y, z = map(float, position)
            lines.append(f"{k} {between.format(t=t)} {x!r} {y!r} {z!r}")
    if box.bonds:
        lines += ["", "Bonds", ""] + [f"{k} 1 {i} {j}" for k, (i, j) in enumerate(box.bonds, 1)]
    return "\n".join(lines) + "\n"
