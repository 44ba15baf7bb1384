"""Runs `lmp` with any commands and compares the state that it ends in with the model in Python."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import ase
import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress
from helpers import assert_close, predict_atoms, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.io.checkpoint import save_checkpoint
from pair_cace.nn import CACE
from pair_cace.nn.derivatives import Prediction
from run_lmp import BAR, Run, boundary_of, lmp, write_data

# Without repulsion, random models let atoms fall into each other sooner or later.
MODELS = {
    "T0": settings_of("T0"),
    "T2": settings_of("T2-all"),
    "tensors": settings_of("tensors"),
    "T0-zbl": settings_of("T0", zbl_cutoff=2.0),
    "T2-zbl": settings_of("T2-all", zbl_cutoff=2.0),
    "free-zbl": settings_of("T2-free", zbl_cutoff=2.0),
}

THERMO = """\
compute virial all pressure NULL virial
thermo 1
thermo_style custom step pe etotal econserve vol press &
c_virial[1] c_virial[2] c_virial[3] c_virial[6] c_virial[5] c_virial[4]
thermo_modify format float %.17g
"""

START = """\
units metal
boundary {boundary}
{first}
read_data atoms.data
{pair}
neighbor 0.3 bin
neigh_modify every 1 delay 0 check yes
timestep 0.0005
"""

MOVE = """
velocity all create 3000 4928459 loop geom
fix 1 all nve
"""

# What the last run left, without computing anything again.
FINISH = """
write_dump all custom {name} id type x y z vx vy vz fx fy fz modify sort id format float %.17g
"""


@dataclass
class State:
    """Where a run ended; eV, Å, eV/Å³, atoms sorted by ID."""

    atoms: ase.Atoms  # with the velocities of LAMMPS, Å/ps
    energy: float
    forces: np.ndarray  # (N, 3)
    stress: np.ndarray  # (6,) without the kinetic part, as in ASE
    run: Run


def cace(models: pathlib.Path, name: str, elements: str = "O H") -> str:
    return f"pair_style cace\npair_coeff * * {models / name}.pt {elements}"


def model_of(name: str) -> CACE:
    """The model in Python that the fixture ``models`` has under this name."""
    return random_model(MODELS[name])


def export_models(folder: pathlib.Path, dtype: str | None = None) -> None:
    """A checkpoint and an exported model for every name in ``MODELS``."""
    for name, settings in MODELS.items():
        checkpoint = folder / f"{name}.cace.pt"
        save_checkpoint(checkpoint, model_of(name), settings, {})
        export_checkpoint(checkpoint, folder / f"{name}.pt", dtype)


def run_to_the_end(
    folder: pathlib.Path,
    atoms: ase.Atoms,
    pair: str,
    commands: str,
    symbols=("O", "H"),
    ranks: int = 1,
    first: str = "",
    open_kind: str = "f",
) -> State:
    """The state in which ``commands`` end, which start from ``atoms`` under the potential ``pair``."""
    write_data(folder / "atoms.data", atoms, list(symbols))
    boundary = boundary_of(atoms, open_kind)
    start = START.format(boundary=boundary, first=first, pair=pair)
    run = lmp(folder, start + THERMO + commands + FINISH.format(name="final.dump"), ranks)
    assert run.returncode == 0, run.output[-3000:]
    final, forces = read_dump(folder / "final.dump", symbols)
    table = thermo(folder / "log.lammps")[-1]
    stress = [-table[f"c_virial[{k}]"][-1] / BAR["metal"] for k in (1, 2, 3, 6, 5, 4)]
    return State(final, table["PotEng"][-1], forces, np.array(stress), run)


def read_dump(path: pathlib.Path, symbols) -> tuple[ase.Atoms, np.ndarray]:
    """Atoms, with their velocities as an array, and forces of what ``FINISH`` wrote."""
    lines = path.read_text().splitlines()
    assert lines[3] != "0", f"no atoms in {path}"
    bounds = np.array([line.split() for line in lines[5:8]], dtype=float)
    xy, xz, yz = bounds[:, 2] if bounds.shape[1] == 3 else np.zeros(3)
    low, high = bounds[:, 0].copy(), bounds[:, 1].copy()  # of the box around a triclinic cell
    low[:2] -= min(0, xy, xz, xy + xz), min(0, yz)
    high[:2] -= max(0, xy, xz, xy + xz), max(0, yz)
    lx, ly, lz = high - low
    values = np.loadtxt(lines, skiprows=9, ndmin=2)
    atoms = ase.Atoms(
        [symbols[int(kind) - 1] for kind in values[:, 1]], values[:, 2:5],
        cell=[[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]],
        pbc=[kind == "pp" for kind in lines[4].split()[-3:]],
    )  # fmt: skip
    atoms.set_array("velocities", values[:, 5:8])
    return atoms, values[:, 8:11]


def thermo(log: pathlib.Path) -> list[dict[str, np.ndarray]]:
    """The columns that every run of a log printed, by their heading."""
    tables = []
    for block in log.read_text().split("\n   Step ")[1:]:
        heading, *lines = ("Step " + block.split("Loop time")[0]).splitlines()
        names = heading.split()
        rows = [line.split() for line in lines if line.strip() and not line.startswith("WARNING")]
        tables.append(dict(zip(names, np.array(rows, dtype=float).T, strict=True)))
    return tables


def check(state: State, name: str, within: float | None = None) -> Prediction:
    """Compare a final state with the model ``name`` in Python, whose prediction is returned."""
    expected = predict_atoms(model_of(name), state.atoms)
    assert_close(state.energy, expected.energies[0], within=within)
    assert_close(state.forces, expected.forces, within=within)
    if state.atoms.pbc.all():
        stress = full_3x3_to_voigt_6_stress(expected.stresses[0].numpy())
        assert_close(state.stress, stress, within=within)
    return expected
