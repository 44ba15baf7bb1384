"""How far a model is from reference data: root-mean-square and mean absolute errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import nn

from .data.graph import Graph
from .data.reading import Frame
from .nn.derivatives import predict


@dataclass(frozen=True)
class Pairs:
    """Reference and predicted values of one quantity, flat arrays of equal length."""

    reference: np.ndarray
    predicted: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        return self.predicted - self.reference

    @property
    def rmse(self) -> float:
        return float(np.sqrt(np.mean(self.errors**2)))

    @property
    def mae(self) -> float:
        return float(np.mean(np.abs(self.errors)))


@dataclass
class Evaluation:
    """Everything that was compared; quantities without reference values are None."""

    n_frames: int
    n_atoms: int
    energy_per_atom: Pairs | None  # eV/atom, one value per frame
    force: Pairs | None  # eV/Å, one value per component
    stress: Pairs | None  # eV/Å³, one value per component
    force_by_element: dict[str, Pairs] = field(default_factory=dict)

    @property
    def energy_shift(self) -> float:
        """The constant, in eV/atom, that would make the mean energy error vanish."""
        return float(np.mean(self.energy_per_atom.errors))

    @property
    def energy_per_atom_shifted(self) -> Pairs:
        """Energies per atom after subtracting ``energy_shift`` from the predictions."""
        pairs = self.energy_per_atom
        return Pairs(pairs.reference, pairs.predicted - self.energy_shift)


def batches(frames: Sequence[Frame], max_atoms: int) -> Iterator[list[Frame]]:
    """Consecutive frames with at most ``max_atoms`` atoms together, or one frame if it has more."""
    batch: list[Frame] = []
    n_atoms = 0
    for frame in frames:
        if batch and n_atoms + len(frame.atoms) > max_atoms:
            yield batch
            batch, n_atoms = [], 0
        batch.append(frame)
        n_atoms += len(frame.atoms)
    if batch:
        yield batch


def evaluate(
    model: nn.Module,
    cutoff: float,
    frames: Sequence[Frame],
    max_atoms: int = 400,
    device: str = "cpu",
    on_batch=lambda n_frames: None,
) -> Evaluation:
    """Compare ``model`` with the labels of ``frames``; ``on_batch`` hears of progress."""
    predicted_energies, predicted_forces, predicted_stresses = [], [], []
    for batch in batches(frames, max_atoms):
        graph = Graph.joined([Graph.of(frame.atoms, cutoff) for frame in batch]).to(device)
        prediction = predict(model, graph)
        predicted_energies += prediction.energies.tolist()
        predicted_stresses += list(prediction.stresses.cpu().numpy())
        sizes = [len(frame.atoms) for frame in batch]
        predicted_forces += torch.split(prediction.forces.cpu(), sizes)
        on_batch(len(batch))

    result = Evaluation(len(frames), sum(len(f.atoms) for f in frames), None, None, None)
    with_energy = [k for k, frame in enumerate(frames) if frame.energy is not None]
    if with_energy:
        sizes = np.array([len(frames[k].atoms) for k in with_energy])
        reference = np.array([frames[k].energy for k in with_energy])
        predicted = np.array([predicted_energies[k] for k in with_energy])
        result.energy_per_atom = Pairs(reference / sizes, predicted / sizes)
    with_forces = [k for k, frame in enumerate(frames) if frame.forces is not None]
    if with_forces:
        reference = np.concatenate([frames[k].forces for k in with_forces])
        predicted = np.concatenate([predicted_forces[k].numpy() for k in with_forces])
        result.force = Pairs(reference.ravel(), predicted.ravel())
        numbers = np.concatenate([frames[k].atoms.numbers for k in with_forces])
        for z in np.unique(numbers):
            mine = numbers == z
            result.force_by_element[chemical_symbols[z]] = Pairs(
                reference[mine].ravel(), predicted[mine].ravel()
            )
    with_stress = [
        k for k, frame in enumerate(frames)
        if frame.stress is not None and frame.atoms.cell.rank == 3
    ]  # fmt: skip
    if with_stress:
        reference = np.stack([frames[k].stress for k in with_stress])
        predicted = np.stack([predicted_stresses[k] for k in with_stress])
        result.stress = Pairs(reference.ravel(), predicted.ravel())
    return result
