"""The head of the energy: from the invariants of an atom to its energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import List

import torch
from torch import Tensor, nn

from ..perceptron import Perceptron


class Readout(nn.Module):
    """E_i = MLP(features) + Linear(features), in eV, without E0 (Eq. 16)."""

    def __init__(self, n_features: int, hidden: Sequence[int], with_linear: bool):
        super().__init__()
        self.network = Perceptron(n_features, hidden, 1)
        self.linear = nn.Linear(n_features, 1) if with_linear else None

    def forward(self, layers: List[Tensor]) -> Tensor:
        """Features of every layer t, (N, n_features / (T+1)) each, to (N,).

        A feature vector is all of them with t as the fastest index. It is not put together: the
        first weights are taken apart, which are few, instead of the features, which are many.
        They are copied once, so that neither a product nor its gradients copy them again.
        """
        weight, bias = self.network[0].weight, self.network[0].bias
        n_hidden = bias.shape[0]
        if self.linear is not None:
            weight = torch.cat([weight, self.linear.weight])
            bias = torch.cat([bias, self.linear.bias])
        # (T+1, hidden, features of a layer)
        by_layer = weight.unflatten(1, [-1, len(layers)]).permute(2, 0, 1).contiguous().unbind()
        total = bias
        for features, weight_of_layer in zip(layers, by_layer):
            total = torch.addmm(total, features, weight_of_layer.T)
        hidden = total[:, :n_hidden]
        for k, module in enumerate(self.network):
            if k > 0:
                hidden = module(hidden)
        energies = hidden.squeeze(-1)
        if self.linear is not None:
            energies = energies + total[:, n_hidden]
        return energies
