"""An output of one's own: a number above 0 for every atom."""

import torch
from pair_cace.extending import ATOM_OUTPUTS, AtomOutput, OutputSettings
from pydantic import Field
from torch import Tensor, nn


class ToySettings(OutputSettings):
    """A number above 0 for every atom."""

    width: int = Field(8, ge=1, description="of its hidden layer")


@ATOM_OUTPUTS.register("toy positive")
class ToyPositive(AtomOutput):
    """q_i = softplus(b_z + w tanh(W B_i))."""

    Settings = ToySettings

    def __init__(self, shape, settings):
        super().__init__(shape, settings)
        self.hidden = nn.Linear(shape.n_descriptors, settings.width)
        self.last = nn.Linear(settings.width, 1, bias=False)
        self.norm = nn.Identity()  # a name that numbers of the kernels have, too
        self.start = nn.Parameter(torch.zeros(len(shape.elements)))

    @torch.no_grad()
    def start_from(self, means: Tensor, spread: float) -> None:
        self.start.copy_(means.clamp(min=1e-3).expm1().log())

    def forward(self, features: Tensor, composition: Tensor) -> Tensor:
        start = composition.to(self.start.dtype) @ self.start
        return nn.functional.softplus(start + self.last(torch.tanh(self.hidden(features)))[:, 0])
