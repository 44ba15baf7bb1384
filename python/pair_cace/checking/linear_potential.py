"""A potential that is linear in its parameters, cheap enough to fit while a user waits.

E = Σ_pairs Σ_k c_abk φ_k(r) + Σ_i Σ_ml d_aml g_l(ρ_im): functions of distance for every pair of elements,
and functions of densities ρ_im = Σ_j w_m(r_ij) as in embedded-atom potentials. It explains most of the
forces of molecules, liquids and metals, which is enough to tell a wrong unit or sign from a right one; never
more is concluded from it.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from ase.data import covalent_radii

from .record import Record

REACH = 5.0  # Å
N_FUNCTIONS = 14  # φ_k of a pair of elements
MOST_PARAMETERS = 700  # of pairs; beyond it, elements share functions
DECAYS = (0.25, 0.5, 1.0)  # of w_m, in sums of covalent radii
CLOSEST, SHARED_RADIUS = 0.6, 1.3  # relative distance where φ_k begin; Å
_CORES = np.array([0, 2, 10, 18, 36, 54, 86, 118])  # electrons of noble gases


class LinearPotential:
    """Derivatives by the P parameters of energy, forces and stress of a structure."""

    def __init__(self, elements: list[int]):
        self.elements = np.array(elements)
        n = len(elements)
        first, second = np.triu_indices(n)
        self.pairs = list(zip(first.tolist(), second.tolist()))
        self._pair_of = np.zeros((n, n), dtype=np.int64)
        for k, (a, b) in enumerate(self.pairs):
            self._pair_of[a, b] = self._pair_of[b, a] = k
        self.shared = len(self.pairs) * N_FUNCTIONS > MOST_PARAMETERS
        blocks = 5 if self.shared else len(self.pairs)
        self._densities_from = blocks * N_FUNCTIONS
        self._classes = 1 if self.shared else n
        self.n_parameters = self._densities_from + self._classes * len(DECAYS) * 2

    def energy_row(self, record: Record) -> np.ndarray:
        """(P,) derivatives of the energy."""
        return self._rows(record, energy_only=True)[0]

    def rows(self, record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives of energy (P,), forces (3N, P) and stress (9, P); stress NaN without a volume."""
        energy, forces, virial = self._rows(record, energy_only=False)
        p = self.n_parameters
        return energy, forces.reshape(-1, p), virial.reshape(9, p) / record.volume

    def _rows(self, record: Record, energy_only: bool):
        near = record.distances < REACH
        edges = _Edges(record, near)
        n_atoms, p = len(record.numbers), self.n_parameters
        energy = np.zeros(p)
        forces = np.zeros((n_atoms, 3, 0 if energy_only else p))
        virial = np.zeros((3, 3, 0 if energy_only else p))
        for columns, chosen, values, slopes in self._pair_functions(record, edges):
            energy[columns] = 0.5 * values.sum(axis=0)
            if not energy_only:
                along = -slopes[:, None, :] * edges.units[chosen][:, :, None]
                summed = edges.sum_matrix(chosen) @ along.reshape(len(chosen), -1)
                forces[:, :, columns] = summed.reshape(n_atoms, 3, -1)
                virial[:, :, columns] = -0.5 * np.einsum(
                    "eak,eb->abk", along, edges.vectors[chosen], optimize=True
                )
        for column, value, slopes in self._density_functions(record, edges):
            energy[column] = value
            if not energy_only:
                along = -slopes[:, None] * edges.units
                for k in range(3):
                    forces[:, k, column] = np.bincount(edges.receivers, along[:, k], n_atoms)
                virial[:, :, column] = -0.5 * along.T @ edges.vectors
        return energy, forces, virial

    def _pair_functions(self, record: Record, edges: "_Edges"):
        """(columns, edges, φ (edges, k), φ' (edges, k)) of every kind of pair."""
        index = np.searchsorted(self.elements, record.numbers)
        senders, receivers = index[edges.senders], index[edges.receivers]
        if self.shared:
            scale = SHARED_RADIUS * 2 / edges.radii
            scaled = np.minimum(edges.distances * scale, REACH)
            values, slopes = _functions(scaled, CLOSEST * SHARED_RADIUS * 2)
            slopes *= scale[:, None]
            q = self._properties()
            weights = np.stack(
                [np.ones(len(scale))]
                + [f(x[senders], x[receivers]) for x in q for f in (np.add, np.multiply)], axis=1
            )  # fmt: skip
            yield (
                slice(0, self._densities_from), np.arange(len(scale)),
                (weights[:, :, None] * values[:, None, :]).reshape(len(scale), -1),
                (weights[:, :, None] * slopes[:, None, :]).reshape(len(scale), -1),
            )  # fmt: skip
            return
        kinds = self._pair_of[senders, receivers]
        for kind in np.unique(kinds).tolist():
            chosen = np.flatnonzero(kinds == kind)
            radii = covalent_radii[self.elements[list(self.pairs[kind])]].sum()
            columns = slice(kind * N_FUNCTIONS, (kind + 1) * N_FUNCTIONS)
            yield columns, chosen, *_functions(edges.distances[chosen], CLOSEST * radii)

    def _density_functions(self, record: Record, edges: "_Edges"):
        """(column, value, derivative by the length of every edge, both ways) of every g_l(ρ_im)."""
        index = np.searchsorted(self.elements, record.numbers)
        classes = np.zeros_like(index) if self.shared else index
        smooth, smooth_slopes = _smooth(edges.distances)
        for m, decay in enumerate(DECAYS):
            falling = 0.25 * np.exp((1.0 - edges.distances / edges.radii) / decay)
            w = falling * smooth
            w_slopes = falling * (smooth_slopes - smooth / (decay * edges.radii))
            rho = np.bincount(edges.receivers, w, len(index)) + 1e-3
            for k, (g, g_slopes) in enumerate(
                ((np.sqrt(rho), 0.5 / np.sqrt(rho)), (rho**2 / 8.0, rho / 4.0))
            ):
                for a in np.unique(classes).tolist():
                    mine = classes == a
                    of_atoms = g_slopes * mine
                    slopes = (of_atoms[edges.senders] + of_atoms[edges.receivers]) * w_slopes
                    column = self._densities_from + (a * len(DECAYS) + m) * 2 + k
                    yield column, g[mine].sum(), slopes

    def _properties(self) -> tuple[np.ndarray, np.ndarray]:
        """Size and number of valence electrons of every element, both of order one."""
        z = self.elements
        valence = z - _CORES[np.searchsorted(_CORES, z) - 1] - np.where(z > 71, 14, 0)
        return tuple(
            (x - x.mean()) / max(x.std(), 1e-9)
            for x in (covalent_radii[z], valence.astype(np.float64))
        )


class _Edges:
    """Some edges of a record; vectors and distances in Å."""

    def __init__(self, record: Record, chosen: np.ndarray):
        self.n_atoms = len(record.numbers)
        self.senders, self.receivers = record.senders[chosen], record.receivers[chosen]
        self.vectors, self.distances = record.vectors[chosen], record.distances[chosen]
        self.units = self.vectors / self.distances[:, None]
        radii = covalent_radii[record.numbers]
        self.radii = radii[self.senders] + radii[self.receivers]

    def sum_matrix(self, chosen: np.ndarray) -> scipy.sparse.csr_matrix:
        """Sums values of edges at the atoms that they end at."""
        shape = (self.n_atoms, len(chosen))
        ones, order = np.ones(len(chosen)), np.arange(len(chosen))
        return scipy.sparse.csr_matrix((ones, (self.receivers[chosen], order)), shape=shape)


def _smooth(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A cosine that is zero at ``REACH``, and its derivative."""
    x = np.pi * distances / REACH
    return 0.5 * (1.0 + np.cos(x)), -0.5 * np.pi / REACH * np.sin(x)


def _functions(distances: np.ndarray, start: float) -> tuple[np.ndarray, np.ndarray]:
    """φ_k, Gaussians of the logarithm of the distance, and derivatives: both (edges, k)."""
    centers = np.linspace(np.log(start), np.log(REACH), N_FUNCTIONS)
    x = (np.log(distances)[:, None] - centers) / (centers[1] - centers[0])
    gaussians = np.exp(-0.5 * x**2)
    slopes = -x * gaussians / ((centers[1] - centers[0]) * distances[:, None])
    smooth, smooth_slopes = (y[:, None] for y in _smooth(distances))
    return gaussians * smooth, slopes * smooth + gaussians * smooth_slopes
