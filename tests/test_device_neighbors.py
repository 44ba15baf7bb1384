"""Neighbour lists by the compiled search, against the list of vesin."""

import numpy as np
import pytest
import torch
from pair_cace.data.device_neighbors import DeviceNeighborList
from pair_cace.data.neighbors import neighbor_list
from pair_cace.errors import CaceError
from pair_cace.operations import search_neighbors, select_edges
from systems import CUTOFF, SYSTEMS
from tolerances import ROUNDING


def in_order(senders, receivers, vectors):
    """Rows of receiver, sender and vector, by the first seven decimals."""
    rows = np.column_stack([np.asarray(part) for part in (receivers, senders, vectors)])
    return rows[np.lexsort(np.round(rows.T[::-1], 7) + 0.0)]


def assert_same_edges(neighbors, atoms):
    cell = atoms.cell.array
    found = neighbors.edges(torch.from_numpy(atoms.positions.copy()), cell, atoms.pbc)
    expected = neighbor_list(atoms.positions, cell, atoms.pbc, neighbors.cutoff)
    assert (np.diff(found[1]) >= 0).all()
    np.testing.assert_allclose(in_order(*found), in_order(*expected), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("skin", [0.0, 1.3])
@pytest.mark.parametrize("name", SYSTEMS)
def test_all_systems(name, skin):
    assert_same_edges(DeviceNeighborList(CUTOFF, skin), SYSTEMS[name]())


@pytest.mark.parametrize("seed", range(20))
def test_random_cells(seed):
    rng = np.random.default_rng(seed)
    atoms = SYSTEMS["liquid"]().repeat(rng.integers(1, 4, 3).tolist())
    atoms.set_cell(atoms.cell.array + rng.normal(size=(3, 3)), scale_atoms=True)
    atoms.pbc = rng.random(3) < 0.7
    assert_same_edges(DeviceNeighborList(rng.uniform(2.0, 6.0), rng.uniform(0.0, 2.0)), atoms)


def test_a_list_serves_until_an_atom_has_moved_by_half_the_skin():
    rng = np.random.default_rng(0)
    atoms = SYSTEMS["triclinic"]().repeat([2, 2, 1])
    neighbors = DeviceNeighborList(CUTOFF, skin=0.6)
    for _ in range(30):
        atoms.positions += rng.uniform(-0.1, 0.1, atoms.positions.shape)
        assert_same_edges(neighbors, atoms)
    assert 2 <= neighbors.n_searches <= 10


def test_a_list_is_searched_anew_for_another_cell_and_other_boundaries():
    atoms = SYSTEMS["liquid"]()
    neighbors = DeviceNeighborList(CUTOFF, skin=2.0)
    assert_same_edges(neighbors, atoms)
    atoms.set_cell(atoms.cell.array * 0.95)
    assert_same_edges(neighbors, atoms)
    atoms.pbc = [True, False, True]
    assert_same_edges(neighbors, atoms)
    del atoms[3]
    assert_same_edges(neighbors, atoms)
    assert neighbors.n_searches == 4


def test_points_far_apart_take_no_memory_for_the_space_between_them():
    points = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [1e7, 1e7, -1e7]], dtype=torch.float64)
    first, neighbors = search_neighbors(points, 3, 2.0)
    assert first.tolist() == [0, 1, 2, 2] and neighbors.tolist() == [1, 0]


def test_points_that_send_nothing_and_points_that_stand_for_others():
    points = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]], dtype=torch.float64)
    found = search_neighbors(points, 1, 2.0)
    vectors, senders, receivers = select_edges(points, *found, torch.tensor([0, -1, 0]), 2.0)
    assert senders.tolist() == [0] and receivers.tolist() == [0]
    assert vectors.tolist() == [[0.0, -1.0, 0.0]]


def test_positions_that_are_not_finite():
    with pytest.raises(RuntimeError, match="expected finite positions, got nan"):
        search_neighbors(torch.full((2, 3), torch.nan, dtype=torch.float64), 2, 2.0)
    with pytest.raises(CaceError, match="expected finite positions"):
        DeviceNeighborList(2.0).edges(
            torch.full((2, 3), torch.inf, dtype=torch.float64), np.eye(3), np.zeros(3, bool)
        )
