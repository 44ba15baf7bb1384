"""Parts of the original implementation: which of them have a counterpart here, and which do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ..errors import CaceError
from .inert import Record, piece_of

# Attributes that the original gave its classes, in any version. One that is not listed may change
# what the class computes.
_OF_MODELS = "required_derivatives model_outputs"
_ATTRIBUTES = {
    "NeuralNetworkPotential": "representation input_modules output_modules postprocessors "
    f"do_postprocessing keep_graph dummy_buffer atomic_energies {_OF_MODELS}",
    "CombinePotential": f"models potential_keys out_keys operation atomic_energies {_OF_MODELS}",
    "Cace": "zs nz n_atom_basis cutoff max_l max_nu mp_norm_factor keep_node_features_A "
    "forward_features node_onehot node_embedding_sender node_embedding_receiver edge_coding "
    "n_edge_channels radial_basis n_radial_func n_radial_basis cutoff_fn angular_basis "
    "radial_transform l_list symmetrizer num_message_passing message_passing_list device timeit",
    "AngularComponent": "l_max lxlylz_dict lxlylz_index lxlylz_list",
    "AngularComponent_GPU": "l_max lxlylz_dict lxlylz_index lxlylz_list",
    "Atomwise": "n_out n_in n_hidden n_layers activation aggregation_mode residual use_batchnorm "
    "add_linear_nn post_process bias feature_key output_key per_atom_output_key "
    f"descriptor_output_key outnet linear_nn {_OF_MODELS}",
    "Dense": "use_batchnorm linear activation",
    "PolynomialCutoff": "p cutoff",
    "Forces": "calc_forces calc_stress calc_virials energy_key force_key forces_key stress_key "
    f"virial_key {_OF_MODELS}",
    "MessageAr": "angular_dim_groups radial_embedding_dim channel_dim prefactor invr0",
    "MessageBchi": "n_in n_hidden n_layers activation residual use_batchnorm shared_channels "
    "shared_l nc nl nlxlylz l_matrix hnet",
    "NodeMemory": "max_l angular_dim_groups radial_embedding_dim channel_dim memory_coef",
    "Preprocess": "compute_stress compute_virials",
    "BesselRBF": "n_rbf bessel_weights cutoff prefactor",
    "SharedRadialLinearTransform": "max_l radial_dim radial_embedding_dim channel_dim weights "
    "angular_dim_groups l_matrix",
    "Symmetrizer": "max_nu max_l l_list_indices vec_dict_allnu indice_dict_allnu "
    "indices_initialized",
    "EdgeEncoder": "directed",
    "NodeEmbedding": "embedding_weights",
    "NodeEncoder": "num_classes index_map",
    "NodeEncoder_with_interpolation": "num_classes zs",
}
# Modules of torch that only hold others, and wrappers that average or distribute one module.
WRAPPED = {
    "AveragedModel": "module",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "OptimizedModule": "_orig_mod",
}
_PLAIN = {"ModuleList", "ParameterList", "Sequential", "Identity", "Linear", "SiLU", *WRAPPED}

_LONG_RANGE = "a long-range part"
_RADIAL = "a radial basis other than Bessel functions"
_CUTOFF = "a cutoff function other than the polynomial"
_MESSAGES = "messages other than M, Ar and Bchi"
_INVARIANTS = "another form of the invariants"
_POLARIZATION = "polarization as an output"
# What others are, in words; the first that is found is named first.
_OTHERS = {
    "EwaldPotential": f"{_LONG_RANGE} (Ewald sum over charges)",
    "LesWrapper": f"{_LONG_RANGE} (latent Ewald summation, LES)",
    "MetalWall": f"{_LONG_RANGE} (charges before a metal wall)",
    "MetalWallQEQ": f"{_LONG_RANGE} (charges before a metal wall)",
    "ChargeEq": f"{_LONG_RANGE} (charge equilibration)",
    "FixedCharge": f"{_LONG_RANGE} (fixed charges)",
    "Polarization": _POLARIZATION,
    "Dephase": _POLARIZATION,
    "Grad": "derivatives of other outputs, such as Born effective charges",
    "GaussianRBF": _RADIAL,
    "GaussianRBFCentered": _RADIAL,
    "ExponentialDecayRBF": _RADIAL,
    "CosineCutoff": _CUTOFF,
    "MollifierCutoff": _CUTOFF,
    "SwitchFunction": _CUTOFF,
    "EdgeEncoder_InterIntra": "edges that differ within and between molecules",
    "ElementEncoder": "elements described by their electron shells",
    "MessageArMLP": _MESSAGES,
    "MessageBA": _MESSAGES,
    "Interaction": _MESSAGES,
    "SharedInteraction": _MESSAGES,
    "AngularTensorProduct": _MESSAGES,
    "Symmetrizer_JIT": _INVARIANTS,
    "Symmetrizer_Tensor": _INVARIANTS,
    "ResidualBlock": "a residual network",
    "BatchNorm1d": "batch normalisation",
    "AtomicEnergiesBlock": "reference energies of elements as a part of the model",
    "FeatureAdd": "outputs or features that are added up",
    "FeatureInteract": "features that are multiplied",
}
_CHARGE_STATES = ("charge_spin_key", "charge_spin_embedding", "atomic_charge_embedding")


def is_a(record: object, name: str) -> bool:
    """Whether ``record`` is of the class ``name``, wherever that is from."""
    return isinstance(record, Record) and record.name == name


def expect(record: object, name: str, what: str) -> Record:
    """``record``; CaceError if it is not a ``name``."""
    if not is_a(record, name):
        raise CaceError(f"expected {name} as its {what}, found {piece_of(record)}")
    return record


def number(value: Any, what: str) -> float:
    """A number or a tensor of one number. Raises CaceError if it is something else."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, (int, float)):
        raise CaceError(f"expected a number as its {what}, found {piece_of(value)}")
    return float(value)


def all_modules(root: Record) -> Iterator[Record]:
    """``root`` and its submodules at any depth, each once."""
    found, waiting = {id(root)}, [root]
    while waiting:
        record = waiting.pop()
        yield record
        for module in record.modules.values():
            if isinstance(module, Record) and id(module) not in found:
                found.add(id(module))
                waiting.append(module)


def refuse_what_is_missing_here(root: Record) -> None:
    """Raise CaceError if a module, or an attribute of one, has no counterpart here; names it."""
    modules = list(all_modules(root))
    known = {*_ATTRIBUTES, *_PLAIN}
    others = [record for record in modules if record.name not in known]
    if others:
        in_words = [other for name in _OTHERS for other in others if other.name == name]
        first = (in_words or others)[0]
        needs = f"it needs '{first.piece}', a piece that pair_cace does not have"
        raise CaceError(f"it has {_words(first)}: {needs}" if in_words else needs)
    for record in modules:
        _refuse_unknown_attributes(record)


def _words(record: Record) -> str:
    if record.name == "EwaldPotential" and record.get("exponent", 1) != 1:
        return f"{_LONG_RANGE} (dispersion, exponent {record.get('exponent')})"
    return _OTHERS[record.name]


def _refuse_unknown_attributes(record: Record) -> None:
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        if record.attributes.get(name):
            raise CaceError(f"its {record.name} has hooks, which are code and are not run here")
    if record.name not in _ATTRIBUTES:
        return
    known = {*_ATTRIBUTES[record.name].split(), "training"}
    present = {**record.attributes, **record.modules, **record.parameters, **record.buffers}
    for name, value in present.items():
        if name in known or name in ("_modules", "_parameters", "_buffers"):
            continue
        if name in _CHARGE_STATES and value is not None:
            raise CaceError(
                f"it depends on charge states or spins: its {record.name} has {name}, which "
                "pair_cace does not have"
            )
        if not name.startswith("_") and not _says_nothing(value):
            raise CaceError(
                f"its {record.name} has {name}={_shown(value)}, which pair_cace does not know; it "
                "may be of a newer version of the original or changed by hand"
            )


def _says_nothing(value: Any) -> bool:
    return not isinstance(value, (Tensor, Record)) and not value


def _shown(value: Any) -> str:
    if isinstance(value, (bool, int, float, str)):
        return str(value)[:60]
    return f"({piece_of(value)})"
