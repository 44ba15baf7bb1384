"""Models published with the original implementation, turned into ours with weights unchanged."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import torch
from ase.data import chemical_symbols
from pydantic import ValidationError
from torch import Tensor

from ..errors import CaceError
from ..nn import CACE, Hyperparameters
from .inert import Record, piece_of
from .published_checks import atomic_numbers, check_edges, check_invariants
from .published_parts import expect, number
from .published_potential import Potential, potential_in
from .restricted_pickle import read_pickled_module

_SILU = ("torch.nn.functional.silu", "torch.nn.modules.activation.SiLU")
_IDENTITY = ("torch.nn.modules.linear.Identity",)


class Published(NamedTuple):
    """A model of the original implementation, as one of ours."""

    model: CACE
    settings: Hyperparameters
    E0: dict[str, float]  # eV by element; empty if the file has none
    notes: tuple[str, ...]  # sentences on what is left out or may surprise


def read_published(path: pathlib.Path) -> tuple[CACE, Hyperparameters]:
    """Read a published model; see ``convert_published``."""
    found = convert_published(path)
    return found.model, found.settings


def convert_published(path: pathlib.Path) -> Published:
    """Read a published model with its weights unchanged.

    Its E0 are zero unless the file holds some, which is rare. Raises CaceError if the file cannot
    be read safely (see ``restricted_pickle``) or the model has a part or a setting that has no
    counterpart here, and names it.
    """
    root = read_pickled_module(path)
    try:
        potential = potential_in(root)
        settings = _settings(potential.representation, potential.readout)
        model = _model(settings, potential)
    except CaceError as error:
        raise CaceError(f"cannot convert {path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "settings"
        raise CaceError(
            f"cannot convert {path}: its {name} ({first['input']}) is out of what pair_cace has: "
            f"{first['msg']}"
        ) from None
    except Exception as error:  # records may lack or misname anything
        raise CaceError(
            f"cannot convert {path}: its parts are not those of a published CACE model "
            f"({type(error).__name__}: {error})"
        ) from error
    return Published(model.eval(), settings, potential.E0, potential.notes)


def _model(settings: Hyperparameters, potential: Potential) -> CACE:
    model = CACE(settings)
    weights = _weights(potential.representation, potential.readout, model.state_dict())
    precisions = {tensor.dtype for name, tensor in weights.items() if name != "elements.E0"}
    model = model.to(torch.float64 if torch.float64 in precisions else torch.float32)
    model.load_state_dict(weights)
    if potential.E0:
        missing = [symbol for symbol in settings.elements if symbol not in potential.E0]
        if missing:
            raise CaceError(f"its atomic_energies lack {' '.join(missing)}")
        for position, symbol in enumerate(settings.elements):
            model.elements.E0[position] = potential.E0[symbol]
    return model


def _settings(representation: Record, readout: Record) -> Hyperparameters:
    radial = expect(representation.get("radial_basis"), "BesselRBF", "radial basis")
    cutoff_function = expect(representation.get("cutoff_fn"), "PolynomialCutoff", "cutoff function")
    expect(
        representation.get("radial_transform"), "SharedRadialLinearTransform", "radial transform"
    )
    # The cutoff function decides where a model ends; it has the cutoff in the model's precision.
    cutoff = number(cutoff_function.get("cutoff"), "end of the cutoff function")
    if abs(cutoff - number(representation.get("cutoff"), "cutoff")) > 1e-5:
        raise CaceError("its cutoff function ends elsewhere than its cutoff")
    exponent = number(cutoff_function.get("p"), "exponent of the cutoff function")
    if exponent != round(exponent):
        raise CaceError(f"its cutoff function has exponent {exponent:g}, pair_cace has integers")
    l_max, nu_max = int(representation.get("max_l")), int(representation.get("max_nu"))
    check_edges(representation)
    layers = [layer.children() for layer in representation.get("message_passing_list").children()]
    kinds = {tuple(part is not None for part in layer) for layer in layers}
    if len(kinds) > 1:
        raise CaceError("its message-passing layers differ in kind, which pair_cace does not have")
    present = kinds.pop() if kinds else (False, False, False)
    if layers and not any(present):
        raise CaceError("its message-passing layers are empty")
    bchi = layers[0][2] if present[2] else None
    settings = Hyperparameters(
        elements=tuple(chemical_symbols[z] for z in atomic_numbers(representation)),
        cutoff=cutoff,
        cutoff_exponent=int(exponent),
        n_rbf=len(radial.get("bessel_weights")),
        trainable_rbf=radial.get("bessel_weights").requires_grad,
        n_radial=int(representation.get("n_radial_basis")),
        n_atom_basis=representation.get("node_embedding_sender").get("embedding_weights").shape[1],
        embed_receiver_nodes=not _shares_embedding(representation),
        l_max=l_max,
        nu_max=nu_max,
        n_layers=len(layers),
        messages=tuple(k for k, there in zip(("M", "Ar", "Bchi"), present) if there) or ("Bchi",),
        bchi_per_l=bchi is None or not bchi.get("shared_l", True),
        bchi_per_channel=bchi is None or not bchi.get("shared_channels", True),
        bchi_hidden=_widths(bchi.get("hnet"))[:-1] if bchi else (),
        avg_num_neighbors=_avg_num_neighbors(
            number(representation.get("mp_norm_factor"), "normalisation of messages")
        ),
        readout_hidden=_widths(readout.get("outnet"))[:-1],
        readout_linear=_linear_readout(readout) is not None,
    )
    check_invariants(representation, l_max, nu_max)
    return settings


def _shares_embedding(representation: Record) -> bool:
    return representation.get("node_embedding_receiver") is representation.get(
        "node_embedding_sender"
    )


def _avg_num_neighbors(norm_factor: float) -> float:
    """The number whose inverse square root is ``norm_factor``, without its rounding if possible."""
    exact = norm_factor**-2
    rounded = float(f"{exact:.12g}")
    return rounded if rounded**-0.5 == norm_factor else exact


def _linear_readout(readout: Record) -> Record | None:
    """The linear layer beside the readout's network, if the original uses it."""
    linear = readout.get("linear_nn")
    return linear if readout.get("add_linear_nn", linear is not None) else None


def _widths(network: object) -> tuple[int, ...]:
    """Outputs of every layer of a network, which must have SiLU between its layers."""
    if network is None:
        raise CaceError(
            "a network of it was never built: the model was never evaluated, so it is not trained"
        )
    layers = expect(network, "Sequential", "network").children()
    for position, layer in enumerate(layers):
        name = piece_of(expect(layer, "Dense", "network layer").get("activation"))
        last = position == len(layers) - 1
        expected = _IDENTITY if last else _SILU
        if name not in expected:
            raise CaceError(f"a network layer has the activation {name}, expected {expected[0]}")
        if layer.get("use_batchnorm", False):
            raise CaceError(
                "a network layer has batch normalisation, which pair_cace does not have"
            )
    return tuple(layer.get("linear").get("weight").shape[0] for layer in layers)


def _network_weights(prefix: str, network: Record) -> dict[str, Tensor]:
    weights = {}
    for position, layer in enumerate(network.children()):
        # Ours is linear, SiLU, linear, …: the k-th linear layer stands at 2k.
        weights |= _linear_weights(f"{prefix}.{2 * position}", layer)
    return weights


def _linear_weights(prefix: str, dense: Record) -> dict[str, Tensor]:
    weight, bias = (dense.get("linear").get(name) for name in ("weight", "bias"))
    if bias is None:  # switched off
        bias = torch.zeros(weight.shape[0], dtype=weight.dtype)
    return {f"{prefix}.weight": weight, f"{prefix}.bias": bias}


def _by_degree(tables: Record) -> list[Tensor]:
    """The entries of a ParameterList, one table per l."""
    count = tables.get("_size", len(tables.parameters))
    return [tables.get(str(l)) for l in range(count)]


def _mixing_weight(representation: Record) -> Tensor:
    """(L+1, n_rbf, n_radial, C); the original may share it between channels."""
    weight = torch.stack(_by_degree(representation.get("radial_transform").get("weights")))
    n_basis = representation.get("node_embedding_sender").get("embedding_weights").shape[1]
    return weight.unsqueeze(-1).repeat(1, 1, 1, n_basis**2) if weight.dim() == 3 else weight


def _weights(
    representation: Record, readout: Record, initial: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Our state dictionary; what published models do not hold (E0) stays ``initial``."""
    radial = representation.get("radial_basis")
    # The original keeps elements in any order, we by atomic number.
    order = torch.tensor(atomic_numbers(representation)).argsort()

    def embedding(which: str) -> Tensor:
        return representation.get(f"node_embedding_{which}").get("embedding_weights")[order]

    weights = {
        "elements.E0": initial["elements.E0"],
        "sender_embedding.weight": embedding("sender"),
        "radial.frequencies": radial.get("bessel_weights"),
        "radial.prefactor": radial.get("prefactor"),
        "atomic_basis.mixing_weight": _mixing_weight(representation),
    }
    if not _shares_embedding(representation):
        weights["receiver_embedding.weight"] = embedding("receiver")
    for t, layer in enumerate(representation.get("message_passing_list").children()):
        memory, ar, bchi = layer.children()
        if memory is not None:
            tables = _by_degree(memory.get("memory_coef"))
            weights[f"layers.{t}.memory.weight"] = torch.stack(tables, dim=1)
        if ar is not None:
            for ours, theirs in (("amplitude", "prefactor"), ("decay", "invr0")):
                tables = _by_degree(ar.get(theirs))
                weights[f"layers.{t}.ar.{ours}"] = torch.stack(tables, dim=1)
        if bchi is not None:
            weights |= _network_weights(f"layers.{t}.bchi.network", bchi.get("hnet"))
    weights |= _network_weights("readout.network", readout.get("outnet"))
    if _linear_readout(readout) is not None:
        weights |= _linear_weights("readout.linear", _linear_readout(readout))
    return {name: tensor.detach() for name, tensor in weights.items()}
