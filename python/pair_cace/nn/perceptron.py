"""Small networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


class Perceptron(nn.Sequential):
    """Linear layers with bias, SiLU between them."""

    def __init__(self, n_in: int, hidden: Sequence[int], n_out: int):
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(n_in, width), nn.SiLU()]
            n_in = width
        super().__init__(*layers, nn.Linear(n_in, n_out))
