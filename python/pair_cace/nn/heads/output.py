"""What an output is, a number for every atom beside its energy, and the names of all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from torch import Tensor, nn

from ...registry import NameOf, Registry

if TYPE_CHECKING:
    from ..hyperparameters import Hyperparameters

ATOM_OUTPUTS: Registry[type["AtomOutput"]] = Registry("kind of output")


class OutputSettings(BaseModel):
    """What a config says of an output; kinds with settings of their own extend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: NameOf(ATOM_OUTPUTS) = Field("scalar", description="name of the kind")
    unit: str = Field("", description="unit of the labels, such as e; for tables and figures")
    key: str | None = Field(
        None, description="name of the labels in the files, if it is not that of the output"
    )

    @field_validator("unit")
    @classmethod
    def _one_word(cls, unit: str) -> str:
        if len(unit.split()) > 1 or unit != unit.strip():
            raise ValueError("expected a unit without spaces, such as e or eV/Å")
        return unit


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


class _SettingsOfOthers(OutputSettings):
    """Of a kind that is not here: whatever else is said of it is left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def settings_of(given: Any, context: Any) -> OutputSettings:
    """The settings that a config gives for an output, by the schema of its kind, whose name alone will do.

    Raises ValueError; not for unknown kinds if ``context`` is ANY_TERMS.
    """
    if isinstance(given, OutputSettings):
        return given
    if isinstance(given, str):
        given = {"kind": given}
    kind = given.get("kind", "scalar") if isinstance(given, dict) else "scalar"
    known = isinstance(kind, str) and kind in ATOM_OUTPUTS
    schema = ATOM_OUTPUTS[kind].Settings if known else _SettingsOfOthers
    try:
        return schema.model_validate(given, context=context)
    except ValidationError as error:
        raise ValueError("; ".join(_described(one, schema) for one in error.errors())) from None


def _described(mistake: Any, schema: type[OutputSettings]) -> str:
    name = ".".join(map(str, mistake["loc"]))
    if mistake["type"] == "extra_forbidden":
        return f"{name}: unknown key; known are {', '.join(schema.model_fields)}"
    message = mistake["msg"].removeprefix("Value error, ")
    return f"{name}: {message}, got {mistake['input']!r}".removeprefix(": ")
