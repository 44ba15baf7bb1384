"""What an output is, a number for every atom beside its energy, and the names of all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from ...registry import ANY_TERMS, NameOf, Registry

if TYPE_CHECKING:
    from ..hyperparameters import Hyperparameters

ATOM_OUTPUTS: Registry[type["AtomOutput"]] = Registry("kind of output")


class OutputSettings(BaseModel):
    """What a config says of an output; kinds with settings of their own extend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: NameOf(ATOM_OUTPUTS) = Field("scalar", description="name of the kind")
    unit: str = Field(
        "", pattern=r"^\S*$", description="unit of the labels, such as e; for tables and figures"
    )
    key: str | None = Field(
        None, description="name of the labels in the files, if it is not that of the output"
    )


class AtomOutput(nn.Module):
    """A number for every atom from its invariants, which neither change nor are changed by its energy.

    Has a method, which TorchScript compiles:

        forward(self, features, composition) -> Tensor
            (n_atoms,) in the unit of the labels, from the invariants of atoms (n_atoms, n_descriptors) and
            the weights of the trained elements in each (n_atoms, n_elements), float64, one-hot as a rule.
    """

    Settings = OutputSettings  # the schema of what a config says of it

    def __init__(self, shape: "Hyperparameters", settings: OutputSettings):
        super().__init__()

    def start_from(self, means: Tensor, spread: float) -> None:
        """Suit a new model to the labels for training: their mean for every element, (n_elements,)
        float64, and their standard deviation about these means."""


def settings_of(given: Any, context: Any) -> Any:
    """The settings that a config gives for an output, by the schema of its kind.

    The name of a kind alone will do. Raises ValueError; not for unknown kinds if ``context`` is ANY_TERMS.
    """
    if isinstance(given, OutputSettings):
        return given
    if isinstance(given, str):
        given = {"kind": given}
    if not isinstance(given, dict):
        raise ValueError(f"expected the name of a kind of output, or its settings, found {given!r}")
    kind = given.get("kind", OutputSettings.model_fields["kind"].default)
    if not isinstance(kind, str) or (kind not in ATOM_OUTPUTS and context != ANY_TERMS):
        raise ValueError(ATOM_OUTPUTS.unknown(kind))
    if kind not in ATOM_OUTPUTS:
        common = {key: given[key] for key in OutputSettings.model_fields if key in given}
        return OutputSettings.model_validate(common, context=context)
    schema = ATOM_OUTPUTS[kind].Settings
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise ValueError("; ".join(_described(one, schema) for one in error.errors())) from None


def _described(mistake: Any, schema: type[OutputSettings]) -> str:
    name = ".".join(map(str, mistake["loc"]))
    if mistake["type"] == "extra_forbidden":
        return f"{name}: unknown key; known are {', '.join(schema.model_fields)}"
    return f"{name}: {mistake['msg'].removeprefix('Value error, ')}, found {mistake['input']!r}"
