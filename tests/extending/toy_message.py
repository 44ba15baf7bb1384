"""A message of one's own: what an atom says is a number per channel, from its invariants."""

import torch
from pair_cace.extending import (
    MESSAGES,
    Atoms,
    Edges,
    MessageTerm,
    degree_of_each_triple,
    mix_radial,
    number_of_invariants,
    sum_over_neighbors,
)
from torch import Tensor, nn


@MESSAGES.register("Toy")
class ToyMessage(MessageTerm):
    """Σ_{e→i} R_n f_c û^𝐥 tanh(W B_j)_c, mixed as A is."""

    def __init__(self, settings):
        super().__init__(settings)
        n_invariants = number_of_invariants(settings.l_max, settings.nu_max)
        n_features = settings.n_radial * n_invariants * settings.n_channels
        self.weights = nn.Linear(n_features, settings.n_channels)
        self.register_buffer("degree", degree_of_each_triple(settings.l_max), persistent=False)

    @staticmethod
    def values_per_ghost(settings) -> int:
        return settings.n_channels

    @torch.jit.export
    def tell(self, basis: Tensor, invariants: Tensor, atoms: Atoms) -> Tensor:
        return torch.tanh(self.weights(invariants.flatten(1)))

    @torch.jit.export
    def gather(self, told: Tensor, edges: Edges, atoms: Atoms, mixing_weight: Tensor) -> Tensor:
        values = edges.basis.unsqueeze(-1) * told.index_select(0, edges.senders)[:, None, None, :]
        raw = sum_over_neighbors(values, edges.receivers, atoms.receiver.shape[0])
        return mix_radial(raw, mixing_weight, self.degree)
