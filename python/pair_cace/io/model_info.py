"""What a model file says about its model."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..nn import Hyperparameters
from .training_extent import TrainingExtent


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
    trained_on: TrainingExtent | None = None  # None: not known
    # By part of the data, "valid" and "test": "energy_rmse" and so on, see Evaluation.errors; empty: not known.
    errors: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def elements(self) -> tuple[str, ...]:
        return self.hyperparameters.elements

    @property
    def cutoff(self) -> float:
        return self.hyperparameters.cutoff
