"""What a GPU computes is what a CPU computes: operations, neighbour lists, and `lmp`."""

import numpy as np
import pytest
import torch
from helpers import KINDS, random_model, settings_of
from pair_cace.data.device_neighbors import DeviceNeighborList
from pair_cace.data.graph import Graph
from pair_cace.data.neighbors import neighbor_list
from pair_cace.nn.derivatives import predict
from run_lmp import single_point
from systems import CUTOFF, SYSTEMS
from test_device_neighbors import in_order
from tolerances import FLOAT32_GPU, FLOAT32_MODEL, ROUNDING, SAME_MODEL

from pair_cace import CACECalculator

RELATIVE = {torch.float64: SAME_MODEL, torch.float32: FLOAT32_GPU}


def assert_same(found, expected, dtype, within=None):
    """By the largest of the expected values, and of one."""
    found, expected = (np.asarray(torch.as_tensor(x).detach().cpu()) for x in (found, expected))
    scale = max(1.0, np.abs(expected).max()) if expected.size else 1.0
    bound = RELATIVE[dtype] if within is None else within
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound * scale)


def everything(settings, graph, dtype, device):
    """Energies, forces, what `evaluate` says, and the gradient by the parameters of all of it."""
    model = random_model(settings, dtype=dtype).to(device)
    graph = graph.to(device)
    prediction = predict(model, graph, create_graph=True)
    loss = prediction.energies.square().sum() + prediction.forces.square().sum()
    trained = [p for p in model.parameters() if p.requires_grad]
    loss.backward(inputs=trained)
    energies, gradient = model.evaluate(
        graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms
    )
    parameters = torch.cat([p.grad.flatten() for p in trained if p.grad is not None])
    return prediction.atom_energies, prediction.forces, energies, gradient, parameters


@pytest.mark.parametrize("dtype", RELATIVE, ids=str)
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("kind", KINDS)
def test_operations(gpu, kind, system, dtype):
    graph = Graph.of(SYSTEMS[system](), CUTOFF)
    expected = everything(settings_of(kind), graph, dtype, "cpu")
    found = everything(settings_of(kind), graph, dtype, gpu)
    for one, other in zip(found[:-1], expected[:-1]):
        assert_same(one, other, dtype)
    second_derivatives = FLOAT32_MODEL if dtype == torch.float32 else SAME_MODEL
    assert_same(found[-1], expected[-1], dtype, within=second_derivatives)


@pytest.mark.parametrize("skin", [0.0, 1.0])
@pytest.mark.parametrize("system", SYSTEMS)
def test_neighbor_lists(gpu, system, skin):
    atoms = SYSTEMS[system]().repeat([3 if periodic else 1 for periodic in SYSTEMS[system]().pbc])
    cell = atoms.cell.array
    neighbors = DeviceNeighborList(CUTOFF, skin)
    found = neighbors.edges(torch.from_numpy(atoms.positions).to(gpu), cell, atoms.pbc)
    expected = neighbor_list(atoms.positions, cell, atoms.pbc, CUTOFF)
    np.testing.assert_allclose(
        in_order(*(t.cpu() for t in found)), in_order(*expected), rtol=0, atol=ROUNDING
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_calculator(models, system):
    folder, dtype = models
    results = []
    for device in ("cpu", "cuda"):
        atoms = SYSTEMS[system]()
        atoms.calc = CACECalculator(folder / "T2.pt", device=device)
        results.append((atoms.get_potential_energies(), atoms.get_forces()))
    for found, expected in zip(results[1], results[0]):
        assert_same(found, expected, dtype)


@pytest.mark.parametrize("neighbors", ["own", "lammps"])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("model", ["T0", "T2", "T2-zbl"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_lmp(tmp_path, models, system, model, ranks, neighbors):
    folder, dtype = models
    coefficients = f"pair_coeff * * {folder / model}.pt O H"
    found, expected = (
        single_point(tmp_path, SYSTEMS[system](), f"{style}\n{coefficients}", ranks=ranks)
        for style in (
            f"pair_style cace device cuda neighbors {neighbors}",
            "pair_style cace device cpu neighbors lammps",
        )
    )
    for quantity in ("energy", "forces", "atom_energies", "virial_stress", "atom_virials"):
        assert_same(getattr(found, quantity), getattr(expected, quantity), dtype)
