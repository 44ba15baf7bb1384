"""The CACE potential: edge vectors in, per-atom energies out (Cheng, npj Comput. Mater. 10, 157)."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn

from ..operations import mixed_basis, mixed_invariants, neighbor_sum
from .angular import AngularBasis
from .by_kernels import has_kernels_at, potential_of, runs_compiled
from .derivatives import gradient_of
from .edges import Atoms, Edges, Geometry, no_edges
from .elements import ElementEmbedding, ElementFactors, Elements
from .free_basis import MIXINGS
from .heads import ATOM_OUTPUTS, Readout
from .hyperparameters import Hyperparameters
from .invariants import Invariants
from .messages import MESSAGES
from .messages.layer import MessageLayer
from .radial import RADIAL_BASES, PolynomialCutoff
from .zbl import ZBLRepulsion


class CACE(nn.Module):
    """Energies of atoms from the vectors of their edges. Units: eV, Å.

    The model sees edge vectors only, never positions or cells, so that forces and virial follow
    from one gradient (see ``derivatives``) and the same entry serves training, ASE and LAMMPS.

    There are two ways to the features: plain torch, which reads like the paper, and the compiled
    operations of src/pair_cace/ops, which give the same numbers much faster. After
    ``choose(compiled=False)`` a model needs nothing but torch.
    """

    __jit_unused_properties__ = ["dtype"]
    # TorchScript leaves out the way that is not taken.
    __constants__ = ["compiled"]

    def __init__(self, settings: Hyperparameters):
        super().__init__()
        self.has_operations = settings.has_operations
        self.has_kernels = settings.has_kernels
        self.l_max = settings.l_max
        self.nu_max = settings.nu_max
        self.passes_basis = any(MESSAGES[kind].takes_basis for kind in settings.messages)
        used = settings.messages if settings.n_layers > 0 else ()
        self.takes_edges = any(MESSAGES[kind].takes_edges for kind in used)
        n_elements = len(settings.elements)
        self.elements = Elements(settings.atomic_numbers)
        self.sender_embedding = ElementEmbedding(n_elements, settings.n_atom_basis)
        self.receiver_embedding = (
            ElementEmbedding(n_elements, settings.n_atom_basis)
            if settings.embed_receiver_nodes
            else None
        )
        if settings.mixing == "free":
            self.receiver_embedding = ElementFactors(n_elements, settings.n_products)
        self.radial = RADIAL_BASES[settings.radial](settings)
        self.cutoff_function = PolynomialCutoff(settings.cutoff, settings.cutoff_exponent)
        self.angular = AngularBasis(settings.l_max)
        self.atomic_basis = MIXINGS[settings.mixing](settings)
        self.invariants = Invariants(settings.l_max, settings.nu_max)
        self.layers = nn.ModuleList(MessageLayer(settings) for _ in range(settings.n_layers))
        self.readout = Readout(
            settings.n_descriptors, settings.readout_hidden, settings.readout_linear
        )
        self.repulsion = ZBLRepulsion(settings.zbl_cutoff) if settings.zbl_cutoff else None
        self.outputs = nn.ModuleDict(
            {name: ATOM_OUTPUTS[one.kind](settings, one) for name, one in settings.outputs.items()}
        )

        self.choose(compiled=True)

    def forward(
        self, vectors: Tensor, senders: Tensor, receivers: Tensor, species: Tensor, n_atoms: int
    ) -> Tensor:
        """Energies of the first ``n_atoms`` atoms.

        vectors    (E, 3)   r⃗ = r_receiver − r_sender in Å, float64, 0 < |r⃗| < cutoff
        senders    (E,)     int64, index into ``species``
        receivers  (E,)     int64, < n_atoms
        species    (N,)     int64, atomic numbers; N ≥ n_atoms. Atoms from n_atoms on only send:
                            they are the ghosts of a domain. With message passing their rows are
                            asked of other MPI ranks (src/pair_cace/ops/ghost_exchange.h).
        Returns    (n_atoms,) energies in eV with E0, float64 at every precision of the model.
        """
        geometry = Geometry(vectors.to(self.sender_embedding.weight.dtype), senders, receivers)
        layers = self.features_of(geometry, species, n_atoms)
        return self.energies_of(layers, geometry, species, n_atoms)

    def with_outputs(
        self, vectors: Tensor, senders: Tensor, receivers: Tensor, species: Tensor, n_atoms: int
    ) -> Tuple[Tensor, Dict[str, Tensor]]:
        """What ``forward`` and ``atom_outputs`` give, from the same features."""
        geometry = Geometry(vectors.to(self.sender_embedding.weight.dtype), senders, receivers)
        layers = self.features_of(geometry, species, n_atoms)
        energies = self.energies_of(layers, geometry, species, n_atoms)
        return energies, self.outputs_of(layers, species, n_atoms)

    @torch.jit.export
    def atom_outputs(
        self, vectors: Tensor, senders: Tensor, receivers: Tensor, species: Tensor, n_atoms: int
    ) -> Dict[str, Tensor]:
        """Every output by name, (n_atoms,) float64 in its unit; arguments as ``forward``."""
        found: Dict[str, Tensor] = {}
        if len(self.outputs) > 0:
            dtype = self.sender_embedding.weight.dtype
            geometry = Geometry(vectors.to(dtype), senders, receivers)
            layers = self.features_of(geometry, species, n_atoms)
            found = self.outputs_of(layers, species, n_atoms)
        return found

    def outputs_of(self, layers: List[Tensor], species: Tensor, n_atoms: int) -> Dict[str, Tensor]:
        """``atom_outputs`` from the features of every layer."""
        found: Dict[str, Tensor] = {}
        if len(self.outputs) > 0:
            features = torch.stack(layers, dim=-1).flatten(1)
            composition = self.elements(species[:n_atoms])
            for name, output in self.outputs.items():
                found[name] = output(features, composition).to(torch.float64)
        return found

    def energies_of(
        self, layers: List[Tensor], geometry: Geometry, species: Tensor, n_atoms: int
    ) -> Tensor:
        """``forward`` from the features of every layer."""
        energies = self.readout([features.flatten(1) for features in layers]).to(torch.float64)
        return energies + self.energies_without_features(geometry, species, n_atoms)

    @torch.jit.export
    def evaluate(
        self, vectors: Tensor, senders: Tensor, receivers: Tensor, species: Tensor, n_atoms: int
    ) -> Tuple[Tensor, Tensor]:
        """Energies as ``forward``, and ∂(their sum)/∂vectors (E, 3); both without a graph.

        The gradient is float64, or of the precision of the model, which then has all its digits.
        The kernels go from edges to energies and back in one call; they store no features.
        """
        if not torch.jit.is_scripting():  # exported models: pair_cace.io.exported.ExportedModel
            if self.compiled and self.has_kernels and has_kernels_at(vectors, self):
                potential = potential_of(self)
                return potential.evaluate(vectors, senders, receivers, species, n_atoms)
        vectors = vectors.detach().requires_grad_(True)
        energies = self.forward(vectors, senders, receivers, species, n_atoms)
        return energies.detach(), gradient_of(energies, vectors)

    def energies_without_features(
        self, geometry: Geometry, species: Tensor, n_atoms: int
    ) -> Tensor:
        """E0 and, if the model has it, the ZBL repulsion, (n_atoms,) float64."""
        energies = self.elements.reference_energies(self.elements(species[:n_atoms]))
        if self.repulsion is not None:
            distances = torch.linalg.vector_norm(geometry.vectors, dim=-1)
            energies = energies + self.repulsion(
                distances, geometry.senders, geometry.receivers, species, n_atoms
            )
        return energies

    @torch.jit.export
    def features(
        self, vectors: Tensor, senders: Tensor, receivers: Tensor, species: Tensor, n_atoms: int
    ) -> Tensor:
        """Invariants of every layer, (n_atoms, n_radial, N_B, C, T+1); arguments as ``forward``."""
        geometry = Geometry(vectors.to(self.sender_embedding.weight.dtype), senders, receivers)
        return torch.stack(self.features_of(geometry, species, n_atoms), dim=-1)

    def features_of(self, geometry: Geometry, species: Tensor, n_atoms: int) -> List[Tensor]:
        """As ``features``, layer by layer."""
        atoms = self.atoms_of(species, n_atoms)
        if self.compiled:
            if runs_compiled(geometry.vectors):
                return self.compiled_features(geometry, atoms)
        return self.plain_features(geometry, atoms)

    def atoms_of(self, species: Tensor, n_atoms: int) -> Atoms:
        """Elements and embeddings of all atoms, of which the first n_atoms receive."""
        composition = self.elements(species)
        sender, own = self.sender_embedding(composition), composition[:n_atoms]
        if self.receiver_embedding is not None:
            return Atoms(own, sender, self.receiver_embedding(own))
        return Atoms(own, sender, sender[:n_atoms])

    def choose(self, compiled: bool, portable: bool = False) -> None:
        """Take the compiled way to the features, if there is one, or the plain one.

        portable   the plain one without any operation of ours
        """
        self.compiled = compiled and self.has_operations and not portable
        for layer in self.layers:
            for module in (layer, *layer.values()):
                module.portable = portable
                module.compiled = self.compiled

    def plain_features(self, geometry: Geometry, atoms: Atoms) -> List[Tensor]:
        """``features_of`` in plain torch."""
        edges = self.edge_basis(geometry)
        basis = self.atomic_basis(
            edges, atoms.sender, atoms.receiver
        )  # (n_atoms, n_radial, N_l, C)
        invariants = self.invariants(basis)  # (n_atoms, n_radial, N_B, C)
        every_layer = [invariants]
        for layer in self.layers:
            basis = layer(basis, invariants, edges, atoms, self.atomic_basis.mixing_weight)
            invariants = self.invariants(basis)
            every_layer.append(invariants)
        return every_layer

    def compiled_features(self, geometry: Geometry, atoms: Atoms) -> List[Tensor]:
        """As ``plain_features``. A is made only for messages that pass it on, or with free mixing."""
        mixing, n_atoms = self.atomic_basis.mixing_weight, atoms.receiver.shape[0]
        edges = self.edge_basis(geometry, False) if self.takes_edges else no_edges(geometry)
        weight: Optional[Tensor] = mixing
        raw: Optional[Tensor] = self.neighbor_sum(geometry, atoms.sender.unsqueeze(1), n_atoms)
        extra: Optional[Tensor] = None
        receiver = atoms.receiver
        if hasattr(self.atomic_basis, "mixed"):
            assert raw is not None
            raw, weight, extra = None, None, self.atomic_basis.mixed(raw, receiver)
            receiver = atoms.sender[:n_atoms]  # unused without raw, but for its shape
        passes_basis = self.passes_basis and len(self.layers) > 0
        basis, invariants = self.mixed(raw, weight, receiver, extra, passes_basis)
        every_layer = [invariants]
        for t, layer in enumerate(self.layers):
            weights, extra = layer.by_kernels(basis, invariants, geometry, edges, atoms, mixing)
            raw = None if weights is None else self.neighbor_sum(geometry, weights, n_atoms)
            passes_basis = self.passes_basis and t + 1 < len(self.layers)
            basis, invariants = self.mixed(
                raw, None if raw is None else layer.norm * mixing, receiver, extra, passes_basis
            )
            every_layer.append(invariants)
        return every_layer

    def mixed(
        self,
        raw: Optional[Tensor],
        mixing: Optional[Tensor],
        receiver: Tensor,
        extra: Optional[Tensor],
        passes_basis: bool,
    ) -> Tuple[Optional[Tensor], Tensor]:
        """A, if the next layer takes it, and its invariants, which are then made of it."""
        if not passes_basis:
            return None, mixed_invariants(raw, mixing, receiver, extra, self.nu_max)
        if raw is None:
            assert extra is not None
            basis = extra
        else:
            basis = mixed_basis(raw, mixing, receiver, extra)
        return basis, mixed_invariants(None, None, receiver, basis, self.nu_max)

    def neighbor_sum(self, geometry: Geometry, weights: Tensor, n_atoms: int) -> Tensor:
        """Sum over neighbours with weights (N, L+1 or 1, K or C), (n_atoms, N_l, n_rbf, K or C)."""
        return neighbor_sum(
            geometry.vectors,
            geometry.senders,
            geometry.receivers,
            weights,
            self.radial.frequencies,
            self.radial.prefactor_value(),
            self.cutoff_function.cutoff,
            self.cutoff_function.exponent,
            self.l_max,
            n_atoms,
            self.radial.kind,
            self.radial.length,
        )

    def edge_basis(self, geometry: Geometry, with_products: bool = True) -> Edges:
        """χ without its element factors: radial × cutoff × angular (Eq. 1), or the two of which it is the product."""
        vectors = geometry.vectors
        distances = torch.linalg.vector_norm(vectors, dim=-1)  # (E,)
        cutoff_factors = self.cutoff_function(distances)  # (E,)
        radial = self.radial(distances) * cutoff_factors.unsqueeze(-1)  # (E, n_rbf)
        angular = self.angular(vectors / (distances + 1e-9).unsqueeze(-1))  # (E, N_l)
        basis = radial[:0]
        if with_products:
            basis = radial.unsqueeze(-1) * angular.unsqueeze(1)  # (E, n_rbf, N_l)
        return Edges(
            geometry.senders, geometry.receivers, distances, cutoff_factors, basis, radial, angular
        )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; energies are float64 in any case."""
        return self.sender_embedding.weight.dtype
