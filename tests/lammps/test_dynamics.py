"""Runs that move atoms or the box, each against the model in Python where it ends."""

import ase
import numpy as np
import pytest
from ase.build import bulk
from ase.optimize import BFGS
from final_state import MOVE, THERMO, cace, check, model_of, read_dump, run_to_the_end, thermo
from helpers import assert_close, predict_atoms
from run_lmp import BAR
from systems import SYSTEMS
from tolerances import CONSTANTS, SAME_MODEL

from pair_cace import CACECalculator


def test_rerun_finds_the_energies_of_the_run(tmp_path, models):
    commands = """
velocity all create 3000 4928459 loop geom
fix 1 all nph aniso 0 0 0.01
dump 1 all custom 2 run.dump id type x y z
dump_modify 1 sort id format float %.17g
run 10
undump 1
rerun run.dump dump x y z
"""
    run_to_the_end(tmp_path, SYSTEMS["liquid"](), cace(models, "T2"), commands, ranks=2)
    run, rerun = thermo(tmp_path / "log.lammps")
    assert list(rerun["Step"]) == [0, 2, 4, 6, 8, 10]
    assert np.ptp(run["PotEng"]) > 1e-3 and np.ptp(run["Volume"]) > 1
    for name in ("PotEng", "Volume", "c_virial[1]", "c_virial[5]"):
        assert_close(rerun[name], run[name][::2])


def test_minimize_ends_where_a_minimizer_of_ase_ends(tmp_path, models):
    atoms = ase.Atoms("OH2", [[0, 0, 0], [0.8, 1.9, 0.1], [-1.0, 1.6, 0]])
    pair = cace(models, "T0-zbl")
    found = run_to_the_end(tmp_path, atoms, pair, "minimize 0 1e-8 1000 10000")
    assert check(found, "T0-zbl").forces.abs().max() < 1e-7
    atoms.calc = CACECalculator(models / "T0-zbl.pt")
    before = atoms.get_potential_energy()
    BFGS(atoms, logfile=None, maxstep=0.05).run(fmax=1e-7, steps=500)
    assert before - found.energy > 1e-3
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=SAME_MODEL)
    distances = atoms.get_all_distances()
    np.testing.assert_allclose(found.atoms.get_all_distances(), distances, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "model, cells, axes, bar",
    [("T0-zbl", 1, "iso", 0), ("T2-zbl", 2, "aniso", 80000), ("free-zbl", 1, "iso", 0)],
)
def test_a_relaxed_box_has_the_pressure_asked_for(tmp_path, models, model, cells, axes, bar):
    atoms = bulk("OH", "cesiumchloride", a=3.0, cubic=True).repeat(cells)
    atoms.rattle(0.02, seed=1)
    commands = f"""
fix 1 all box/relax {axes} {bar} vmax 0.001
min_modify line quadratic
minimize 0 1e-7 2000 20000
"""
    found = run_to_the_end(tmp_path, atoms, cace(models, model), commands)
    stress = check(found, model).stresses[0].numpy()
    pressures = -np.diag(stress) * BAR["metal"]
    np.testing.assert_allclose(pressures, bar, rtol=0, atol=1e-2)
    assert np.abs(found.atoms.cell.lengths() - atoms.cell.lengths()).min() > 0.1


@pytest.mark.parametrize(
    "ensemble, model, ranks",
    [
        ("npt temp 300 300 0.1 aniso 0 0 0.05", "T0", 1),
        ("nph tri 0 0 0.05", "T2", 2),
        ("nph tri 0 0 0.05", "tensors", 2),
    ],
)
def test_pressure_while_the_box_changes(tmp_path, models, ensemble, model, ranks):
    commands = f"velocity all create 300 4928459 loop geom\nfix 1 all {ensemble}\nrun 30"
    atoms = SYSTEMS["triclinic"]()
    found = run_to_the_end(tmp_path, atoms, cace(models, model), commands, ranks=ranks)
    expected = check(found, model)
    assert np.abs(found.atoms.cell.array - atoms.cell.array).max() > 0.1
    table = thermo(tmp_path / "log.lammps")[0]
    kinetic = 2 / 3 * (table["TotEng"] - table["PotEng"])[-1]  # eV
    trace = np.trace(expected.stresses[0]) / 3
    pressure = (kinetic / found.atoms.cell.volume - trace) * BAR["metal"]
    assert table["Press"][-1] == pytest.approx(float(pressure), rel=CONSTANTS)
    mass, velocity = 10 * 1.0364269e-4, found.atoms.get_array("velocities")  # eV ps²/Å²
    assert kinetic == pytest.approx((mass * velocity**2).sum() / 3, rel=CONSTANTS)


@pytest.mark.parametrize(
    "ensemble, system, model",
    [
        # In a tilted box, `aniso` also turns it, and LAMMPS leaves out the work of that.
        ("nph aniso 0 0 0.1", "liquid", "T2-zbl"),
        ("npt temp 3000 3000 0.1 tri 0 0 0.1", "triclinic", "T2-zbl"),
        ("npt temp 3000 3000 0.1 tri 0 0 0.1", "triclinic", "free-zbl"),
    ],
)
def test_what_a_barostat_conserves(tmp_path, models, ensemble, system, model):
    """The work that the virial does on the box is what the energy loses."""
    commands = f"""
velocity all create 3000 4928459 loop geom
fix 1 all {ensemble}
timestep 0.0001
run 200
"""
    run_to_the_end(tmp_path, SYSTEMS[system](), cace(models, model), commands)
    table = thermo(tmp_path / "log.lammps")[0]
    assert np.ptp(table["TotEng"]) > 5
    assert np.ptp(table["Econserve"]) < 0.002 * np.ptp(table["TotEng"])


@pytest.mark.parametrize("model", ["T2", "tensors"])
def test_restart_and_go_on(tmp_path, models, model):
    """The restart file brings the potential along."""
    start = MOVE + "run 10\nwrite_restart half.restart\nrun 10\n"
    read = "clear\nread_restart half.restart\n"
    again = f"{read}{THERMO}fix 1 all nve\nrun 10\n"
    pair = cace(models, model)
    found = run_to_the_end(tmp_path, SYSTEMS["triclinic"](), pair, start + again, ranks=2)
    check(found, model)
    _, straight, restarted = thermo(tmp_path / "log.lammps")
    assert list(restarted["Step"]) == list(range(10, 21))
    for name in ("PotEng", "TotEng", "c_virial[4]"):
        assert_close(restarted[name], straight[name])


BOX = "region box block EDGE EDGE EDGE EDGE EDGE EDGE\n"


@pytest.mark.parametrize("model, ranks", [("T2", 1), ("T2", 2), ("tensors", 2)])
@pytest.mark.parametrize(
    "commands, change",
    [
        ("group some id 3 7 8 20\ndelete_atoms group some compress no\nrun 5", -4),
        (BOX + "fix 2 all deposit 3 2 2 7182 region box near 0.5 attempt 100\nrun 10", 3),
        (BOX + "fix 2 all evaporate 2 1 box 7182\nrun 10", -5),
        ("fix 2 all gcmc 1 10 0 1 7182 3000 -1.0 0.1 full_energy\nrun 2", 8),
        ("fix 2 all atom/swap 1 20 7182 100000 ke no types 1 2\nrun 5", 0),
    ],
    ids=["delete_atoms", "deposit", "evaporate", "gcmc", "atom/swap"],
)
def test_atoms_that_come_and_go(tmp_path, models, commands, change, model, ranks):
    atoms = SYSTEMS["liquid"]()
    found = run_to_the_end(
        tmp_path, atoms, cace(models, model), MOVE + commands, ranks=ranks,
        first="atom_modify map yes",
    )  # fmt: skip
    assert len(found.atoms) == len(atoms) + change
    if change == 0:
        assert (found.atoms.numbers != atoms.numbers).any()
    check(found, model)


@pytest.mark.parametrize("model", ["T2", "tensors"])
def test_change_box(tmp_path, models, model):
    atoms = SYSTEMS["liquid"]()
    commands = """
run 0
change_box all x final -1 7.5 y scale 0.9 z delta -0.3 0.2 remap
run 0
change_box all triclinic xy final 1.2 yz final -0.7 xz delta 0.4 remap
run 0
"""
    found = run_to_the_end(tmp_path, atoms, cace(models, model), commands, ranks=2)
    check(found, model)
    cell = [[8.5, 0, 0], [1.2, 6.75, 0], [0.4, -0.7, 8.0]]
    assert_close(found.atoms.cell.array, cell)
    atoms.set_cell(cell, scale_atoms=True)
    assert_close(found.energy, predict_atoms(model_of(model), atoms).energies[0])
    energies = [table["PotEng"][0] for table in thermo(tmp_path / "log.lammps")]
    assert len(set(np.round(energies, 3))) == 3


def test_a_box_under_shear_that_flips(tmp_path, models):
    """Steady shear, as in non-equilibrium molecular dynamics, while the box is compressed."""
    commands = """
velocity all create 300 4928459 loop geom
fix 1 all nvt/sllod temp 300 300 0.1
fix 2 all deform 1 xy erate 40 z erate -5 remap v flip yes
dump 1 all custom 1 step*.dump id type x y z vx vy vz fx fy fz
dump_modify 1 sort id format float %.17g
run 40
"""
    run_to_the_end(tmp_path, SYSTEMS["triclinic"](), cace(models, "T2"), commands, ranks=2)
    (table,) = thermo(tmp_path / "log.lammps")
    tilts = []
    for step in range(1, 41, 3):
        atoms, forces = read_dump(tmp_path / f"step{step}.dump", ["O", "H"])
        tilts.append(atoms.cell[1, 0])
        # LAMMPS deforms the box at the end of a step, when it has its forces.
        atoms.set_cell(read_dump(tmp_path / f"step{step - 1}.dump", ["O", "H"])[0].cell)
        expected = predict_atoms(model_of("T2"), atoms)
        assert_close(table["PotEng"][step], expected.energies[0])
        assert_close(forces, expected.forces)
    assert np.diff(tilts).min() < -3


@pytest.mark.parametrize("model, ranks", [("T0", 2), ("T2", 2), ("T2", 4), ("tensors", 4)])
def test_all_atoms_leave_a_rank(tmp_path, models, model, ranks):
    """A cluster flies once through the domains of all ranks."""
    atoms = SYSTEMS["cluster"]()
    atoms.set_cell([40.0, 12.0, 12.0])
    atoms.pbc = True
    energy = float(predict_atoms(model_of(model), atoms).energies[0])
    commands = "fix 1 all move linear 1000 0 0\nrun 80"
    found = run_to_the_end(
        tmp_path, atoms, cace(models, model), commands, ranks=ranks,
        first=f"processors {ranks} 1 1",
    )  # fmt: skip
    check(found, model)
    assert_close(found.atoms.positions, atoms.positions)  # once around
    (table,) = thermo(tmp_path / "log.lammps")
    assert_close(table["PotEng"], np.full(81, energy))
