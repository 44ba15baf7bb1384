"""The optimizer for wide layers."""

import copy

import pytest
import torch
from helpers import assert_close, random_model, settings_of
from pair_cace.training.config import OptimizerSection
from pair_cace.training.muon import MOMENTUM, Muon, lying, orthogonalizer
from pair_cace.training.schedule import make_optimizer
from tolerances import FLOAT32_ROUNDING


@pytest.mark.parametrize("shape", [(32, 2000), (40, 8), (5, 5)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) * torch.logspace(0, 1, shape[1])
    wide = lying(matrix)
    changed = orthogonalizer(wide) @ wide
    values = torch.linalg.svdvals(changed)
    assert values.max() < 1.3 and values.min() > 0.5
    # The directions stay: U Vᵀ of the matrix.
    u, _, v = torch.linalg.svd(wide, full_matrices=False)
    overlap = (changed * (u @ v)).sum() / min(shape)
    assert 0.7 < overlap < 1.2


@pytest.mark.parametrize("shape", [(3, 7), (7, 3)])
def test_a_matrix_takes_steps_along_its_orthogonal_momentum(shape):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(shape))
    group = {"params": [weight], "weight_decay": 0.1, "orthogonal": True}
    optimizer = Muon([group], 1e-2, (0.9, 0.999))
    expected, momentum = weight.detach().clone(), torch.zeros(shape)
    for _ in range(3):
        weight.grad = torch.randn(shape)
        momentum = MOMENTUM * momentum + weight.grad
        change = weight.grad + MOMENTUM * momentum
        if shape[0] <= shape[1]:
            change = orthogonalizer(change) @ change
        else:
            change = (orthogonalizer(change.T) @ change.T).T
        expected = (1 - 1e-2 * 0.1) * expected - 1e-2 * change
        optimizer.step()
        assert_close(weight.detach(), expected, within=FLOAT32_ROUNDING)


def test_other_weights_take_the_steps_of_adamw():
    start = torch.randn(4, 3)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    groups = [{"params": [ours], "weight_decay": 0.1, "orthogonal": False}]
    optimizers = [
        Muon(groups, 1e-2, (0.9, 0.999)),
        torch.optim.AdamW([theirs], 1e-2, (0.9, 0.999), weight_decay=0.1),
    ]
    for _ in range(5):
        gradient = torch.randn(4, 3)
        for parameter, optimizer in zip((ours, theirs), optimizers):
            parameter.grad = gradient.clone()
            optimizer.step()
    assert torch.equal(ours, theirs)


def test_which_weights_are_treated_as_matrices():
    model = random_model(settings_of("Bchi", n_radial=12, n_atom_basis=3, readout_hidden=(32, 16)))
    section = OptimizerSection(kind="muon", weight_decay=0.03)
    optimizer = make_optimizer(model, section)
    names = {parameter: name for name, parameter in model.named_parameters()}
    treated = {
        names[parameter]
        for group in optimizer.param_groups
        if group["orthogonal"]
        for parameter in group["params"]
    }
    decaying = {
        names[parameter]
        for group in optimizer.param_groups
        if group["weight_decay"] > 0
        for parameter in group["params"]
    }
    assert treated == {"readout.network.0.weight", "layers.0.bchi.network.0.weight"}
    assert decaying == treated | {"readout.linear.weight"}
    everything = [p for group in optimizer.param_groups for p in group["params"]]
    assert set(everything) == set(names) and len(everything) == len(names)


def test_tables_learn_faster_than_networks():
    model = random_model(settings_of("Ar", messages=("M", "Ar", "Bchi")))
    names = {parameter: name for name, parameter in model.named_parameters()}

    def faster(kind: str) -> set[str]:
        groups = make_optimizer(model, OptimizerSection(kind=kind)).param_groups
        return {
            names[parameter]
            for group in groups
            if group["factor"] > 2.0
            for parameter in group["params"]
        }

    assert faster("adam") == set()
    assert faster("muon") == {
        "sender_embedding.weight",
        "receiver_embedding.weight",
        "atomic_basis.mixing_weight",
        "layers.0.memory.weight",
        "layers.0.ar.amplitude",
        "layers.0.ar.decay",
    }


def test_a_saved_state_goes_on_bit_for_bit():
    def step(model, optimizer):
        torch.manual_seed(1)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()

    settings = settings_of("Bchi", n_radial=12, n_atom_basis=3, readout_hidden=(32, 16))
    models = [random_model(settings), random_model(settings)]
    first, second = [make_optimizer(model, OptimizerSection(kind="muon")) for model in models]
    step(models[0], first)
    models[1].load_state_dict(models[0].state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    step(models[0], first)
    step(models[1], second)
    for one, other in zip(models[0].parameters(), models[1].parameters()):
        assert torch.equal(one, other)
