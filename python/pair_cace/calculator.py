"""CACE models as ASE calculators."""

from __future__ import annotations

import pathlib
import warnings
from typing import Any

import torch
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from .data.checks import check_structure
from .data.device_neighbors import DeviceNeighborList
from .data.graph import Graph
from .errors import CaceError
from .io.exported_model import ExportedModel
from .io.loading import load_model
from .nn.derivatives import predict
from .nn.elements import elements_between
from .operations import has_cuda_kernels
from .outside import OutsideWatch

NAMES_OF_ASE = {"charge": "charges", "magnetic_moment": "magmoms"}  # of outputs that it knows
SKIN = 1.0  # Å, of neighbour lists on a GPU


class CACECalculator(Calculator):
    """ASE calculator for an exported model or a checkpoint.

    model    file written by ``cace train``, ``cace convert`` or ``cace export``
    device   "cpu" or "cuda"
    extrapolate   allow elements that the model was not trained on, if lighter and heavier ones
             were: their embeddings and E0 are interpolated in atomic number, with a warning
    dtype    "float32" or "float64" instead of the precision of the model; float64 is for phonons,
             tight relaxations and finite differences
    outside  "warn", "stop" (with CaceError) or "ignore" where atoms are closer than in the training
             data, or stand more or less densely; once for every pair of elements. How often atoms
             were closer, and how close, is in ``outside.contacts``

    Gives energy, free_energy (the same), forces, stress (cells with three lattice vectors) and
    energies (per atom), in ASE units, and every output of the model under its name, (N,) in its unit;
    those called charge or magnetic_moment under ASE's names, charges and magmoms, too. Raises CaceError for an element that the model was not
    trained on and for structures that make no sense (NaN positions, atoms at the same place).
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(
        self,
        model: str | pathlib.Path,
        device: str = "cpu",
        extrapolate: bool = False,
        dtype: str | None = None,
        outside: str = "warn",
    ):
        super().__init__()
        if isinstance(model, (list, tuple)):
            raise CaceError(
                f"CACECalculator: expected one model, got {len(model)}; make a calculator of each, or "
                "run them as a committee in LAMMPS"
            )
        self.model, self.info = load_model(model, device)
        if dtype is not None:
            self._change_precision(dtype)
        outputs = self.info.hyperparameters.outputs
        self.implemented_properties = [
            *CACECalculator.implemented_properties,
            *dict.fromkeys(
                alias for name in outputs for alias in (name, NAMES_OF_ASE.get(name, name))
            ),
        ]
        self.outside = OutsideWatch(outside, self.info.trained_on, self.info.cutoff)
        self.device = device
        self.neighbors = self._own_neighbors()
        self.elements = self.info.elements
        if extrapolate:
            self.elements = elements_between(self.info.hyperparameters)
            warnings.warn(
                "extrapolate: energies of elements that the model was not trained on are a guess"
            )

    def _change_precision(self, dtype: str) -> None:
        if dtype not in ("float32", "float64"):
            raise CaceError(f"CACECalculator: expected dtype float32 or float64, got '{dtype}'")
        if dtype == self.info.dtype:
            return
        if dtype == "float32" and isinstance(self.model, ExportedModel):
            # It would round the energies of the elements, which must stay in float64.
            raise CaceError(
                "CACECalculator: this model was exported in float64; for float32, export it again "
                "with --dtype float32"
            )
        self.model = self.model.to(getattr(torch, dtype))

    def _own_neighbors(self) -> DeviceNeighborList | None:
        """On the device, where there are operations for it."""
        if torch.device(self.device).type == "cuda" and has_cuda_kernels():
            return DeviceNeighborList(self.info.cutoff, SKIN)
        return None

    def __getstate__(self) -> dict[str, Any]:
        """For other processes, which need not find the model file."""
        return self.__dict__ | {"neighbors": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.model = self.model.to(self.device)
        self.neighbors = self._own_neighbors()

    def graph(self) -> Graph:
        """Of ``self.atoms``, on the device."""
        if self.neighbors is None:
            return Graph.of(self.atoms, self.info.cutoff).to(self.device)
        positions = torch.from_numpy(self.atoms.positions).to(self.device)
        edges = self.neighbors.edges(positions, self.atoms.cell.array, self.atoms.pbc)
        return Graph.of_edges(self.atoms, *edges)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        check_structure(self.atoms, "structure", self.elements)
        graph = self.graph()
        self.outside.look(graph)
        with torch.jit.optimized_execution(False):  # no warm-up in the first calls
            prediction = predict(self.model, graph)
        self.results = {
            "energy": float(prediction.energies[0]),
            "free_energy": float(prediction.energies[0]),
            "energies": prediction.atom_energies.cpu().numpy(),
            "forces": prediction.forces.cpu().numpy(),
        }
        for name, values in prediction.outputs.items():
            self.results[name] = values.cpu().numpy()
            self.results.setdefault(NAMES_OF_ASE.get(name, name), self.results[name])
        if self.atoms.cell.rank == 3:
            stress = prediction.stresses[0].cpu().numpy()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
        elif "stress" in properties:
            raise PropertyNotImplementedError(
                "stress needs a cell with three lattice vectors; this structure has "
                f"{self.atoms.cell.rank}"
            )
