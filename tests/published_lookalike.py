"""Writes a model as the original implementation pickles it, from one of ours.

The classes are empty and only carry the names that such files contain, so that reading published
models can be tested without a published model.
"""

from __future__ import annotations

import contextlib
import sys
import types

import torch
from torch import nn


class _Part(nn.Module):
    """Attributes as given: parameters, modules and plain values alike."""

    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


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
    attributes = dict(
        node_embedding_sender=sender,
        node_embedding_receiver=receiver,
        radial_basis=radial,
        cutoff_fn=envelope,
        radial_transform=part(
            "cace.modules.radial_transform.SharedRadialLinearTransform",
            weights=by_degree(model.atomic_basis.mixing_weight, 0),
        ),
        message_passing_list=nn.ModuleList(_messages(layer, settings) for layer in model.layers),
        zs=[settings.atomic_numbers[k] for k in order],
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
        n_out=1,
        aggregation_mode="sum",
    )
    outputs = [readout, part("cace.modules.forces.Forces"), *output_modules]
    return part(
        "cace.models.atomistic.NeuralNetworkPotential",
        representation=part(
            "cace.representations.cace_representation.Cace", **(attributes | changes)
        ),
        output_modules=nn.ModuleList(outputs),
        postprocessors=nn.ModuleList(),
    )


def _messages(layer, settings) -> nn.ModuleList:
    interaction = "cace.modules.interaction."
    memory = ar = bchi = None
    if layer.memory is not None:
        memory = part(interaction + "NodeMemory", memory_coef=by_degree(layer.memory.weight, 1))
    if layer.ar is not None:
        ar = part(
            interaction + "MessageAr",
            prefactor=by_degree(layer.ar.amplitude, 1),
            invr0=by_degree(layer.ar.decay, 1),
        )
    if layer.bchi is not None:
        bchi = part(
            interaction + "MessageBchi",
            hnet=network(layer.bchi.network),
            shared_l=not settings.bchi_per_l,
            shared_channels=not settings.bchi_per_channel,
        )
    return nn.ModuleList([memory, ar, bchi])
