"""Was a run right? It agrees with Python, or ends in an error that is known and makes sense."""

from __future__ import annotations

import re
from dataclasses import dataclass

import ase
import numpy as np
import torch
from ase.stress import full_3x3_to_voigt_6_stress
from grammar import Script
from helpers import predict_atoms
from models import Model
from run_lmp import BAR, Run
from tolerances import AFTER_STEPS, FLOAT32_MODEL

AGREEMENT = {torch.float64: AFTER_STEPS, torch.float32: FLOAT32_MODEL}

# Errors of LAMMPS that inputs without a mistake may end in, and why that is no fault of the plugin.
LIMITS_OF_LAMMPS = {
    r"comm_style tiled cannot exceed periodic box length": "one image in each direction only",
    r"Pair \S+ substyles for atom types 1 and 2 are not compatible": "fix atom/swap wants one partner",
    r"does not support accelerator styles": "hybrid/scaled and suffix omp",
    r"Fix balance \w+ cannot be used with comm_style": "shift is for brick",
    r"At least one atom of each swapped type": "a type without atoms",
    r"Cannot use neighbor bins - box size << cutoff": "a lone atom in a shrink-wrapped box",
    r"Too many neighbor bins": "a huge box with small bins",
    r"Attempting to rescale a 0.0 temperature|Velocity command with no atoms": "too few atoms",
    r"Fix \w+ has tilted box too far": "a barostat in a box under high pressure",
    r"Fix gcmc translation put atom outside box": "insertion next to an open boundary",
    r"command on system without atoms": "delete_atoms may have deleted all",
    r"Cannot use fix deform on a shrink-wrapped boundary": "change_box may have made it one",
    r"Lost atoms via balance": "change_box may have made a boundary that atoms are beyond",
    r"zlo/zhi for 2d simulation must straddle 0": "LAMMPS reads no other box in two dimensions",
}


@dataclass
class Verdict:
    good: bool
    text: str


class Wrong(Exception):
    """What is wrong with a result."""


def judge(script: Script, run: Run, models: dict[str, Model]) -> Verdict:
    if run.returncode not in (0, 1):
        return Verdict(False, f"crash, exit status {run.returncode}")
    if run.returncode != 0:
        return _judge_error(script, run)
    try:
        _compare(script, run, models)
    except Wrong as wrong:
        return Verdict(False, str(wrong))
    return Verdict(True, "agreed")


def _judge_error(script: Script, run: Run) -> Verdict:
    if "ERROR" not in run.output:
        return Verdict(False, f"exit status {run.returncode} without an error")
    error = run.error
    if script.expected_error and re.search(script.expected_error, error):
        return Verdict(True, f"error as expected: {script.expected_error}")
    if "Pair style cace" not in error:
        for pattern in LIMITS_OF_LAMMPS:
            if re.search(pattern, error):
                return Verdict(True, f"limit of LAMMPS: {pattern}")
    expected = f", expected {script.expected_error}" if script.expected_error else ""
    return Verdict(False, f"unexpected error{expected}: {error[:400]}")


@dataclass
class State:
    """What a script printed and dumped; eV, Å, eV/Å³, sorted by atom ID."""

    atoms: ase.Atoms  # numbers are atom types
    volume: float
    energy: float
    forces: np.ndarray  # (N, 3)
    atom_energies: np.ndarray  # (N,)
    stress: np.ndarray  # (6,) in the order of ASE
    sum_of_atoms: np.ndarray  # (6,) the same from compute stress/atom


def _read(script: Script, run: Run, name: str) -> State:
    lines = [line for line in run.output.splitlines() if line.startswith(f"RESULT {name} ")]
    if len(lines) != 1:
        raise Wrong(f"{len(lines)} lines of results")
    energy, volume, *numbers = map(float, lines[0].split()[3:])
    stress, of_atoms, low, high, tilt = np.split(np.array(numbers), [6, 12, 15, 18])
    text = (run.folder / f"{name}.dump").read_text().splitlines()
    (header,) = [line for line in text if line.startswith("ITEM: BOX BOUNDS")]
    periodic = [word == "pp" for word in header.split()[-3:]]
    periodic[2] &= not script.flat
    rows = np.array([line.split() for line in text[9:]], dtype=float).reshape(-1, 9)
    for values in (numbers, energy, rows):
        if not np.isfinite(values).all():
            raise Wrong("a result is not finite")
    cell = np.diag(high - low)
    cell[1, 0], cell[2, 0], cell[2, 1] = tilt
    per_eV = 23.060549 if script.units == "real" else 1.0
    atoms = ase.Atoms(
        numbers=rows[:, 1].astype(int), positions=rows[:, 2:5], cell=cell, pbc=periodic
    )
    return State(
        atoms, volume, energy / per_eV, rows[:, 5:8] / per_eV, rows[:, 8] / per_eV,
        -stress / BAR[script.units] / per_eV, of_atoms / BAR[script.units] / per_eV / volume,
    )  # fmt: skip


def _compare(script: Script, run: Run, models: dict[str, Model]) -> None:
    found = _read(script, run, "all")
    partner = _read(script, run, "partner") if script.has_partner else None
    forces, atom_energies = np.zeros_like(found.forces), np.zeros_like(found.atom_energies)
    stress = np.zeros(6)
    agreement = 0.0
    for term in script.terms:
        model = models[term.model]
        agreement = max(agreement, AGREEMENT[model.dtype])
        ours, atoms = _of_elements(found.atoms, term.elements)
        if len(atoms) == 0:
            continue
        expected = predict_atoms(model.module, atoms, model.cutoff)
        forces[ours] += term.weight * expected.forces.numpy()
        atom_energies[ours] += term.weight * expected.atom_energies.numpy()
        stress += term.weight * full_3x3_to_voigt_6_stress(expected.stresses[0].numpy())
    if partner is not None:
        forces += partner.forces
        atom_energies += partner.atom_energies
        stress += partner.stress
    # Forces may cancel; their errors do not.
    force_scale = max(_largest(forces), _largest(atom_energies), 1e-3)
    energy_scale = max(_largest(atom_energies), 1e-3)
    n = len(found.atoms)
    stress_scale = max(_largest(stress), force_scale * n / found.volume, 1e-12)
    checks = [
        ("forces", found.forces, forces, force_scale),
        ("energies of atoms", found.atom_energies, atom_energies, energy_scale),
        ("energy", found.energy, atom_energies.sum(), energy_scale * max(n, 1)),
        ("virials of atoms", found.sum_of_atoms, found.stress, stress_scale),
    ]
    if found.atoms.pbc.all():
        checks.append(("stress", found.stress, stress, stress_scale))
    for name, value, expected, scale in checks:
        error = _largest(np.asarray(value) - expected) / scale
        if not error <= agreement:
            raise Wrong(f"wrong {name}: relative deviation {error:.1e}")
    if script.expected_error:
        raise Wrong(f"expected the error {script.expected_error}, got a good run")


def _of_elements(atoms: ase.Atoms, elements: list[str | None]) -> tuple[np.ndarray, ase.Atoms]:
    """Indices of the atoms whose type has an element, and these atoms."""
    symbols = [elements[t - 1] for t in atoms.numbers]
    ours = np.array([k for k, symbol in enumerate(symbols) if symbol], dtype=int)
    of_model = atoms[ours]
    of_model.set_chemical_symbols([symbols[k] for k in ours])
    return ours, of_model


def _largest(values) -> float:
    return float(np.abs(values).max()) if np.size(values) else 0.0
