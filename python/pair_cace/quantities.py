"""What models learn and predict: energies, forces, stresses, and a row more for every output.

Whoever goes over quantities (labels, loss, metrics, tables, figures) goes over rows of this table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ase.units

TO_GPA = 1.0 / ase.units.GPa  # from eV/Å³


@dataclass(frozen=True)
class Quantity:
    """One row."""

    name: str  # "force": in metrics, tables and weights of the loss
    label: str  # "forces": what frames and ASE call it
    column: str  # "forces": what ``Labels``, ``Prediction`` and ``Evaluation`` call it
    shape: tuple[int, ...]  # of the value that an atom or a structure has
    per_atom: bool  # or per structure
    unit: str  # of errors; those of energies are per atom
    scales: tuple[tuple[str, float], ...]  # unit and factor of the rows of tables; the last counts
    axes: tuple[str, float]  # unit and factor of figures
    plural: str  # in sentences
    is_output: bool = False
    loss_scale: float = 1.0  # errors are divided by it in the loss

    def of(self, values: Any) -> Any:
        """What ``Labels`` or a ``Prediction`` have of it."""
        return values.outputs[self.name] if self.is_output else getattr(values, self.column)

    def label_in(self, frame: Any) -> Any:
        """The label that a ``Frame`` has of it; None if it has none."""
        return frame.outputs[self.name] if self.is_output else getattr(frame, self.label)

    def metric(self, kind: str) -> str:
        """Its column of metrics.csv without the part of the data: "force_rmse (eV/A)"."""
        unit = self.unit.replace("Å", "A").replace("³", "^3")
        return f"{self.name}_{kind}" + (f" ({unit})" if unit else "")

    @property
    def title(self) -> str:
        """ "force, meV/Å"."""
        unit = self.scales[-1][0]
        return f"{self.name}, {unit}" if unit else self.name


# fmt: off
ENERGY = Quantity(
    "energy", "energy", "energies", (), False, "eV/atom", (("meV/atom", 1e3),), ("eV/atom", 1.0),
    "energies",
)
FORCE = Quantity(
    "force", "forces", "forces", (3,), True, "eV/Å", (("meV/Å", 1e3),), ("eV/Å", 1.0), "forces"
)
STRESS = Quantity(
    "stress", "stress", "stresses", (3, 3), False, "eV/Å³", (("meV/Å³", 1e3), ("GPa", TO_GPA)),
    ("GPa", TO_GPA), "stresses",
)
# fmt: on
OF_ENERGY = (ENERGY, FORCE, STRESS)  # the energy and its derivatives, which all models have


def quantities_of(outputs: Mapping[str, str]) -> tuple[Quantity, ...]:
    """Those of a model with some outputs, whose units are given by name."""
    return OF_ENERGY + tuple(
        Quantity(name, name, name, (), True, unit, ((unit, 1.0),), (unit, 1.0), name, True)
        for name, unit in outputs.items()
    )


def known_to(columns: Iterable[str]) -> tuple[Quantity, ...]:
    """Those that columns of metrics.csv are of."""
    found = {}
    for column in columns:
        if match := re.fullmatch(r"train_(\w+)_rmse(?: \((.*)\))?", column):
            found[match[1]] = match[2] or ""
    ours = {quantity.name for quantity in OF_ENERGY}
    return quantities_of({name: unit for name, unit in found.items() if name not in ours})
