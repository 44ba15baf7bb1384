"""Readout: from the invariants of an atom to its energy."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def multilayer_perceptron(n_in: int, hidden: Sequence[int], n_out: int) -> nn.Sequential:
    """Linear layers with bias, SiLU between them."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(n_in, width), nn.SiLU()]
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_out))


class Readout(nn.Module):
    """E_i = MLP(features) + Linear(features), in eV, without E0 (Eq. 16)."""

    def __init__(self, n_features: int, hidden: Sequence[int], with_linear: bool):
        super().__init__()
        self.network = multilayer_perceptron(n_features, hidden, 1)
        self.linear = nn.Linear(n_features, 1) if with_linear else None

    def forward(self, features: Tensor) -> Tensor:
        """(N, n_features) to (N,)."""
        energies = self.network(features)
        if self.linear is not None:
            energies = energies + self.linear(features)
        return energies.squeeze(-1)
