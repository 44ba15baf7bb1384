"""From atomic numbers to trained quantities, for trained elements and those in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from ase.data import chemical_symbols
from torch import Tensor, nn

if TYPE_CHECKING:
    from .hyperparameters import Hyperparameters

MAX_ATOMIC_NUMBER = 118


def interpolation_table(atomic_numbers: list[int]) -> Tensor:
    """Weight of every trained element in every element, (119, n_elements) float64.

    A trained element is itself (one-hot). One between two trained ones is their linear
    interpolation in atomic number: the paper's alchemical extrapolation. One outside the trained
    range has no meaning and gets NaN, so that it can never pass unnoticed.
    """
    table = torch.full((MAX_ATOMIC_NUMBER + 1, len(atomic_numbers)), torch.nan, dtype=torch.float64)
    for column, z in enumerate(atomic_numbers):
        table[z] = 0.0
        table[z, column] = 1.0
    for column, (low, high) in enumerate(zip(atomic_numbers, atomic_numbers[1:])):
        for z in range(low + 1, high):
            table[z] = 0.0
            table[z, column] = (high - z) / (high - low)
            table[z, column + 1] = (z - low) / (high - low)
    return table


def elements_between(settings: "Hyperparameters") -> tuple[str, ...]:
    """Symbols of all elements that ``interpolation_table`` reaches, trained ones included."""
    numbers = settings.atomic_numbers
    return tuple(chemical_symbols[z] for z in range(numbers[0], numbers[-1] + 1))


class _Float64(nn.Module):
    """Buffers that stay float64: .to(device) moves them, .to(dtype) leaves them alone."""

    def _apply(self, fn, recurse: bool = True):
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)


class ByElement(_Float64):
    """A number for every trained element, float64."""

    def __init__(self, n_elements: int):
        super().__init__()
        self.register_buffer("values", torch.zeros(n_elements, dtype=torch.float64))

    def forward(self, composition: Tensor) -> Tensor:
        """(N, n_elements) weights of the trained elements to (N,)."""
        return composition @ self.values


class Elements(_Float64):
    """Which elements a model knows, and the energy E0 of each; float64 at every model precision.

    Total energies of 1e4 eV in float32 would lose the meV that matter.
    """

    def __init__(self, atomic_numbers: list[int]):
        super().__init__()
        self.register_buffer("table", interpolation_table(atomic_numbers), persistent=False)
        self.register_buffer("E0", torch.zeros(len(atomic_numbers), dtype=torch.float64))

    def forward(self, species: Tensor) -> Tensor:
        """(N,) atomic numbers to (N, n_elements) weights of the trained elements, float64."""
        return self.table.index_select(0, species)

    def reference_energies(self, composition: Tensor) -> Tensor:
        """(N, n_elements) weights to (N,) E0 in eV, float64."""
        return composition @ self.E0


class ElementTable(nn.Module):
    """A trainable row for every element, (n_elements, columns)."""

    def __init__(self, rows: Tensor):
        super().__init__()
        self.weight = nn.Parameter(rows)

    def forward(self, composition: Tensor) -> Tensor:
        """(N, n_elements) weights of the trained elements to (N, columns)."""
        return composition.to(self.weight.dtype) @ self.weight


class ElementFactors(ElementTable):
    """A trainable factor for every element and product channel, ρ."""

    def __init__(self, n_elements: int, n_products: int):
        super().__init__(1.0 + 0.5 * torch.randn(n_elements, n_products))


class ElementEmbedding(ElementTable):
    """The trainable vector θ_z of length K for every element."""

    def __init__(self, n_elements: int, n_atom_basis: int):
        # More elements than components cannot be independent: they start alike, so that what is
        # learnt of one helps the others.
        alike = max(0.0, 1.0 - n_atom_basis / n_elements)
        common, own = torch.randn(1, n_atom_basis), torch.randn(n_elements, n_atom_basis)
        super().__init__(alike**0.5 * common.sign() + (1.0 - alike) ** 0.5 * own)
