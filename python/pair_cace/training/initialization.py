"""Starting weights that suit the data: invariants of order one, whatever the density.

The atomic basis A of a random model grows with the number of neighbours, and its invariants with
powers of that. Here the radial mixing is scaled, for every l, radial function and channel, so that
the invariant Σ M(𝐥) A_𝐥² is one on average over a sample of the data; products of higher order
are then of order one or below. Messages are scaled alike. The model keeps its form: the scales
disappear into its weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.graph import Graph
from ..nn import CACE
from ..nn.angular import multinomial, triples_up_to
from ..nn.edges import Geometry

FLOOR = 1e-6  # of Σ M A²; below it a feature does not occur in the sample and is left alone


@torch.no_grad()
def fit_scales(model: CACE, sample: Graph) -> None:
    """Scale the weights of ``model`` in place, so that its invariants on ``sample`` are of order one."""
    for layer in (model.readout.linear, model.readout.network[-1]):
        if layer is not None:
            layer.weight.zero_()
            layer.bias.zero_()
    atoms = model.atoms_of(sample.species, sample.n_atoms)
    geometry = Geometry(sample.vectors.to(model.dtype), sample.senders, sample.receivers)
    edges = model.edge_basis(geometry)

    basis = model.atomic_basis(edges, atoms.sender, atoms.receiver)
    model.atomic_basis.divide(_norms(basis, model.l_max))
    basis = model.atomic_basis(edges, atoms.sender, atoms.receiver)
    mixing = model.atomic_basis.mixing_weight
    for layer in model.layers:
        invariants = model.invariants(basis)
        travelling = [term for term in layer.values() if hasattr(term, "tell")]
        for term in travelling:
            term.start(basis, invariants, atoms)
            told = term.tell(basis, invariants, atoms)
            message = layer.norm * term.gather(told, edges, atoms, mixing)
            term.divide(len(travelling) ** 0.5 * _norms(message, model.l_max))
        basis = layer(basis, invariants, edges, atoms, mixing)


def _norms(basis: Tensor, l_max: int) -> Tensor:
    """Root of the mean of Σ M(𝐥) A_𝐥² over atoms, (L+1, n_radial, C); 1 where A does not occur."""
    order = triples_up_to(l_max)
    weights = torch.tensor([float(multinomial(triple)) for triple in order], device=basis.device)
    squares = (basis.double() ** 2 * weights[:, None]).mean(dim=0)  # (n_radial, N_l, C)
    degree = torch.tensor([sum(triple) for triple in order], device=basis.device)
    by_degree = squares.new_zeros(squares.shape[0], l_max + 1, squares.shape[2])
    by_degree.index_add_(1, degree, squares)
    norms = by_degree.permute(1, 0, 2).clamp(min=0).sqrt()
    return torch.where(norms**2 > FLOOR, norms, torch.ones_like(norms)).to(basis.dtype)
