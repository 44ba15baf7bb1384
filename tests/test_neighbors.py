"""Neighbour lists against a search over every image."""

from itertools import product

import ase
import numpy as np
import pytest
from pair_cace.data.neighbors import neighbor_list
from systems import CUTOFF, SYSTEMS
from tolerances import ROUNDING


def every_edge(atoms, cutoff):
    images = [range(-6, 7) if periodic else [0] for periodic in atoms.pbc]
    edges = []
    for shift in product(*images):
        vectors = atoms.positions[None] - atoms.positions[:, None] + shift @ atoms.cell.array
        lengths = np.linalg.norm(vectors, axis=-1)  # [sender, receiver]
        for j, i in np.argwhere((lengths > 0) & (lengths < cutoff)):
            edges.append((j, i, *vectors[j, i]))
    return np.array(sorted(edges)).reshape(-1, 5)


@pytest.mark.parametrize("name", SYSTEMS)
def test_all_systems(name):
    atoms = SYSTEMS[name]()
    senders, receivers, vectors = neighbor_list(
        atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF
    )
    found = np.array(sorted(zip(senders, receivers, *vectors.T))).reshape(-1, 5)
    expected = every_edge_of_wrapped(atoms)
    assert len(found) == len(expected)
    for k, edge in enumerate(expected):
        same = np.abs(found - edge).sum(axis=1) < ROUNDING
        assert same.sum() == 1, f"edge {k} of {name}: {edge}"
    assert (np.diff(receivers) >= 0).all()


def every_edge_of_wrapped(atoms):
    # Atoms outside the cell need more images than the search has; wrapping moves no edge.
    wrapped = atoms.copy()
    if atoms.pbc.any():
        wrapped.wrap()
    return every_edge(wrapped, CUTOFF)


def test_the_cutoff_itself_is_out_and_just_below_is_in():
    for distance, n_edges in [(CUTOFF, 0), (np.nextafter(CUTOFF, 0), 2)]:
        positions = np.array([[0.0, 0, 0], [distance, 0, 0]])
        senders, _, _ = neighbor_list(positions, np.zeros((3, 3)), np.zeros(3, bool), CUTOFF)
        assert len(senders) == n_edges


def test_vectors_point_from_sender_to_receiver():
    atoms = ase.Atoms("OH", [[0, 0, 0], [1.0, 0, 0]])
    senders, receivers, vectors = neighbor_list(
        atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF
    )
    edge = list(zip(senders, receivers)).index((0, 1))
    assert vectors[edge].tolist() == [1.0, 0.0, 0.0]


def test_no_atoms():
    senders, receivers, vectors = neighbor_list(np.zeros((0, 3)), np.eye(3), np.ones(3, bool), 2.0)
    assert (len(senders), len(receivers), vectors.shape) == (0, 0, (0, 3))
