"""Several replicas of a system in one run: path integrals and nudged elastic bands."""

import ase
import numpy as np
import pytest
from final_state import FINISH, START, THERMO, cace, model_of, read_dump, thermo
from helpers import assert_close, predict_atoms
from run_lmp import boundary_of, lmp, write_data
from systems import SYSTEMS
from tolerances import CONSTANTS, PRINTED_DIGITS


def run_replicas(folder, pair, atoms, commands, replicas, ranks_of_each=1):
    """The final atoms and forces and the last thermodynamic output of every replica."""
    write_data(folder / "atoms.data", atoms, ["O", "H"])
    start = START.format(boundary=boundary_of(atoms), first="atom_modify map yes", pair=pair)
    uloop = f"variable replica uloop {replicas}\n"
    script = start + THERMO + uloop + commands + FINISH.format(name="${replica}.dump")
    partition = ["-partition", f"{replicas}x{ranks_of_each}"]
    run = lmp(folder, script, replicas * ranks_of_each, partition)
    logs = [(folder / f"log.lammps.{k}") for k in range(replicas)]
    assert run.returncode == 0, run.output[-2000:] + logs[-1].read_text()[-2000:]
    numbers = range(1, replicas + 1)
    states = [read_dump(folder / f"{number}.dump", ["O", "H"]) for number in numbers]
    return states, [thermo(log) for log in logs]


@pytest.mark.parametrize("model", ["T2-zbl", "free-zbl"])
def test_path_integral(tmp_path, models, model):
    """Two beads on two ranks each: their energies and forces, and the kinetic energy that follows from the forces."""
    commands = """
velocity all create 300 ${replica}77 loop geom
fix 1 all pimd/langevin ensemble nvt temp 300 thermostat PILE_L 1234 tau 0.1
thermo_style custom step pe f_1[3] f_1[7]
thermo_modify format float %.17g
run 20
thermo_style custom step pe
thermo_modify format float %.17g
unfix 1
run 0
"""
    pair = cace(models, model)
    states, tables = run_replicas(tmp_path, pair, SYSTEMS["cluster"](), commands, 2, 2)
    (first, of_first), (second, of_second) = states
    for (atoms, forces), (moving, still) in zip(states, tables, strict=True):
        expected = predict_atoms(model_of(model), atoms)
        assert_close(moving["PotEng"][-1], expected.energies[0])
        assert_close(moving["f_1[3]"][-1], expected.energies[0])
        assert_close(still["PotEng"][-1], expected.energies[0])
        assert_close(forces, expected.forces)
    # The centroid-virial estimator: 3/2 N k T − 1/2 of the mean of Σ (r − centroid)·F over beads.
    half = (first.positions - second.positions) / 2
    assert np.abs(half).max() > 0.01
    virial = (half * (of_first - of_second)).sum() / 2
    kinetic = 1.5 * len(first) * 8.617343e-5 * 300 - virial / 2
    assert tables[0][0]["f_1[7]"][-1] == pytest.approx(kinetic, rel=CONSTANTS)


def test_nudged_elastic_band(tmp_path, models):
    """Oxygen passes between four hydrogen atoms that are held where they are."""
    square = [[-1.1, 0, -1.1], [-1.1, 0, 1.1], [1.1, 0, -1.1], [1.1, 0, 1.1]]
    atoms = ase.Atoms("OH4", [[0.1, 2.0, 0], *square])
    (tmp_path / "end.txt").write_text("1\n1 -0.1 -1.9 0.1\n")
    commands = """
group hydrogen type 2
fix 1 all neb 1.0 parallel ideal
fix 2 hydrogen setforce 0 0 0
min_style fire
neb 0 1e-4 500 500 50 final end.txt
"""
    states, tables = run_replicas(tmp_path, cace(models, "T2-zbl"), atoms, commands, 3)
    energies = []
    for (atoms, _), of_replica in zip(states, tables, strict=True):
        expected = predict_atoms(model_of("T2-zbl"), atoms)
        energies.append(float(expected.energies[0]))
        assert_close(of_replica[-1]["PotEng"][-1], energies[-1])
        assert expected.forces[0].abs().max() < 1e-3
        assert_close(atoms.positions[1:], square)
    assert energies[1] > max(energies[0], energies[2]) + 0.1
    last = np.array((tmp_path / "log.lammps").read_text().splitlines()[-1].split(), dtype=float)
    barriers = [energies[1] - energies[0], energies[1] - energies[2]]
    np.testing.assert_allclose(last[6:8], barriers, rtol=0, atol=PRINTED_DIGITS)
