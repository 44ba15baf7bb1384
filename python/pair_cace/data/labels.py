"""Reference values of a graph, in the shape of a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .reading import Frame


@dataclass(frozen=True)
class Labels:
    """What a graph with N atoms in S structures should be predicted to have; NaN where unknown."""

    energies: Tensor  # (S,) eV
    forces: Tensor  # (N, 3) eV/Å
    stresses: Tensor  # (S, 3, 3) eV/Å³
    weights: Tensor  # (S,) weight of each structure in the loss
    outputs: Mapping[str, Tensor] = field(default_factory=dict)  # (N,) by name, in their units

    @classmethod
    def of(cls, frame: Frame) -> "Labels":
        """The labels of one structure."""
        n_atoms = len(frame.atoms)
        energy = np.nan if frame.energy is None else frame.energy
        forces = np.full((n_atoms, 3), np.nan) if frame.forces is None else frame.forces
        stress = np.full((3, 3), np.nan) if frame.stress is None else frame.stress
        return cls(
            energies=torch.tensor([energy], dtype=torch.float64),
            forces=torch.tensor(forces, dtype=torch.float64),
            stresses=torch.tensor(stress, dtype=torch.float64)[None],
            weights=torch.tensor([frame.weight], dtype=torch.float64),
            outputs={
                name: torch.full((n_atoms,), torch.nan, dtype=torch.float64)
                if values is None
                else torch.tensor(values)
                for name, values in frame.outputs.items()
            },
        )

    @classmethod
    def joined(cls, labels: Sequence["Labels"]) -> "Labels":
        """Labels of several graphs side by side, as ``Graph.joined``."""
        return cls(
            *(torch.cat([getattr(one, name) for one in labels]) for name in _OF_ALL),
            {name: torch.cat([one.outputs[name] for one in labels]) for name in labels[0].outputs},
        )

    def to(self, device: torch.device | str) -> "Labels":
        """The same labels on another device."""
        return Labels(
            *(getattr(self, name).to(device) for name in _OF_ALL),
            {name: values.to(device) for name, values in self.outputs.items()},
        )


_OF_ALL = ("energies", "forces", "stresses", "weights")
