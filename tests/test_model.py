"""The model against its equations, and the properties that every potential has."""

import ase
import numpy as np
import pytest
import spec_in_loops
import torch
from helpers import KINDS, PUBLISHED, assert_close, predict_atoms, random_model, settings_of
from pair_cace.data.graph import Graph
from pair_cace.nn.derivatives import predict
from scipy.spatial.transform import Rotation
from systems import CUTOFF, SYSTEMS
from tolerances import CONSTANTS, DIFFERENCES, ROUNDING

kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("kind", PUBLISHED)
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_equations_of_the_paper(kind, compiled):
    settings = settings_of(kind)
    model = random_model(settings)
    model.choose(compiled)
    atoms = SYSTEMS["molecule"]() + ase.Atoms("O", [[1.0, 1.5, -1.0]])
    graph = Graph.of(atoms, CUTOFF)
    features = model.features(
        graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms
    )
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    edges = list(zip(graph.senders.tolist(), graph.receivers.tolist(), graph.vectors.numpy()))
    species = [settings.elements.index(symbol) for symbol in atoms.symbols]
    expected = spec_in_loops.features(settings, weights, edges, species)
    assert_close(features.detach(), expected, within=CONSTANTS)
    energies = spec_in_loops.energies(settings, weights, expected, species)
    energies += spec_in_loops.repulsion(settings, edges, atoms.numbers.tolist())
    assert_close(predict(model, graph).atom_energies, energies, within=CONSTANTS)


def test_a_rank_without_atoms_takes_part_in_messages():
    """What it tells must have a way back: other ranks wait for its exchange of gradients."""
    settings = settings_of("tensors")
    model = random_model(settings)
    shape = (0, settings.n_radial, 20, settings.n_channels)
    basis = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    atoms = model.atoms_of(torch.zeros(0, dtype=torch.int64), 0)
    for name in ("scalars", "vectors"):
        told = model.layers[0][name].tell(basis, model.invariants(basis), atoms)
        assert len(told) == 0 and told.requires_grad


@kinds
@pytest.mark.parametrize("mirror", [1.0, -1.0], ids=["rotation", "reflection"])
def test_rotations_and_reflections(kind, mirror):
    model = random_model(settings_of(kind))
    atoms = SYSTEMS["triclinic"]()
    turned = atoms.copy()
    rotation = mirror * Rotation.random(random_state=1).as_matrix()
    turned.set_cell(atoms.cell.array @ rotation.T)
    turned.positions = atoms.positions @ rotation.T
    before, after = predict_atoms(model, atoms), predict_atoms(model, turned)
    assert_close(after.atom_energies, before.atom_energies)
    assert_close(after.forces, before.forces.numpy() @ rotation.T)
    assert_close(after.stresses[0], rotation @ before.stresses[0].numpy() @ rotation.T)


@kinds
def test_translation_and_permutation(kind):
    model = random_model(settings_of(kind))
    atoms = SYSTEMS["liquid"]()
    before = predict_atoms(model, atoms)
    moved = atoms.copy()
    moved.positions += [1.234, -5.678, 9.1]
    assert_close(predict_atoms(model, moved).forces, before.forces)
    order = np.random.default_rng(0).permutation(len(atoms))
    after = predict_atoms(model, atoms[order])
    assert_close(after.atom_energies, before.atom_energies[order])
    assert_close(after.forces, before.forces[order])


@kinds
def test_extensive(kind):
    model = random_model(settings_of(kind))
    atoms = SYSTEMS["smaller than two cutoffs"]()
    one, eight = predict_atoms(model, atoms), predict_atoms(model, atoms.repeat(2))
    assert_close(eight.energies, 8 * one.energies)
    assert_close(eight.forces[: len(atoms)], one.forces)
    assert_close(eight.stresses, one.stresses)


@kinds
def test_forces_and_stress_are_derivatives_of_the_energy(kind):
    model = random_model(settings_of(kind))
    atoms = SYSTEMS["triclinic"]()
    prediction = predict_atoms(model, atoms)
    step = 1e-4

    def energy(changed):
        return float(predict_atoms(model, changed).energies[0])

    def slope(change):
        return (energy(change(step)) - energy(change(-step))) / (2 * step)

    scale = float(prediction.forces.abs().max())
    for atom, axis in [(0, 0), (3, 1), (7, 2)]:

        def displaced(h):
            copy = atoms.copy()
            copy.positions[atom, axis] += h
            return copy

        assert -slope(displaced) == pytest.approx(
            float(prediction.forces[atom, axis]), abs=DIFFERENCES * scale
        )
    stress_scale = float(prediction.stresses.abs().max())
    for a, b in [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]:

        def strained(h):
            strain = np.eye(3)
            strain[a, b] += h / 2
            strain[b, a] += h / 2
            copy = atoms.copy()
            copy.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            return copy

        assert slope(strained) / atoms.cell.volume == pytest.approx(
            float(prediction.stresses[0, a, b]), abs=DIFFERENCES * stress_scale
        )


@kinds
def test_energy_and_force_vanish_smoothly_at_the_cutoff(kind):
    settings = settings_of(kind)
    model = random_model(settings)

    def dimer(distance):
        prediction = predict_atoms(model, ase.Atoms("OH", [[0, 0, 0], [distance, 0, 0]]))
        return float(prediction.energies[0]), float(prediction.forces.abs().max())

    apart, no_force = dimer(CUTOFF + 0.1)
    assert no_force == 0.0
    energies, forces = zip(*(dimer(CUTOFF - gap) for gap in (1e-2, 1e-3, 1e-4)))
    for gap, energy, force in zip((1e-2, 1e-3, 1e-4), energies, forces):
        # f_c falls as the third power of the gap, so energy and force at least as 3 and 2.
        assert abs(energy - apart) < 1e3 * gap**3
        assert force < 1e3 * gap**2


@pytest.mark.slow
@kinds
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_torchscript_equals_eager(kind, dtype):
    model = random_model(settings_of(kind), dtype=dtype)
    scripted = torch.jit.script(model)
    for name in ("liquid", "one atom", "two atoms out of reach"):
        for _ in range(3):  # the executor rewrites the graph between the first calls
            found = predict_atoms(scripted, SYSTEMS[name]())
            expected = predict_atoms(model, SYSTEMS[name]())
            assert_close(found.atom_energies, expected.atom_energies, dtype)
            assert_close(found.forces, expected.forces, dtype)


@kinds
def test_single_precision_follows_double(kind):
    settings = settings_of(kind)
    double = predict_atoms(random_model(settings), SYSTEMS["liquid"]())
    single = predict_atoms(random_model(settings, dtype=torch.float32), SYSTEMS["liquid"]())
    assert_close(single.atom_energies, double.atom_energies, torch.float32)
    assert_close(single.forces, double.forces, torch.float32)


@pytest.mark.parametrize("name", SYSTEMS)
def test_awkward_systems_are_finite_and_free_of_net_force(name):
    prediction = predict_atoms(random_model(settings_of("T2-all")), SYSTEMS[name]())
    assert torch.isfinite(prediction.atom_energies).all()
    scale = 1.0 + float(prediction.forces.abs().max())
    assert_close(prediction.forces.sum(0) / scale, np.zeros(3))


def test_an_isolated_atom_has_the_energy_of_no_features():
    settings = settings_of("T2-all")
    model = random_model(settings)
    energy = predict_atoms(model, SYSTEMS["one atom"]()).energies[0]
    shape = (1, settings.n_radial * 6 * 4 * 3)
    expected = model.elements.E0[1] + model.readout([torch.zeros(shape, dtype=torch.float64)])[0]
    assert float(energy) == pytest.approx(float(expected), abs=ROUNDING)


def test_a_batch_equals_its_structures():
    model = random_model(settings_of("T2-all"))
    graphs = [Graph.of(SYSTEMS[name](), CUTOFF) for name in ("liquid", "molecule", "triclinic")]
    joint = predict(model, Graph.joined(graphs))
    single = [predict(model, graph) for graph in graphs]
    assert_close(joint.energies, torch.cat([p.energies for p in single]))
    assert_close(joint.forces, torch.cat([p.forces for p in single]))
    assert_close(joint.stresses[[0, 2]], torch.cat([single[0].stresses, single[2].stresses]))
    assert torch.isnan(joint.stresses[1]).all()  # the molecule has no cell


def test_atoms_behind_n_atoms_only_send():
    # The rows of a ghost: without message passing, an atom may send without having an energy.
    model = random_model(settings_of("T0"))
    graph = Graph.of(SYSTEMS["cluster"](), CUTOFF)
    whole = predict(model, graph).atom_energies
    kept = graph.receivers < 5
    part = model(graph.vectors[kept], graph.senders[kept], graph.receivers[kept], graph.species, 5)
    assert_close(part.detach(), whole[:5])


def test_elements_in_between_are_interpolated():
    settings = settings_of("T0", elements=("C", "O"))
    model = random_model(settings)
    table = model.elements(torch.tensor([6, 7, 8]))
    assert table.tolist() == [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    embedding = model.sender_embedding(table)
    assert_close(embedding[1].detach(), embedding[[0, 2]].mean(0).detach())
    atoms = ase.Atoms("CN", [[0, 0, 0], [1.2, 0, 0]])
    assert torch.isfinite(predict_atoms(model, atoms).energies).all()
    outside = ase.Atoms("CF", [[0, 0, 0], [1.2, 0, 0]])
    assert torch.isnan(predict_atoms(model, outside).energies).all()


def test_reference_energies_are_added_in_double_precision():
    settings = settings_of("T0")
    model = random_model(settings, dtype=torch.float32)
    before = predict_atoms(model, SYSTEMS["molecule"]()).energies[0]
    with torch.no_grad():
        model.elements.E0 += 1.0e6 + 1.0 / 3.0
    after = predict_atoms(model, SYSTEMS["molecule"]()).energies[0]
    assert float(after - before) == pytest.approx(3.0e6 + 1.0, abs=4 * np.spacing(3.0e6))


def test_changing_precision_leaves_reference_energies_alone():
    model = random_model(settings_of("T0"))
    with torch.no_grad():
        model.elements.E0[0] = -13.587222780835477
    assert float(model.to(torch.float32).to(torch.float64).elements.E0[0]) == -13.587222780835477
