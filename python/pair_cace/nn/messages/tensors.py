"""Messages of scalars and vectors, which an atom makes of A and B by linear maps of its element.

Meant for product channels that are mixed freely (``nn.free_basis``); k = 1 … P are all pairs (n', c).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...operations import tensor_message
from ..angular import Triple, multinomial, triples, triples_up_to
from ..atomic_basis import degree_of_each_triple, low_frequencies_prevail, sum_over_neighbors
from ..by_element import ElementLinear
from ..edges import Atoms, Edges
from ..free_basis import MixingByDegree
from ..invariants import number_of_invariants
from .term import MessageTerm

START = 0.15  # size of a message in a new model, against A
GATE = 0.2  # and of what is in its gates


class TensorMessage(MessageTerm):
    """What scalars and vectors have in common: radial functions, and sums over neighbours.

    R_{l,m}(r) = f_c Σ_n w_{n,l,m} R_n(r), ``message_radial`` of them for every channel m.
    """

    has_operations = True
    has_kernels_with_free_mixing = True
    takes_edges = True
    goes_with_free_mixing = True

    def __init__(self, settings):
        super().__init__(settings)
        self.n_told, self.n_functions = settings.message_channels, settings.message_radial
        columns = self.n_told * self.n_functions
        shape = (settings.n_rbf, settings.l_max + 1, columns)
        self.radial = nn.Parameter(low_frequencies_prevail(torch.randn(shape), dim=0))
        self.n_elements, self.n_products = len(settings.elements), settings.n_products
        self.n_features = number_of_invariants(settings.l_max, settings.nu_max) * self.n_products
        self.register_buffer("degree", degree_of_each_triple(settings.l_max), persistent=False)

    def sum_of_neighbors(self, told: Tensor, edges: Edges, n_atoms: int) -> Tensor:
        """Σ_{e→i} R_{l,m}(r) û^𝐥 ⊗ h_j from (N, d, n_told) to (n_atoms, N_l, d, columns)."""
        radial = torch.tensordot(edges.radial, self.radial, dims=1)  # (E, L+1, columns)
        if self.compiled:
            return tensor_message(
                edges.angular, radial, told, edges.senders, edges.receivers, self.degree, n_atoms
            )
        of_receivers = radial.unflatten(2, [1, self.n_functions, self.n_told])
        of_senders = told.index_select(0, edges.senders)[:, None, :, None, :]
        values = (of_receivers * of_senders).flatten(3)  # (E, L+1, d, columns)
        angular = edges.angular[:, :, None, None]
        values = angular * values.index_select(1, self.degree)
        return sum_over_neighbors(values, edges.receivers, n_atoms)


class ScalarMessage(TensorMessage):
    """S_{i,𝐥,m} = Σ_{e→i} R_{l,m}(r) û^𝐥 h⁰_{j,m}, mixed into all product channels.

    h⁰ = (U_z B + b_z) · 2σ(G_z B + g_z).
    """

    def __init__(self, settings):
        super().__init__(settings)
        self.says = ElementLinear(self.n_elements, self.n_features, 2 * self.n_told)
        self.mixing = MixingByDegree(settings, self.n_told * self.n_functions)

    @staticmethod
    def values_per_ghost(settings) -> int:
        return settings.message_channels

    @torch.jit.export
    def tell(self, basis: Tensor, invariants: Tensor, atoms: Atoms) -> Tensor:
        scalars, gates = self.says(invariants.flatten(1), atoms.composition).chunk(2, dim=1)
        return (scalars * 2.0 * torch.sigmoid(gates)).unsqueeze(1)

    @torch.jit.export
    def gather(self, told: Tensor, edges: Edges, atoms: Atoms, mixing_weight: Tensor) -> Tensor:
        n_atoms = atoms.composition.shape[0]
        return self.mixing(self.sum_of_neighbors(told, edges, n_atoms).squeeze(2))

    def start(self, basis: Tensor, invariants: Tensor, atoms: Atoms) -> None:
        sizes = torch.tensor([1.0] * self.n_told + [GATE] * self.n_told).to(basis)
        self.says.standardize(invariants.flatten(1), atoms.composition, sizes)

    def divide(self, norms: Tensor) -> None:
        self.mixing.divide(norms / START)


class VectorMessage(TensorMessage):
    """T_{i,𝐥,α,m} = Σ_{e→i} R_{l,m}(r) û^𝐥 h¹_{j,α,m}, contracted to degree l−1 and made symmetric in degree l+1:

    X⁻_𝐥 = Σ_α T_{𝐥+e_α,α},   X⁺_𝐥 = Σ_α M(𝐥−e_α)/M(𝐥) T_{𝐥−e_α,α};

    both are mixed into all product channels. h¹ = U_z (A_{e_α}, v¹_α, …, v^{L−1}_α) · 2σ(G_z B + g_z) with the vectors of
    two factors v^k_α = Σ_{|𝐜|=k} M(𝐜) A_𝐜 A_{𝐜+e_α}, which are gradients of the invariants of order two.
    """

    def __init__(self, settings):
        super().__init__(settings)
        l_max = settings.l_max
        self.says = ElementLinear(self.n_elements, l_max * self.n_products, self.n_told, bias=False)
        self.gates = ElementLinear(self.n_elements, self.n_features, self.n_told)
        columns = self.n_told * self.n_functions
        self.mixing_lower = MixingByDegree(settings, columns)
        self.mixing_upper = MixingByDegree(settings, columns)
        order = triples_up_to(l_max)
        index = {triple: k for k, triple in enumerate(order)}
        above = [[index.get(_raised(triple, a)) for a in range(3)] for triple in order]
        lower, upper = torch.zeros(2, len(order), 3 * len(order))
        for k, triple in enumerate(order):
            for a, there in enumerate(above[k]):
                if there is not None:
                    lower[k, 3 * there + a] = 1.0
                    upper[there, 3 * k + a] = multinomial(triple)
        self.register_buffer("lower", lower, persistent=False)  # (N_l, N_l × 3)
        self.register_buffer("upper", upper, persistent=False)
        weights = torch.tensor([[float(multinomial(triple))] for triple in order])
        self.register_buffer("multinomials", weights, persistent=False)  # (N_l, 1)
        # v as products of rows of A: (𝐜, 𝐜+e_α), and what they add up to, (products, 3 (L−1))
        products = [
            (index[c], above[index[c]][a], 3 * (k - 1) + a, float(multinomial(c)))
            for k in range(1, l_max) for c in triples(k) for a in range(3)
        ]  # fmt: skip
        factors = torch.tensor([[p[0], p[1]] for p in products], dtype=torch.int64).reshape(-1, 2)
        sums = torch.zeros(len(products), 3 * (l_max - 1))
        for row, (_, _, column, weight) in enumerate(products):
            sums[row, column] = weight
        self.register_buffer("factors", factors.T.contiguous(), persistent=False)
        self.register_buffer("sums", sums, persistent=False)

    @staticmethod
    def values_per_ghost(settings) -> int:
        return 3 * settings.message_channels

    def vectors(self, basis: Tensor) -> Tensor:
        """A_{e_α} and all v^k_α, (N, 3, L P)."""
        A = basis.transpose(1, 2).flatten(2)  # (N, N_l, P)
        products = A.index_select(1, self.factors[0]) * A.index_select(1, self.factors[1])
        v = torch.matmul(self.sums.T, products)  # (N, 3 (L−1), P)
        v = v.unflatten(1, [self.sums.shape[1] // 3, 3]).transpose(1, 2).flatten(2)
        return torch.cat([A[:, 1:4], v], dim=2)

    @torch.jit.export
    def tell(self, basis: Tensor, invariants: Tensor, atoms: Atoms) -> Tensor:
        gates = 2.0 * torch.sigmoid(self.gates(invariants.flatten(1), atoms.composition))
        return self.says(self.vectors(basis), atoms.composition) * gates.unsqueeze(1)

    @torch.jit.export
    def gather(self, told: Tensor, edges: Edges, atoms: Atoms, mixing_weight: Tensor) -> Tensor:
        summed = self.sum_of_neighbors(told, edges, atoms.composition.shape[0]).flatten(1, 2)
        lower = torch.matmul(self.lower, summed)
        upper = torch.matmul(self.upper, summed) / self.multinomials
        return self.mixing_lower(lower) + self.mixing_upper(upper)

    def start(self, basis: Tensor, invariants: Tensor, atoms: Atoms) -> None:
        vectors, sizes = self.vectors(basis), torch.ones(self.n_told).to(basis)
        self.says.standardize(vectors, atoms.composition, sizes * 3**-0.5)
        self.gates.standardize(invariants.flatten(1), atoms.composition, GATE * sizes)

    def divide(self, norms: Tensor) -> None:
        for mixing in (self.mixing_lower, self.mixing_upper):
            mixing.divide(norms / START)


def _raised(triple: Triple, component: int) -> Triple:
    """𝐥 + e_α."""
    return tuple(power + (k == component) for k, power in enumerate(triple))
