"""Outputs of any kind that do not change with rotation: charges, magnetic moments, …"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ..elements import ByElement
from .energy import Readout
from .output import AtomOutput, OutputSettings


class ScalarSettings(OutputSettings):
    """A number for every atom: the mean of its element, and what a small network adds to it."""

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16,), description="widths of the hidden layers of its network"
    )


class ScalarOutput(AtomOutput):
    """q_i = q̄_z + s (MLP(B_i) + Linear(B_i)), q̄_z the mean label of the element, s the spread about it."""

    Settings = ScalarSettings

    def __init__(self, shape, settings):
        super().__init__(shape, settings)
        self.means = ByElement(len(shape.elements))
        self.register_buffer("scale", torch.ones(()))
        self.network = Readout(shape.n_descriptors, settings.hidden, True)

    @torch.no_grad()
    def start_from(self, means: Tensor, spread: float) -> None:
        self.means.values.copy_(means)
        self.scale.fill_(spread)
        for last in (self.network.network[-1], self.network.linear):
            last.weight.zero_()
            last.bias.zero_()

    def forward(self, features: Tensor, composition: Tensor) -> Tensor:
        """(n_atoms, n_descriptors) and (n_atoms, n_elements) to (n_atoms,), float64."""
        return self.means(composition) + self.scale * self.network([features])
