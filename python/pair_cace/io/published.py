"""Models published with the original implementation, turned into ours with weights unchanged."""

from __future__ import annotations

import pathlib

import torch
from ase.data import chemical_symbols
from torch import Tensor

from ..errors import CaceError
from ..nn import CACE, Hyperparameters
from .restricted_pickle import Record, read_pickled_module


def read_published(path: pathlib.Path) -> tuple[CACE, Hyperparameters]:
    """Read a published model; its E0 are zero, since those files hold none.

    Raises CaceError if the file cannot be read safely (see ``restricted_pickle``) or the model
    has a part or a setting that has no counterpart here, and names it.
    """
    potential = read_pickled_module(path)
    try:
        representation, atomwise = _parts(potential)
        settings = _settings(representation, atomwise)
        model = CACE(settings)
        weights = _weights(representation, atomwise, model.state_dict())
        model = model.to(weights["sender_embedding.weight"].dtype)
        model.load_state_dict(weights)
    except CaceError as error:
        raise CaceError(f"cannot convert {path}: {error}") from None
    except Exception as error:  # records may lack or misname anything
        raise CaceError(
            f"cannot convert {path}: its parts are not those of a published CACE model "
            f"({type(error).__name__}: {error})"
        ) from error
    return model.eval(), settings


def _is(record: object, name: str) -> bool:
    return isinstance(record, Record) and record.piece.rpartition(".")[2] == name


def _expect(record: object, name: str, what: str) -> Record:
    if not _is(record, name):
        found = record.piece if isinstance(record, Record) else type(record).__name__
        raise CaceError(f"expected {name} as its {what}, found {found}")
    return record


def _parts(potential: Record) -> tuple[Record, Record]:
    """The representation and the one readout of a potential."""
    _expect(potential, "NeuralNetworkPotential", "outermost part")
    representation = _expect(potential.get("representation"), "Cace", "representation")
    for place in ("input_modules", "postprocessors"):
        extra = potential.get(place)
        if isinstance(extra, Record) and extra.children():
            raise CaceError(f"it has {place}, which pair_cace does not have")
    outputs = potential.get("output_modules").children()
    readouts = [part for part in outputs if _is(part, "Atomwise")]
    others = [part for part in outputs if not _is(part, "Atomwise") and not _is(part, "Forces")]
    if others or len(readouts) != 1:
        found = ", ".join(part.piece for part in outputs)
        raise CaceError(f"expected one Atomwise readout and Forces as outputs, found {found}")
    return representation, readouts[0]


def _settings(representation: Record, atomwise: Record) -> Hyperparameters:
    radial = _expect(representation.get("radial_basis"), "BesselRBF", "radial basis")
    cutoff_function = _expect(
        representation.get("cutoff_fn"), "PolynomialCutoff", "cutoff function"
    )
    _expect(
        representation.get("radial_transform"), "SharedRadialLinearTransform", "radial transform"
    )
    if abs(float(cutoff_function.get("cutoff")) - float(representation.get("cutoff"))) > 1e-5:
        raise CaceError("its cutoff function ends elsewhere than its cutoff")
    layers = [layer.children() for layer in representation.get("message_passing_list").children()]
    kinds = {tuple(part is not None for part in layer) for layer in layers}
    if len(kinds) > 1:
        raise CaceError("its message-passing layers differ in kind, which pair_cace does not have")
    present = kinds.pop() if kinds else (False, False, False)
    bchi = layers[0][2] if present[2] else None
    _check_readout(atomwise)
    return Hyperparameters(
        elements=tuple(chemical_symbols[int(z)] for z in representation.get("zs")),
        cutoff=float(representation.get("cutoff")),
        cutoff_exponent=int(cutoff_function.get("p")),
        n_rbf=len(radial.get("bessel_weights")),
        trainable_rbf=radial.get("bessel_weights").requires_grad,
        n_radial=int(representation.get("n_radial_basis")),
        n_atom_basis=representation.get("node_embedding_sender").get("embedding_weights").shape[1],
        embed_receiver_nodes=not _shares_embedding(representation),
        l_max=int(representation.get("max_l")),
        nu_max=int(representation.get("max_nu")),
        n_layers=len(layers),
        messages=tuple(k for k, there in zip(("M", "Ar", "Bchi"), present) if there) or ("Bchi",),
        bchi_per_l=bchi is None or not bchi.get("shared_l"),
        bchi_per_channel=bchi is None or not bchi.get("shared_channels"),
        bchi_hidden=_widths(bchi.get("hnet"))[:-1] if bchi else (),
        avg_num_neighbors=_avg_num_neighbors(float(representation.get("mp_norm_factor"))),
        readout_hidden=_widths(atomwise.get("outnet"))[:-1],
        readout_linear=atomwise.get("linear_nn") is not None,
    )


def _shares_embedding(representation: Record) -> bool:
    return representation.get("node_embedding_receiver") is representation.get(
        "node_embedding_sender"
    )


def _avg_num_neighbors(norm_factor: float) -> float:
    """The number whose inverse square root is ``norm_factor``, without its rounding if possible."""
    exact = norm_factor**-2
    rounded = float(f"{exact:.12g}")
    return rounded if rounded**-0.5 == norm_factor else exact


def _check_readout(atomwise: Record) -> None:
    for setting, expected in (
        ("n_out", 1),
        ("residual", False),
        ("use_batchnorm", False),
        ("aggregation_mode", "sum"),
        ("feature_key", "node_feats"),
        ("post_process", None),
    ):
        if atomwise.get(setting, expected) != expected:
            raise CaceError(
                f"its readout has {setting}={atomwise.get(setting)}, pair_cace has {expected} only"
            )


def _widths(network: Record) -> tuple[int, ...]:
    """Outputs of every layer of a network, which must have SiLU between its layers."""
    layers = network.children()
    for position, layer in enumerate(layers):
        activation = _expect(layer, "Dense", "network layer").get("activation")
        name = getattr(activation, "piece", "")
        if isinstance(activation, type):
            name = activation.piece
        last = position == len(layers) - 1
        expected = "torch.nn.modules.linear.Identity" if last else "torch.nn.functional.silu"
        if name != expected:
            raise CaceError(f"a network layer has the activation {name}, expected {expected}")
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
    linear = dense.get("linear")
    return {f"{prefix}.weight": linear.get("weight"), f"{prefix}.bias": linear.get("bias")}


def _by_degree(tables: Record) -> list[Tensor]:
    """The entries of a ParameterList, one table per l."""
    parameters = tables.__dict__["_parameters"]
    return [parameters[str(l)] for l in range(len(parameters))]


def _weights(
    representation: Record, atomwise: Record, initial: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Our state dictionary; what published models do not hold (E0) stays ``initial``."""
    radial = representation.get("radial_basis")
    # The original keeps elements in any order, we by atomic number.
    order = torch.tensor(representation.get("zs")).argsort()

    def embedding(which: str) -> Tensor:
        return representation.get(f"node_embedding_{which}").get("embedding_weights")[order]

    weights = {
        "elements.E0": initial["elements.E0"],
        "sender_embedding.weight": embedding("sender"),
        "radial.frequencies": radial.get("bessel_weights"),
        "radial.prefactor": radial.get("prefactor"),
        "atomic_basis.mixing_weight": torch.stack(
            _by_degree(representation.get("radial_transform").get("weights"))
        ),
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
    weights |= _network_weights("readout.network", atomwise.get("outnet"))
    if atomwise.get("linear_nn") is not None:
        weights |= _linear_weights("readout.linear", atomwise.get("linear_nn"))
    return {name: tensor.detach() for name, tensor in weights.items()}
