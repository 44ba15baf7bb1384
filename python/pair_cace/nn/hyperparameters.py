"""The settings that fix the shape of a CACE model."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from ase.calculators.calculator import all_properties
from ase.data import chemical_symbols
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)
from torch import nn

from ..quantities import Quantity, quantities_of
from ..registry import NameOf
from .heads import ATOM_OUTPUTS, OutputSettings
from .heads.output import settings_of
from .invariants import number_of_invariants
from .messages import MESSAGES
from .radial import RADIAL_BASES

# Names that labels or ASE's results have already.
_TAKEN = (set(all_properties) - {"charges", "magmoms"}) | {
    "force", "virial", "weight", "config_weight", "config_type", "numbers", "positions",
}  # fmt: skip


def unit(name: str) -> dict[str, str]:
    """The unit of a key, where the schema keeps it: ``Field(..., json_schema_extra=unit("Å"))``."""
    return {"unit": name}


class ModelShape(BaseModel):
    """Shape of a CACE model for any elements; symbols as in Cheng, npj Comput. Mater. 10, 157.

    Raises ``pydantic.ValidationError`` on an unknown key or a value out of range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cutoff: float = Field(
        gt=0,
        allow_inf_nan=False,
        description="r_c, up to where an atom sees its neighbours",
        json_schema_extra=unit("Å"),
    )
    cutoff_exponent: int = Field(
        6, ge=2, le=12, description="p of the polynomial that goes to 0 at the cutoff"
    )
    radial: NameOf(RADIAL_BASES) = Field("bessel", description="name of the radial basis")
    radial_length: float = Field(
        2.0,
        gt=0,
        allow_inf_nan=False,
        description="ρ of stretched_bessel, the distance on which it resolves less and less; at most ten cutoffs",
        json_schema_extra=unit("Å"),
    )
    n_rbf: int = Field(6, ge=1, description="number of raw radial functions")
    trainable_rbf: bool = Field(True, description="train the Bessel frequencies")
    n_radial: int = Field(12, ge=1, description="number of mixed radial functions")
    mixing: Literal["channelwise", "free"] = Field(
        "channelwise",
        description="channelwise: of radial functions alone, as published; free: of radial functions and "
        "components of the senders' embedding into n_radial n_atom_basis² product channels",
    )
    n_atom_basis: int = Field(
        3,
        ge=1,
        description="K, length of an element embedding; S(S+1)/2 spans the pairs of S elements",
    )
    embed_receiver_nodes: bool = Field(
        True, description="a second embedding table for receivers; otherwise one table for both"
    )
    l_max: int = Field(3, ge=0, le=8, description="L, highest angular degree")
    nu_max: int = Field(3, ge=1, le=4, description="ν, highest body order of an invariant, minus 1")
    n_layers: int = Field(0, ge=0, description="T, number of message-passing layers")
    messages: tuple[NameOf(MESSAGES), ...] = Field(
        ("Bchi",),
        description="terms of a message: M (memory), Ar, Bchi, scalars, vectors; unused if n_layers is 0",
    )
    message_channels: int = Field(
        32, ge=1, description="scalars, and vectors, that an atom tells its neighbours"
    )
    message_radial: int = Field(
        2, ge=1, description="radial functions for each of these scalars and vectors"
    )
    bchi_per_l: bool = Field(True, description="one Bchi weight per l, otherwise one for all")
    bchi_per_channel: bool = Field(True, description="one Bchi weight per channel, or one for all")
    bchi_hidden: tuple[int, ...] = Field(
        (), description="widths of the hidden layers of the Bchi network"
    )
    avg_num_neighbors: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="messages are divided by its square root"
    )
    readout_hidden: tuple[int, ...] = Field(
        (32, 16), description="widths of the hidden layers of the readout"
    )
    readout_linear: bool = Field(True, description="add a linear readout to the network")
    zbl_cutoff: float | None = Field(
        None,
        gt=0,
        description="adds ZBL repulsion that is switched off there; null: none",
        json_schema_extra=unit("Å"),
    )
    outputs: Annotated[dict[str, SerializeAsAny[OutputSettings]], ATOM_OUTPUTS] = Field(
        {},
        description="numbers that are predicted of every atom beside its energy, such as {charge: "
        "{unit: e}}: by name, the settings below, or the kind alone",
    )
    compiled: Literal["auto", "no"] = Field(
        "auto",
        description="auto: by the compiled operations, if they know all terms; no: by plain torch, which "
        "is slower",
    )

    @field_validator("messages")
    @classmethod
    def _listed_once(cls, messages: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(messages)) != len(messages):
            raise ValueError(f"a message term is listed twice: {' '.join(messages)}")
        ours = [kind for kind in MESSAGES if kind in messages]
        return *ours, *(kind for kind in messages if kind not in ours)

    @field_validator("bchi_hidden", "readout_hidden")
    @classmethod
    def _positive_widths(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(width < 1 for width in widths):
            raise ValueError(f"hidden layers need at least one unit, got {list(widths)}")
        return widths

    @field_validator("outputs", mode="before")
    @classmethod
    def _outputs_of_their_kinds(cls, outputs: object, info: ValidationInfo) -> object:
        if not isinstance(outputs, dict):
            return outputs
        found = {}
        for name, given in outputs.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)):
                raise ValueError(
                    f"expected a name of letters, digits and _ for an output, such as charge, found {name}"
                )
            if name in _TAKEN or hasattr(nn.ModuleDict, name):
                raise ValueError(
                    f"expected a new name for an output, found {name}, which means something else in files, "
                    "in ASE or in torch; take another one, and name the labels with its key"
                )
            try:
                found[name] = settings_of(given, info.context)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return found

    @model_validator(mode="after")
    def _layers_need_a_message(self) -> "ModelShape":
        if self.n_layers > 0 and not self.messages:
            raise ValueError(
                "n_layers > 0 needs at least one of the messages M, Ar, Bchi, scalars, vectors"
            )
        if self.n_layers > 0 and self.l_max == 0 and "vectors" in self.messages:
            raise ValueError("the message vectors needs an l_max of 1 or more, got 0")
        return self

    @model_validator(mode="after")
    def _free_mixing_is_possible(self) -> "ModelShape":
        if self.mixing == "free" and not self.embed_receiver_nodes:
            raise ValueError(
                "free mixing has a factor for every element of the receiver; remove embed_receiver_nodes"
            )
        if self.mixing == "free" and self.n_layers > 0:
            for kind in self.messages:
                if kind in MESSAGES and not MESSAGES[kind].goes_with_free_mixing:
                    raise ValueError(
                        f"free mixing does not go with the message {kind}, which is mixed channelwise; take M, "
                        "Ar, scalars or vectors, or mixing: channelwise"
                    )
        return self

    @model_validator(mode="after")
    def _stretched_enough(self) -> "ModelShape":
        if self.radial == "stretched_bessel" and self.radial_length > 10 * self.cutoff:
            raise ValueError(
                f"radial_length must not exceed ten cutoffs, got {self.radial_length} and {self.cutoff}; with a "
                "longer one functions are those of radial: bessel"
            )
        return self

    @model_validator(mode="after")
    def _repulsion_within_reach(self) -> "ModelShape":
        if self.zbl_cutoff is not None and self.zbl_cutoff > self.cutoff:
            raise ValueError(
                f"zbl_cutoff must not exceed the cutoff, got {self.zbl_cutoff} and {self.cutoff}"
            )
        return self

    @property
    def n_channels(self) -> int:
        """C = K², edge channels."""
        return self.n_atom_basis**2

    @property
    def n_products(self) -> int:
        """P = n_radial C, channels in which A are multiplied."""
        return self.n_radial * self.n_channels

    @property
    def n_descriptors(self) -> int:
        """Invariants of an atom, of all layers."""
        n_invariants = number_of_invariants(self.l_max, self.nu_max)
        return n_invariants * self.n_products * (self.n_layers + 1)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Everything that the model predicts."""
        return quantities_of({name: output.unit for name, output in self.outputs.items()})

    @property
    def values_per_ghost(self) -> int:
        """The most that an atom tells its neighbours between two layers: A for Ar, θ h for Bchi."""
        if self.n_layers == 0:
            return 0
        return max(MESSAGES[kind].values_per_ghost(self) for kind in self.messages)

    @property
    def has_kernels(self) -> bool:
        """Whether `lmp` has kernels for the whole model."""
        terms = [MESSAGES[kind] for kind in self.messages if self.n_layers > 0]
        if self.mixing == "free":
            return self.has_operations and all(term.has_kernels_with_free_mixing for term in terms)
        return self.has_operations and all(term.has_kernels for term in terms)

    @property
    def has_operations(self) -> bool:
        """Whether the model trains by compiled operations."""
        terms = (MESSAGES[kind] for kind in self.messages if self.n_layers > 0)
        return (
            self.compiled == "auto"
            and RADIAL_BASES[self.radial].has_kernels
            and all(term.has_operations for term in terms)
        )


class Hyperparameters(ModelShape):
    """Shape of a CACE model and the elements that it is trained on."""

    elements: tuple[str, ...] = Field(
        min_length=1, description="chemical symbols that the model is trained on, by atomic number"
    )

    @field_validator("elements")
    @classmethod
    def _known_and_sorted(cls, elements: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in elements:
            if symbol not in chemical_symbols[1:]:
                raise ValueError(f"'{symbol}' is not a chemical symbol")
        if len(set(elements)) != len(elements):
            raise ValueError(f"an element is listed twice: {' '.join(elements)}")
        return tuple(sorted(elements, key=chemical_symbols.index))

    @property
    def atomic_numbers(self) -> list[int]:
        """Atomic numbers of ``elements``, ascending."""
        return [chemical_symbols.index(symbol) for symbol in self.elements]
