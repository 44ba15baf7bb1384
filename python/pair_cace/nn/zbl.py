"""Screened nuclear repulsion at short range, for collisions that no training data cover."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .radial import PolynomialCutoff


class ZBLRepulsion(nn.Module):
    """Ziegler-Biersack-Littmark repulsion, switched off smoothly at ``cutoff``.

    E_i = ½ Σ_{e→i} Z_i Z_j e²/(4πε0 r) φ(r/a) f_c(r), a = 0.46850 Å / (Z_i^0.23 + Z_j^0.23),
    φ(x) = 0.18175 e^(−3.19980x) + 0.50986 e^(−0.94229x) + 0.28022 e^(−0.40290x)
    + 0.02817 e^(−0.20162x), with the polynomial f_c of the model on ``cutoff``
    (Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Matter, 1985).
    """

    def __init__(self, cutoff: float):
        super().__init__()
        self.switch = PolynomialCutoff(cutoff, 6)
        self.coulomb = 14.399645  # e² / (4π ε0), eV Å
        self.screening = [
            (0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162),
        ]  # fmt: skip

    def forward(
        self, distances: Tensor, senders: Tensor, receivers: Tensor, species: Tensor, n_atoms: int
    ) -> Tensor:
        """(E,) distances in Å and the arguments of the model to (n_atoms,) energies in eV."""
        numbers = species.to(distances.dtype)
        z_sender = numbers.index_select(0, senders)
        z_receiver = numbers.index_select(0, receivers)
        length = 0.46850 / (z_sender**0.23 + z_receiver**0.23)  # (E,) Å
        x = distances / length
        phi = torch.zeros_like(x)
        for amplitude, decay in self.screening:
            phi = phi + amplitude * torch.exp(-decay * x)
        pair = self.coulomb * z_sender * z_receiver / distances * phi * self.switch(distances)
        return distances.new_zeros([n_atoms]).index_add(0, receivers, 0.5 * pair)
