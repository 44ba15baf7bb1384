"""What an error costs: one function a loss. ``LOSSES`` has them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from .config import LossSection

# From errors of any shape, in eV/atom, eV/Å or eV/Å³, to values of the same shape that are to be small; an
# error of 0 has the value 0.
Loss = Callable[["Tensor", "LossSection"], "Tensor"]
LOSSES: Registry[Loss] = Registry("loss")


@LOSSES.register("mse")
def squares(errors: "Tensor", settings: "LossSection") -> "Tensor":
    """The mean square error, once averaged."""
    return errors**2


@LOSSES.register("huber")
def huber(errors: "Tensor", settings: "LossSection") -> "Tensor":
    """Squares of errors up to ``huber_delta``, linear from there on."""
    size, delta = errors.abs(), settings.huber_delta
    return (errors**2).where(size <= delta, 2.0 * delta * size - delta**2)
