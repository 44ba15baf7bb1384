"""Writes a model as the original implementation pickles it, from one of ours.

The classes are empty and only carry the names that such files contain, so that reading published
models can be tested without a published model.
"""

from __future__ import annotations

import contextlib
import sys
import types

import numpy as np
import torch
from pair_cace.nn.angular import triples_up_to
from pair_cace.nn.invariants import invariants_of_order
from torch import nn


class _Part(nn.Module):
    """Attributes as given: parameters, modules and plain values alike."""

    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)

    def default_operation(self, values):
        """The method that the original's CombinePotential keeps as an attribute."""


def part(full_name: str, **attributes) -> nn.Module:
    """An instance of a class that pickles under ``full_name``."""
    module_name, _, class_name = full_name.rpartition(".")
    return _class(module_name, class_name)(**attributes)


_invented: list[str] = []


def _class(module_name: str, class_name: str) -> type:
    parts = module_name.split(".")
    for k in range(1, len(parts) + 1):
        name = ".".join(parts[:k])
        if name not in sys.modules:
            sys.modules[name] = types.ModuleType(name)
            _invented.append(name)
    module = sys.modules[module_name]
    if not hasattr(module, class_name):
        setattr(module, class_name, type(class_name, (_Part,), {"__module__": module_name}))
    return getattr(module, class_name)


@contextlib.contextmanager
def names_of_the_original():
    """Within it, ``part`` may invent modules; afterwards they are gone again."""
    try:
        yield
    finally:
        while _invented:
            del sys.modules[_invented.pop()]


def dense(linear: nn.Linear, last: bool) -> nn.Module:
    activation = nn.Identity() if last else torch.nn.functional.silu
    return part("cace.modules.blocks.Dense", linear=linear, activation=activation)


def network(sequence: nn.Sequential) -> nn.Sequential:
    linears = [layer for layer in sequence if isinstance(layer, nn.Linear)]
    return nn.Sequential(
        *(dense(linear, k == len(linears) - 1) for k, linear in enumerate(linears))
    )


def by_degree(weight: torch.Tensor, dim: int) -> nn.ParameterList:
    return nn.ParameterList(
        nn.Parameter(table.contiguous()) for table in weight.detach().unbind(dim)
    )


def invariants(settings) -> nn.Module:
    """The table of invariants as the original stores it."""
    table = {
        nu: {
            key: [[list(factors), coefficient] for factors, coefficient in terms.items()]
            for key, terms in enumerate(invariants_of_order(nu, settings.l_max))
        }
        for nu in range(2, settings.nu_max + 1)
    }
    return part(
        "cace.modules.symmetrize_basis.Symmetrizer",
        max_nu=settings.nu_max,
        max_l=settings.l_max,
        indice_dict_allnu=table,
    )


def node_encoder(numbers: list[int]) -> nn.Module:
    encoder = part("cace.modules.type.NodeEncoder", num_classes=len(numbers))
    index = [numbers.index(z) if z in numbers else -1 for z in range(max(numbers) + 1)]
    encoder.register_buffer("index_map", torch.tensor(index))
    return encoder


def combined(*potentials, **changes) -> nn.Module:
    """The original's CombinePotential; ``changes`` replace its attributes."""
    keys = {"CACE_energy": "CACE_energy", "CACE_forces": "CACE_forces"}
    whole = part(
        "cace.models.combined.CombinePotential",
        models=nn.ModuleList(potentials),
        potential_keys=[keys for _ in potentials],
        required_derivatives=["positions"],
        out_keys=list(keys),
    )
    whole.operation = whole.default_operation
    for name, value in changes.items():
        setattr(whole, name, value)
    return whole


def lookalike(model, settings, output_modules=(), reverse_elements=False, **changes) -> nn.Module:
    """The potential; ``changes`` replace attributes of its representation."""
    embedding = "cace.modules.type.NodeEmbedding"
    order = range(len(settings.elements))[:: -1 if reverse_elements else 1]

    def embedded(table):
        return part(embedding, embedding_weights=nn.Parameter(table.weight.detach()[list(order)]))

    sender = embedded(model.sender_embedding)
    receiver = sender
    if settings.embed_receiver_nodes:
        receiver = embedded(model.receiver_embedding)
    radial = part("cace.modules.radial.BesselRBF", bessel_weights=model.radial.frequencies)
    radial.register_buffer("prefactor", model.radial.prefactor)
    envelope = part("cace.modules.cutoff.PolynomialCutoff")
    envelope.register_buffer("p", torch.tensor(float(settings.cutoff_exponent)))
    envelope.register_buffer("cutoff", torch.tensor(settings.cutoff))
    numbers = [settings.atomic_numbers[k] for k in order]
    attributes = dict(
        node_onehot=node_encoder(numbers),
        edge_coding=part("cace.modules.type.EdgeEncoder", directed=True),
        angular_basis=part(
            "cace.modules.angular.AngularComponent",
            l_max=settings.l_max,
            lxlylz_list=triples_up_to(settings.l_max),
        ),
        symmetrizer=invariants(settings),
        node_embedding_sender=sender,
        node_embedding_receiver=receiver,
        radial_basis=radial,
        cutoff_fn=envelope,
        radial_transform=part(
            "cace.modules.radial_transform.SharedRadialLinearTransform",
            weights=by_degree(model.atomic_basis.mixing_weight, 0),
        ),
        message_passing_list=nn.ModuleList(_messages(layer, settings) for layer in model.layers),
        zs=list(np.array(numbers)),  # numbers of numpy, as np.unique gives them
        cutoff=settings.cutoff,
        n_radial_basis=settings.n_radial,
        max_l=settings.l_max,
        max_nu=settings.nu_max,
        mp_norm_factor=settings.avg_num_neighbors**-0.5,
    )
    linear = model.readout.linear
    readout = part(
        "cace.modules.atomwise.Atomwise",
        outnet=network(model.readout.network),
        linear_nn=None if linear is None else dense(linear, last=True),
        residual=False,
        use_batchnorm=False,
        add_linear_nn=linear is not None,
        n_out=1,
        aggregation_mode="sum",
        feature_key=["node_feats"],
        output_key="CACE_energy",
    )
    forces = part("cace.modules.forces.Forces", energy_key="CACE_energy")
    outputs = [readout, forces, *output_modules]
    return part(
        "cace.models.atomistic.NeuralNetworkPotential",
        representation=part(
            "cace.representations.cace_representation.Cace", **(attributes | changes)
        ),
        input_modules=nn.ModuleList([part("cace.modules.preprocess.Preprocess")]),
        output_modules=nn.ModuleList(outputs),
        postprocessors=nn.ModuleList(),
        keep_graph=False,
    )


def _messages(layer, settings) -> nn.ModuleList:
    interaction = "cace.modules.interaction."
    memory = ar = bchi = None
    if "memory" in layer:
        memory = part(interaction + "NodeMemory", memory_coef=by_degree(layer.memory.weight, 1))
    if "ar" in layer:
        ar = part(
            interaction + "MessageAr",
            prefactor=by_degree(layer.ar.amplitude, 1),
            invr0=by_degree(layer.ar.decay, 1),
        )
    if "bchi" in layer:
        bchi = part(
            interaction + "MessageBchi",
            hnet=network(layer.bchi.network),
            shared_l=not settings.bchi_per_l,
            shared_channels=not settings.bchi_per_channel,
        )
    return nn.ModuleList([memory, ar, bchi])
