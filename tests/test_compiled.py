"""The compiled operations against the plain-torch model, with derivatives of first and second order."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys

import pytest
import torch
from helpers import KINDS, assert_close, random_model, settings_of
from pair_cace.data.graph import Graph
from pair_cace.nn import Hyperparameters
from pair_cace.nn.atomic_basis import degree_of_each_triple
from pair_cace.nn.by_kernels import named_weights
from pair_cace.nn.derivatives import predict
from pair_cace.nn.invariants import number_of_invariants
from pair_cace.operations import (
    Potential,
    mixed_basis,
    mixed_invariants,
    neighbor_sum,
    radial_message,
    tensor_message,
)
from systems import CUTOFF, SYSTEMS
from tolerances import FLOAT32_OPERATION

DTYPES = [torch.float64, torch.float32]


def both_ways(settings: Hyperparameters, graph: Graph, dtype: torch.dtype) -> list[dict]:
    """Energies, forces, stresses, and the gradient by the parameters of something made of all three, and
    what `evaluate` says; in plain torch and by the compiled operations."""
    found = []
    for compiled in (False, True):
        model = random_model(settings, dtype=dtype)
        model.choose(compiled)
        prediction = predict(model, graph, create_graph=True)
        direction = torch.randn(
            prediction.forces.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        )
        loss = prediction.energies.square().sum() + (prediction.forces * direction).sum()
        if torch.isfinite(prediction.stresses).all():
            loss = loss + 10.0 * prediction.stresses.square().sum()
        trained = [p for p in model.parameters() if p.requires_grad]
        loss.backward(inputs=trained)
        edges = (graph.senders, graph.receivers, graph.species, graph.n_atoms)
        energies, gradient = model.evaluate(graph.vectors, *edges)
        assert not energies.requires_grad and not gradient.requires_grad
        found.append(
            {
                "energies": prediction.atom_energies.detach(),
                "forces": prediction.forces.detach(),
                "evaluated energies": energies,
                "gradient by vectors": gradient,
                "parameters": torch.cat([p.grad.flatten() for p in trained if p.grad is not None]),
            }
        )
    return found


def assert_both_ways_agree(settings: Hyperparameters, graph: Graph, dtype: torch.dtype) -> None:
    plain, compiled = both_ways(settings, graph, dtype)
    for quantity in plain:
        assert_close(compiled[quantity], plain[quantity], dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("kind", ["T0", "T2-all", "T2-Bchi", "T2-free"])
def test_every_system(kind, system, dtype):
    assert_both_ways_agree(settings_of(kind), Graph.of(SYSTEMS[system](), CUTOFF), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model(kind, dtype):
    assert_both_ways_agree(settings_of(kind), Graph.of(SYSTEMS["liquid"](), CUTOFF), dtype)


@pytest.mark.parametrize(
    "n_atom_basis", [1, 3, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 5, 8))]
)
@pytest.mark.parametrize("nu_max", [1, 2, 3, 4])
@pytest.mark.parametrize("l_max", [0, 1, 2, 3, 4, 5])
def test_every_shape(l_max, nu_max, n_atom_basis):
    settings = settings_of(
        "Bchi", l_max=l_max, nu_max=nu_max, n_atom_basis=n_atom_basis, n_rbf=3, n_radial=2
    )
    graph = Graph.of(SYSTEMS["cluster"](), CUTOFF)
    assert_both_ways_agree(settings, graph, torch.float64)


@pytest.mark.parametrize("nu_max", [1, 2, 3, 4])
@pytest.mark.parametrize("l_max", [1, 2, 3, 4, 5])
def test_every_shape_of_messages_of_tensors(l_max, nu_max):
    settings = settings_of("T2-free", l_max=l_max, nu_max=nu_max, n_rbf=3, n_radial=1 + l_max % 2)
    graph = Graph.of(SYSTEMS["cluster"](), CUTOFF)
    assert_both_ways_agree(settings, graph, torch.float64)


@pytest.mark.parametrize("kind", ["T0", "tensors"])
def test_highest_degree(kind):
    settings = settings_of(kind, l_max=8, nu_max=3, n_rbf=2, n_radial=2)
    graph = Graph.of(SYSTEMS["molecule"](), CUTOFF)
    assert_both_ways_agree(settings, graph, torch.float64)


@pytest.mark.parametrize("kind", ["T2-all", "T2-Bchi", "T2-free"])
def test_edges_in_any_order(kind):
    model = random_model(settings_of(kind))
    graph = Graph.of(SYSTEMS["liquid"](), CUTOFF)
    order = torch.randperm(len(graph.senders))
    shuffled = dataclasses.replace(
        graph,
        vectors=graph.vectors[order],
        senders=graph.senders[order],
        receivers=graph.receivers[order],
    )
    expected, found = predict(model, graph), predict(model, shuffled)
    assert_close(found.atom_energies, expected.atom_energies)
    assert_close(found.forces, expected.forces)


@pytest.mark.parametrize("instructions", ["baseline", "avx2", "avx512"])
@pytest.mark.slow
def test_every_set_of_instructions(instructions):
    """The choice is made once per process; one that this machine lacks falls back to the baseline."""
    script = (
        "import test_compiled as t; from helpers import settings_of; from systems import SYSTEMS\n"
        "from pair_cace.data.graph import Graph\n"
        "graph = Graph.of(SYSTEMS['liquid'](), t.CUTOFF)\n"
        "for kind in ('T2-all', 'T2-Bchi', 'nu4', 'T2-free'):\n"
        "    for dtype in t.DTYPES: t.assert_both_ways_agree(settings_of(kind), graph, dtype)\n"
        "import torch; print(torch.ops.pair_cace.instructions())"
    )
    here = pathlib.Path(__file__).parent
    environment = os.environ | {"PAIR_CACE_INSTRUCTIONS": instructions}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=here, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() in (instructions, "baseline")


@pytest.mark.parametrize("kind", ["T2-all", "T2-Bchi"])
def test_threads_do_not_change_the_result(kind):
    model = random_model(settings_of(kind))
    graph = Graph.of(SYSTEMS["liquid"]() * (5, 3, 3), CUTOFF)
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = predict(model, graph)
        torch.set_num_threads(2)
        found = predict(model, graph)
    finally:
        torch.set_num_threads(n_threads)
    assert_close(found.atom_energies, expected.atom_energies)
    assert_close(found.forces, expected.forces)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("species", ["O", "HO"])
def test_fewer_species_than_columns(species, dtype):
    """The first layer then sums by species."""
    atoms = SYSTEMS["liquid"]()
    atoms.symbols = (list(species) * len(atoms))[: len(atoms)]
    settings = settings_of("T2-all", n_atom_basis=3)
    assert_both_ways_agree(settings, Graph.of(atoms, CUTOFF), dtype)


# ---- derivatives of each operation alone ---------------------------------------------------------

N_ATOMS, N_EDGES, L_MAX, N_RBF, N_RADIAL, K = 4, 9, 2, 2, 2, 2
N_ANGULAR, C = 10, K * K


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_(True)


def edges() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vectors of 1 to 3 Å, senders and receivers (not in order, atom 3 receives nothing)."""
    directions = torch.nn.functional.normalize(torch.randn(N_EDGES, 3, dtype=torch.float64), dim=1)
    lengths = 1.0 + 2.0 * torch.rand(N_EDGES, 1, dtype=torch.float64)
    senders = torch.randint(0, N_ATOMS, (N_EDGES,))
    receivers = torch.randint(0, N_ATOMS - 1, (N_EDGES,))
    return (directions * lengths).requires_grad_(True), senders, receivers


def check_derivatives(operation, inputs) -> None:
    assert torch.autograd.gradcheck(operation, inputs)
    assert torch.autograd.gradgradcheck(operation, inputs)


@pytest.mark.parametrize("n_degrees", [1, L_MAX + 1])
@pytest.mark.parametrize("columns", [1, 3])
def test_derivatives_of_neighbor_sum(n_degrees, columns):
    vectors, senders, receivers = edges()
    weights = random(N_ATOMS, n_degrees, columns)
    frequencies = torch.tensor([0.9, 1.7], dtype=torch.float64, requires_grad=True)

    def operation(vectors, weights, frequencies):
        return neighbor_sum(
            vectors, senders, receivers, weights, frequencies, 0.8, 3.5, 5, L_MAX, N_ATOMS
        )

    check_derivatives(operation, (vectors, weights, frequencies))


@pytest.mark.parametrize("weights_by_degree", [False, True])
@pytest.mark.parametrize("columns", [1, 20])
@pytest.mark.parametrize("l_max", range(9))
def test_neighbor_sum_in_float32(l_max, columns, weights_by_degree):
    """With one weight for all degrees, sums of low ones follow from those of higher ones, and so do derivatives."""
    n_degrees = l_max + 1 if weights_by_degree else 1
    vectors, senders, receivers = edges()
    inputs = (vectors, random(N_ATOMS, n_degrees, columns), random(2))
    found = []
    for dtype in (torch.float32, torch.float64):
        x = [one.detach().to(dtype).requires_grad_(True) for one in inputs]
        raw = neighbor_sum(x[0], senders, receivers, x[1], x[2], 0.8, 3.5, 5, l_max, N_ATOMS)
        shares = torch.linspace(-1.0, 1.0, raw.numel(), dtype=torch.float64).to(dtype)
        first = torch.autograd.grad((raw.flatten() * shares).sum(), x, create_graph=True)
        second = torch.autograd.grad(first[0].square().sum(), x)
        found.append([raw.detach(), *(g.detach() for g in first), *second])
    for single, double in zip(*found, strict=True):
        scale = double.abs().max().item()
        assert torch.allclose(single.double(), double, rtol=0, atol=FLOAT32_OPERATION * scale)


@pytest.mark.parametrize("columns", [K, pytest.param(C, marks=pytest.mark.slow)])
@pytest.mark.parametrize("with_extra", [False, True])
@pytest.mark.parametrize("what", [mixed_basis, mixed_invariants])
def test_derivatives_of_mixing(what, with_extra, columns):
    raw = random(N_ATOMS, N_ANGULAR, N_RBF, columns)
    weight, receiver = random(L_MAX + 1, N_RBF, N_RADIAL, C), random(N_ATOMS, K)
    extra = [random(N_ATOMS, N_RADIAL, N_ANGULAR, C)] if with_extra else []
    order = [3] if what is mixed_invariants else []

    def operation(raw, weight, receiver, *extra):
        return what(raw, weight, receiver, *(extra or [None]), *order)

    check_derivatives(operation, (raw, weight, receiver, *extra))


def test_derivatives_of_invariants_alone():
    receiver = torch.ones(N_ATOMS, K, dtype=torch.float64)
    check_derivatives(
        lambda basis: mixed_invariants(None, None, receiver, basis, 4),
        (random(N_ATOMS, N_RADIAL, 20, C),),
    )


def test_derivatives_of_radial_message():
    vectors, senders, receivers = edges()
    basis = random(N_ATOMS, N_RADIAL, N_ANGULAR, C)
    amplitude, decay = random(N_RADIAL, L_MAX + 1, C), random(N_RADIAL, L_MAX + 1, C)

    def operation(vectors, basis, amplitude, decay):
        return radial_message(vectors, senders, receivers, basis, amplitude, decay, 3.5, 5)

    check_derivatives(operation, (vectors, basis, amplitude, decay))


@pytest.mark.parametrize("n_told", [1, 18])  # below and above the sums that are made side by side
def test_derivatives_of_tensor_message(n_told):
    vectors, senders, receivers = edges()
    degree = degree_of_each_triple(1)
    n_edges, n_functions, n_components = len(senders), 2, 3
    inputs = (
        random(n_edges, len(degree)),
        random(n_edges, 2, n_functions * n_told),
        random(N_ATOMS, n_components, n_told),
    )

    def operation(angular, radial, told):
        return tensor_message(angular, radial, told, senders, receivers, degree, N_ATOMS)

    angular, radial, told = inputs
    by_function = radial.unflatten(2, [n_functions, n_told])[:, degree, None]
    values = angular[:, :, None, None, None] * by_function * told[senders][:, None, :, None]
    expected = torch.zeros(N_ATOMS, *values.shape[1:], dtype=values.dtype)
    expected = expected.index_add(0, receivers, values).flatten(3)
    assert_close(operation(*inputs).detach(), expected.detach())
    check_derivatives(operation, inputs)


def test_third_derivatives_are_refused():
    vectors, senders, receivers = edges()
    weights, frequencies = random(N_ATOMS, 1, 2), torch.ones(2, dtype=torch.float64)
    raw = neighbor_sum(
        vectors, senders, receivers, weights, frequencies, 1.0, 3.5, 5, L_MAX, N_ATOMS
    )
    (first,) = torch.autograd.grad(raw.square().sum(), [vectors], create_graph=True)
    with pytest.raises(RuntimeError, match="third derivatives"):
        torch.autograd.grad(first.square().sum(), [vectors], create_graph=True)


# ---- what they refuse ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(vectors=torch.zeros(N_EDGES, 2, dtype=torch.float64)), r"vectors of shape \(E, 3\)"),
        (dict(vectors=torch.zeros(2, 3, dtype=torch.float64)), "as many senders and receivers"),
        (dict(senders=torch.full((N_EDGES,), N_ATOMS)), "expected indices from 0 to 3, got 4"),
        (dict(receivers=torch.full((N_EDGES,), -1)), "expected indices from 0 to 3, got -1"),
        (dict(weights=torch.zeros(N_ATOMS, 2, 3, dtype=torch.float64)), "1 or 3"),
        (dict(weights=torch.zeros(N_ATOMS, 1, 3)), "all in float64, got Double and Float"),
        (dict(l_max=9), "l_max from 0 to 8"),
    ],
)
def test_what_neighbor_sum_refuses(change, message):
    vectors, senders, receivers = edges()
    arguments = dict(
        vectors=vectors, senders=senders, receivers=receivers, weights=random(N_ATOMS, 1, 3),
        frequencies=random(2), prefactor=1.0, cutoff=3.5, exponent=6, l_max=L_MAX, n_atoms=N_ATOMS,
    )  # fmt: skip
    with pytest.raises(RuntimeError, match=message):
        neighbor_sum(**(arguments | change))


def test_what_mixing_refuses():
    raw, weight = random(N_ATOMS, N_ANGULAR, N_RBF, K), random(L_MAX + 1, N_RBF, N_RADIAL, C)
    receiver = random(N_ATOMS, K)
    with pytest.raises(RuntimeError, match="do not fit"):
        mixed_basis(raw[:, :4], weight, receiver, None)
    with pytest.raises(RuntimeError, match="expected raw and weight, or extra"):
        mixed_basis(None, None, receiver, None)
    with pytest.raises(RuntimeError, match="expected extra of shape"):
        mixed_basis(raw, weight, receiver, random(N_ATOMS, N_RADIAL, 4, C))
    with pytest.raises(RuntimeError, match="nu_max from 1 to 4"):
        mixed_invariants(raw, weight, receiver, None, 5)


def small_model(n_layers: int) -> dict[str, torch.Tensor]:
    """L = 1, nu = 2, K = 1, two radial functions; all messages."""
    settings = settings_of(
        "T2-all", l_max=1, nu_max=2, n_rbf=2, n_radial=2, n_atom_basis=1, n_layers=n_layers,
        readout_hidden=(8,), readout_linear=True, bchi_per_l=False, bchi_per_channel=False,
    )  # fmt: skip
    return named_weights(random_model(settings, dtype=torch.float32))


def evaluate_weights(weights: dict, **changes) -> tuple[torch.Tensor, torch.Tensor]:
    """For an oxygen atom and two hydrogen atoms; with one that receives, the others only send."""
    arguments = dict(
        vectors=torch.ones(2, 3), senders=torch.tensor([1, 2]), receivers=torch.tensor([0, 0]),
        species=torch.tensor([8, 1, 1]), n_atoms=3,
    ) | changes  # fmt: skip
    return Potential(weights).evaluate(*arguments.values())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"vectors": torch.rand(2, 2)}, r"expected vectors of shape \(E, 3\), got \[2, 2\]"),
        ({"senders": torch.tensor([1, 3])}, "expected indices from 0 to 2, got 3 in edge 1"),
        ({"receivers": torch.tensor([0, 3])}, "expected indices from 0 to 2, got 3 in edge 1"),
        ({"n_atoms": 1}, "every sender to be an atom that receives, got 2 that only send"),
    ],
)
def test_edges_that_a_potential_refuses(change, message):
    weights = small_model(n_layers=1)
    assert evaluate_weights(weights)[0].shape == (3,)
    with pytest.raises(RuntimeError, match=message):
        evaluate_weights(weights, **change)


def freely_mixed_weights() -> dict[str, torch.Tensor]:
    return named_weights(random_model(settings_of("tensors"), dtype=torch.float32))


@pytest.mark.parametrize(
    "name",
    [name for name in freely_mixed_weights() if name.endswith(("weight", "bias", ".radial"))],
)
@pytest.mark.parametrize("axis", ["first", "last"])
def test_weights_that_do_not_fit_freely_mixed_channels(name, axis):
    weights = freely_mixed_weights()
    table = weights[name]
    weights[name] = torch.cat([table, table], dim=0 if axis == "first" else table.dim() - 1)
    with pytest.raises(RuntimeError, match="evaluate: "):
        Potential(weights)


WEIGHT, LINEAR = "readout.network.0.weight", "readout.linear.weight"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"atomic_basis.mixing_weight": torch.rand(2, 2, 2, 4)}, "do not fit each other"),
        ({"sender_embedding.weight": torch.rand(2, 1).double()}, "all in float64"),
        ({WEIGHT: torch.rand(8, 3)}, "of readout, got"),
        (
            {WEIGHT: torch.rand(2, 8), "readout.network.0.bias": torch.rand(2),
             "readout.network.2.weight": None},
            "expected one output of the readout, got 2",
        ),
        ({"readout.network.0.bias": None}, "expected .* 'readout.network.0.bias' .* got none"),
        ({WEIGHT: None}, "expected weight and bias of the readout, got none"),
        ({LINEAR: torch.rand(1, 3)}, "of linear readout, got"),
        ({LINEAR: torch.rand(1, 8).double()}, "linear readout in Float, got Double"),
        ({"layers.0.bchi.network.0.weight": torch.rand(8, 3)}, "of messages, got"),
        ({"layers.0.memory.weight": torch.rand(2, 2, 2)}, "memories of shape .2, 2, 1., got"),
        ({"layers.0.ar.decay": None}, "expected .* 'layers.0.ar.decay' .* got none"),
        ({"nu_max": torch.tensor(5.0)}, "expected nu_max from 1 to 4, got 5"),
        ({"nu_max": torch.rand(2)}, "expected a number 'nu_max', got a tensor of shape .2."),
        ({"layers.0.bchi.n_degrees": torch.tensor(3.0)}, "1 or 2 weights of a message, got 3"),
    ],
)  # fmt: skip
def test_weights_that_make_no_potential(change, message):
    weights = small_model(n_layers=1) | change
    weights = {name: value for name, value in weights.items() if value is not None}
    with pytest.raises(RuntimeError, match=message):
        evaluate_weights(weights)


def test_indices_that_are_not_contiguous():
    table = torch.tensor([[1, 99], [2, 99]])
    weights = small_model(n_layers=0)
    found, _ = evaluate_weights(weights, senders=table[:, 0], n_atoms=1)
    with pytest.raises(RuntimeError, match="expected indices from 0 to 2, got 99 in edge 0"):
        evaluate_weights(weights, senders=table[:, 1])
    assert found.shape == (1,) and torch.isfinite(found).all()


@pytest.mark.parametrize("l_max", range(9))
def test_number_of_invariants(l_max):
    basis = torch.zeros(1, 1, (l_max + 1) * (l_max + 2) * (l_max + 3) // 6, 1)
    for nu_max in (1, 2, 3, 4):
        found = mixed_invariants(None, None, torch.ones(1, 1), basis, nu_max).shape[2]
        assert found == number_of_invariants(l_max, nu_max)
