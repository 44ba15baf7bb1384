"""Forces, virial and stress from the gradient of the energy with respect to edge vectors.

Formulas and signs: src/pair_cace/ops/edge_forces.h, whose compiled operation is called here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..data.graph import Graph
from ..operations import edge_forces


class Prediction(NamedTuple):
    """What a model says of a graph with N atoms in S structures; float64."""

    atom_energies: Tensor  # (N,) eV
    energies: Tensor  # (S,) eV
    forces: Tensor  # (N, 3) eV/Å
    stresses: Tensor  # (S, 3, 3) eV/Å³, tension positive; NaN where there is no cell
    outputs: Mapping[str, Tensor] = {}  # (N,) each, by name, in their units


def gradient_of(energies: Tensor, vectors: Tensor, create_graph: bool = False) -> Tensor:
    """∂(Σ energies)/∂vectors, of the shape of ``vectors``."""
    gradient = torch.autograd.grad([energies.sum()], [vectors], create_graph=create_graph)[0]
    assert gradient is not None
    return gradient


def predict(model: nn.Module, graph: Graph, create_graph: bool = False) -> Prediction:
    """Evaluate ``model`` (one in training, or exported) and differentiate it.

    With ``create_graph``, which is for eager models, the prediction can be differentiated once more, by parameters, for
    training; otherwise it is detached.
    """
    edges = (graph.senders, graph.receivers, graph.species, graph.n_atoms)
    if create_graph:
        vectors = graph.vectors.detach().requires_grad_(True)
        atom_energies, outputs = model.with_outputs(vectors, *edges)
        gradient = gradient_of(atom_energies, vectors, create_graph=True)
    else:
        atom_energies, gradient = model.evaluate(graph.vectors, *edges)
        with torch.no_grad():
            outputs = model.atom_outputs(graph.vectors, *edges)
        gradient = gradient.to(torch.float64)

    forces = edge_forces(gradient, graph.senders, graph.receivers, graph.n_atoms)
    energies = _sum_by_structure(atom_energies, graph.structure, graph.n_structures)
    of_edge = graph.structure.index_select(0, graph.receivers)  # (E,)
    outer = graph.vectors.unsqueeze(2) * gradient.unsqueeze(1)  # (E, 3, 3) r⃗ ⊗ g
    virials = -_sum_by_structure(outer, of_edge, graph.n_structures)
    # Where there is no volume, divide by 1 and overwrite: NaN in a division poisons its gradient.
    volumes = graph.volumes[:, None, None]
    known = torch.isfinite(volumes)
    stresses = torch.where(known, -virials / torch.where(known, volumes, 1.0), torch.nan)
    return Prediction(atom_energies, energies, forces, stresses, outputs)


@torch.no_grad()
def predict_energies(model: nn.Module, graph: Graph) -> Tensor:
    """(S,) energies alone, eV, float64; detached."""
    atom_energies = model(
        graph.vectors, graph.senders, graph.receivers, graph.species, graph.n_atoms
    )
    return _sum_by_structure(atom_energies, graph.structure, graph.n_structures)


def _sum_by_structure(values: Tensor, structure: Tensor, n_structures: int) -> Tensor:
    """(n, …) values to (S, …) sums."""
    total = values.new_zeros([n_structures] + list(values.shape[1:]))
    return total.index_add(0, structure, values)
