"""Muon for wide matrices, AdamW for all other weights, in one optimizer.

Muon replaces the momentum G of a matrix by the orthogonal matrix next to it, (G Gᵀ)^(-1/2) G: every
direction in which the matrix can change moves by the same length, not only the few along which the
gradients are large. See K. Jordan et al., Muon: an optimizer for hidden layers in neural networks (2024).

torch.optim.Muon does this in bfloat16, which many CPUs do not have, and takes matrices alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the iteration, as published with Muon


def lying(matrix: Tensor) -> Tensor:
    """The matrix, or its transpose if that is wider."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T


def orthogonalizer(wide: Tensor) -> Tensor:
    """The square matrix P that brings the singular values of P X near one (0.7 … 1.2), X being wide.

    That takes five Newton-Schulz steps. A step X ← Q X with Q = a + b X Xᵀ + c (X Xᵀ)² changes X Xᵀ
    to Q X Xᵀ Q. So the steps need the small matrix X Xᵀ alone, and P is the product of all Q. Doing
    so in float32 changes P X by less than 3e-4 (in the Frobenius norm), whatever the singular values.
    """
    a, b, c = _COEFFICIENTS
    square = wide @ wide.T
    scale = 1.0 / (square.trace().sqrt() + 1e-12)  # to singular values below one
    square *= scale**2
    product = None
    for steps_left in reversed(range(5)):
        step = torch.addmm(square, square, square, beta=b, alpha=c)
        step.diagonal().add_(a)
        product = step * scale if product is None else step @ product
        if steps_left:
            square = step @ square @ step
    return product


class Muon(torch.optim.AdamW):
    """Parameter groups have ``orthogonal``: Muon if true, of matrices or stacks of them, otherwise AdamW.

    ``weight_decay`` is decoupled from the gradients in both.
    """

    def __init__(self, groups: Iterable[dict], lr: float, betas: tuple[float, float]):
        super().__init__(groups, lr=lr, betas=betas, weight_decay=0.0)

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """One step from the gradients of the parameters."""
        groups = self.param_groups
        for group in groups:
            if group["orthogonal"]:
                for parameter in group["params"]:
                    self._orthogonal_step(parameter, group["lr"], group["weight_decay"])
        try:
            self.param_groups = [group for group in groups if not group["orthogonal"]]
            super().step()
        finally:
            self.param_groups = groups

    def _orthogonal_step(self, parameter: Tensor, rate: float, weight_decay: float) -> None:
        if parameter.grad is None:
            return
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # which AdamW looks for in every state that it loads
        state["step"] += 1
        momentum = torch.add(
            parameter.grad, state["momentum"], alpha=MOMENTUM, out=state["momentum"]
        )
        changes = torch.add(parameter.grad, momentum, alpha=MOMENTUM)
        stack = parameter.dim() == 3
        for matrix, change in zip(parameter, changes) if stack else [(parameter, changes)]:
            wide = lying(change)
            lying(matrix).addmm_(
                orthogonalizer(wide), wide, beta=1.0 - rate * weight_decay, alpha=-rate
            )
