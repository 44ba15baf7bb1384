"""How far least squares may move the linear readout: the choice of λ in

    min_x  loss(x) + λ Σ_p D_p x_p²,

x the change of the weights and D the diagonal of the normal equations, that is, what the weights do
each by itself. A change that sums to little only because invariants of the training data vary together
does harm where they do not. So λ is bounded by what is new: the training data are in parts that differ,
and the solution without a part must not be worse for it than the trained weights. Of these λ, the one
is taken that has the lowest score on the validation data, if no group of them gets worse in anything
that has a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..nn import CACE
from ..quantities import OF_ENERGY
from .config import PhaseSection
from .loss import ErrorSums, total_loss
from .normal_equations import NormalEquations

RIDGES = tuple(10.0**k for k in range(1, -11, -1))  # λ; less lets the weights move far for little
TOLERANCE = 0.01  # of a root-mean-square error; smaller changes for the worse do not count
SHARE = 1e-3  # of the loss; what contributes less may get worse

Errors = dict[str, ErrorSums]  # of groups


class Found(NamedTuple):
    """What came of it. ``ridge`` is λ of the solution that was taken; None if none was."""

    ridge: float | None
    reason: str  # for people
    before: Errors  # of the validation data
    after: Errors


def search(
    model: CACE,
    equations: NormalEquations,
    phase: PhaseSection,
    valid_errors: Callable[[], Errors],
    part_errors: Callable[[int], ErrorSums],
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Change the linear readout of ``model`` to what does better, or leave it as it is.

    valid_errors   () → errors of the validation data, of "all" and of every group, of ``model`` as it is
    part_errors    k → errors of some structures of part k of ``equations``
    on_step        hears of progress
    """
    linear = model.readout.linear
    start = linear.weight.detach().clone(), linear.bias.detach().clone()
    n_parts = len(equations.matrices)
    before, parts_before = valid_errors(), [part_errors(k) for k in range(n_parts)]
    matrix, vector = equations.matrices.sum(0), equations.vectors.sum(0)
    metric = _metric(matrix)
    best_score = score(before["all"], phase)
    best, best_errors, reason = None, before, "no solution is better on the validation data"

    def does_harm(k: int, ridge: float) -> bool:
        """Whether the solution without part k is worse for it, or not to be found."""
        of_others = matrix - equations.matrices[k], vector - equations.vectors[k]
        change = _solution(*of_others, ridge * metric)
        if change is not None:
            _set(linear, start, change)
        return change is None or bool(worse(parts_before[k], part_errors(k), phase))

    for step, ridge in enumerate(RIDGES):
        harm = any(does_harm(k, ridge) for k in range(n_parts if n_parts > 1 else 0))
        on_step(step + 1, len(RIDGES))
        change = _solution(matrix, vector, ridge * metric)
        if harm or change is None:
            if best is None:
                reason = "solutions do harm where something is new"
            break
        _set(linear, start, change)
        errors = valid_errors()
        found = score(errors["all"], phase)
        if found < best_score and not any(worse(before[g], errors[g], phase) for g in before):
            best_score, best, best_errors = found, (ridge, change), errors
    on_step(len(RIDGES), len(RIDGES))
    _set(linear, start, best[1] if best else torch.zeros_like(vector))
    return Found(best[0] if best else None, "" if best else reason, before, best_errors)


def score(errors: ErrorSums, phase: PhaseSection) -> float:
    """The loss with the weights of ``phase``."""
    return float(total_loss(errors, errors.counts(), phase))


def worse(before: ErrorSums, after: ErrorSums, phase: PhaseSection) -> list[str]:
    """Quantities with a weight whose error has grown by more than can be overlooked."""
    total = score(before, phase)
    found = []
    for name in (quantity.name for quantity in OF_ENERGY):  # outputs have nothing of this readout
        weight = phase.weight_of(name)
        old, new = float(before[name].loss), float(after[name].loss)
        count = max(1.0, float(before[name].count))
        matters = weight * new / count > SHARE * total
        if matters and not new <= (1.0 + TOLERANCE) ** 2 * old:  # also if it is not finite
            found.append(name)
    return found


def _metric(matrix: Tensor) -> Tensor:
    """(P+1,) D. What hardly occurs in the data counts more than it does there; the bias is free."""
    diagonal = matrix.diagonal()
    metric = diagonal + 1e-3 * diagonal[:-1].mean()
    if diagonal[-1] > 0:
        metric[-1] = 0.0
    return metric


def _solution(matrix: Tensor, vector: Tensor, ridge: Tensor) -> Tensor | None:
    """The change of weights and bias (P+1,); None if rounding does not let one be found."""
    factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(ridge))
    return None if int(failed) else torch.cholesky_solve(vector[:, None], factor)[:, 0]


@torch.no_grad()
def _set(linear, start: tuple[Tensor, Tensor], change: Tensor) -> None:
    linear.weight.copy_(start[0].double() + change[None, :-1])
    linear.bias.copy_(start[1].double() + change[-1:])
