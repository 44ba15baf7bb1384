"""Compiled operations against plain torch, with derivatives of first and second order."""

import pytest
import torch
from helpers import assert_close
from pair_cace.operations import edge_differences, edge_forces
from tolerances import FLOAT32_ROUNDING, ROUNDING

N_ATOMS, N_EDGES = 5, 17


def edges():
    senders = torch.randint(0, N_ATOMS, (N_EDGES,))
    return senders, (senders + torch.randint(1, N_ATOMS, (N_EDGES,))) % N_ATOMS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forces_equal_plain_torch(dtype):
    senders, receivers = edges()
    gradient = torch.randn(N_EDGES, 3, dtype=dtype)
    expected = torch.zeros(N_ATOMS, 3, dtype=dtype)
    expected.index_add_(0, receivers, -gradient).index_add_(0, senders, gradient)
    within = ROUNDING if dtype == torch.float64 else FLOAT32_ROUNDING
    assert_close(edge_forces(gradient, senders, receivers, N_ATOMS), expected, within=within)


def test_differences_equal_plain_torch():
    senders, receivers = edges()
    values = torch.randn(N_ATOMS, 3, dtype=torch.float64)
    expected = values[receivers] - values[senders]
    assert torch.equal(edge_differences(values, senders, receivers), expected)


def test_inputs_need_not_be_contiguous():
    senders, receivers = edges()
    gradient = torch.randn(3, N_EDGES, dtype=torch.float64).T
    pairs = torch.stack([senders, receivers], dim=1)
    expected = edge_forces(gradient.contiguous(), senders, receivers, N_ATOMS)
    assert torch.equal(edge_forces(gradient, pairs[:, 0], pairs[:, 1], N_ATOMS), expected)


def test_devices_without_kernels_of_their_own():
    senders, receivers = edges()
    on_meta = [index.to("meta") for index in (senders, receivers)]
    gradient = torch.empty(N_EDGES, 3, device="meta")
    assert edge_forces(gradient, *on_meta, N_ATOMS).shape == (N_ATOMS, 3)
    values = torch.empty(N_ATOMS, 3, device="meta")
    assert edge_differences(values, *on_meta).shape == (N_EDGES, 3)


def test_derivatives():
    senders, receivers = edges()
    gradient = torch.randn(N_EDGES, 3, dtype=torch.float64, requires_grad=True)
    values = torch.randn(N_ATOMS, 3, dtype=torch.float64, requires_grad=True)

    def forces(g):
        return edge_forces(g**3, senders, receivers, N_ATOMS)

    def differences(v):
        return edge_differences(v**3, senders, receivers)

    assert torch.autograd.gradcheck(forces, [gradient])
    assert torch.autograd.gradgradcheck(forces, [gradient])
    assert torch.autograd.gradcheck(differences, [values])
    assert torch.autograd.gradgradcheck(differences, [values])


def test_derivatives_in_torchscript():
    senders, receivers = edges()

    @torch.jit.script
    def forces(g: torch.Tensor, senders: torch.Tensor, receivers: torch.Tensor, n_atoms: int):
        return torch.ops.pair_cace.edge_forces(g**3, senders, receivers, n_atoms)

    gradient = torch.randn(N_EDGES, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: forces(g, senders, receivers, N_ATOMS), [gradient])


@pytest.mark.parametrize(
    "change, message",
    [
        (
            dict(gradient=torch.zeros(2, 2)),
            r"expected gradient of shape \(n, 3\), got shape \[2, 2\]",
        ),
        (dict(gradient=torch.zeros(3, 3)), r"expected one gradient per edge \(2\), got 3"),
        (dict(senders=torch.tensor([0.0, 1.0])), "type int64, got shape .* type Float"),
        (dict(senders=torch.tensor([0])), "as many senders as receivers, got 1 and 2"),
        (dict(senders=torch.tensor([0, 7])), "expected indices from 0 to 1, got 7 in edge 1"),
        (dict(receivers=torch.tensor([0, -1])), "expected indices from 0 to 1, got -1 in edge 1"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = dict(
        gradient=torch.zeros(2, 3), senders=torch.tensor([0, 1]), receivers=torch.tensor([1, 0])
    )
    with pytest.raises(RuntimeError, match=message):
        edge_forces(**(arguments | change), n_atoms=2)
