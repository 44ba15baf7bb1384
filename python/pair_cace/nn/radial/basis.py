"""What a radial basis is, and the names of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ...registry import Registry

if TYPE_CHECKING:
    from ..hyperparameters import ModelShape

RADIAL_BASES: Registry[type["RadialBasis"]] = Registry("radial basis")


class RadialBasis(nn.Module):
    """R_n(r), n = 1 … n_rbf, which the model multiplies with the cutoff function (Eq. 1).

    Has a method ``forward(self, distances) -> Tensor`` from (E,) distances in Å to (E, n_rbf), twice
    differentiable, which TorchScript compiles.
    """

    has_kernels = False  # whether the compiled operations know it (ops/kernels/radial_function.h)

    def __init__(self, settings: "ModelShape"):
        super().__init__()
        self.kind = 0  # its number there
        self.length = 0.0  # and its length in Å, if it has one

    def before_export(self) -> None:
        """What can be known before the model becomes TorchScript."""
