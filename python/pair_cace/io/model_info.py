"""What a model file says about its model."""

from __future__ import annotations

from dataclasses import dataclass

from ..nn import Hyperparameters


@dataclass(frozen=True)
class ModelInfo:
    """Everything about a model but its weights. Units: eV and Å."""

    kind: str  # "checkpoint" or "exported model"
    format_version: int
    hyperparameters: Hyperparameters
    E0: dict[str, float]  # eV by element
    dtype: str  # "float32" or "float64", precision of the weights
    n_parameters: int
    provenance: dict  # where the weights come from, what made the file
    portable: bool = False  # exported for torch alone

    @property
    def elements(self) -> tuple[str, ...]:
        return self.hyperparameters.elements

    @property
    def cutoff(self) -> float:
        return self.hyperparameters.cutoff
