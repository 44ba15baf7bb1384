"""Virials of atoms and what LAMMPS makes of them: signs, sizes, units."""

import ase
import numpy as np
import pytest
from final_state import START, THERMO, cace, model_of, read_dump, run_to_the_end, thermo
from helpers import assert_close, predict_atoms, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.io.checkpoint import save_checkpoint
from run_lmp import BAR, boundary_of, lmp, write_data
from systems import SYSTEMS
from tolerances import CONSTANTS, DIFFERENCES

OUTPUTS = """
compute pe all pe/atom
compute ke all ke/atom
compute stress all stress/atom NULL virial
compute centroid all centroid/stress/atom NULL virial
compute flux all heat/flux ke pe centroid
thermo_style custom step pe pxx pyy pzz pxy pxz pyz c_flux[*]
thermo_modify format float %.17g norm no
run 0
write_dump all custom final.dump id type x y z vx vy vz fx fy fz c_pe c_stress[*] c_centroid[*] modify sort id format float %.17g
"""


def outputs(folder, atoms, pair, commands="", symbols=("O", "H"), ranks=1, units="metal"):
    """Atoms with their velocities, and everything that LAMMPS gives, by name, in its units."""
    write_data(folder / "atoms.data", atoms, list(symbols))
    start = START.format(boundary=boundary_of(atoms), first="", pair=pair)
    script = start.replace("units metal", f"units {units}") + THERMO + commands + OUTPUTS
    run = lmp(folder, script, ranks)
    assert run.returncode == 0, run.output[-3000:]
    (table,) = thermo(folder / "log.lammps")
    values = np.loadtxt(folder / "final.dump", skiprows=9)
    final, forces = read_dump(folder / "final.dump", symbols)
    return final, {
        "energy": table["PotEng"],
        "pressure": np.array([table[f"P{axes}"][0] for axes in ("xx", "yy", "zz", "xy", "xz", "yz")]),
        "heat flux": np.array([table[f"c_flux[{k}]"][0] for k in range(1, 7)]),
        "forces": forces,
        "atom energies": values[:, 11],
        "stress/atom": values[:, 12:18],
        "centroid/stress/atom": values[:, 18:27],
    }  # fmt: skip


def test_heat_flux_is_how_fast_energy_moves(tmp_path, models):
    """J = d/dt Σ r_i E_i, with the kinetic energy in E_i; exact without message passing."""
    commands = "velocity all create 3000 4928459 loop geom"
    pair = cace(models, "T0")
    atoms, found = outputs(tmp_path, SYSTEMS["cluster"](), pair, commands, ranks=2)
    velocities = atoms.get_array("velocities")

    def moment(time):
        """Σ r_i E_i, potential energy only, after a flight of this time."""
        later = atoms.copy()
        later.positions += time * velocities
        return predict_atoms(model_of("T0"), later).atom_energies.numpy() @ later.positions

    step = 1e-6  # ps
    potential = (moment(step) - moment(-step)) / (2 * step)
    kinetic_energies = 0.5 * 10 * 1.0364269e-4 * (velocities**2).sum(axis=1)  # eV
    powers = (found["forces"] * velocities).sum(axis=1)
    kinetic = kinetic_energies @ velocities + powers @ atoms.positions
    convective = (found["atom energies"] + kinetic_energies) @ velocities
    scale = np.abs(potential + kinetic - convective).max()
    assert scale > 0.1
    for part, expected in [(slice(0, 3), potential + kinetic), (slice(3, 6), convective)]:
        np.testing.assert_allclose(
            found["heat flux"][part], expected, rtol=0, atol=CONSTANTS * scale
        )


@pytest.mark.parametrize("model", ["T2", "tensors"])
def test_units_real_are_units_metal_times_constants(tmp_path, models, model):
    commands = "velocity all create 3000 4928459 loop geom"
    found = {}
    for units in ("metal", "real"):
        atoms, pair = SYSTEMS["triclinic"](), cace(models, model)
        _, found[units] = outputs(tmp_path, atoms, pair, commands, units=units)
    kcal_mol, atm = 23.060549, 68568.415 * 23.060549 / 1.6021765e6
    assert atm == pytest.approx(1 / 1.01325, rel=CONSTANTS)
    factors = {
        "energy": kcal_mol, "forces": kcal_mol, "atom energies": kcal_mol, "pressure": atm,
        "stress/atom": atm, "centroid/stress/atom": atm, "heat flux": kcal_mol / 1000,
    }  # fmt: skip
    for name, factor in factors.items():
        assert_close(found["real"][name], factor * found["metal"][name], within=CONSTANTS)


@pytest.mark.parametrize("model", ["T2", "tensors"])
def test_derivatives_that_lammps_takes(tmp_path, models, model):
    """Forces and virial against differences of energies, both from LAMMPS."""
    commands = """
fix 1 all numdiff 1 1e-4
fix 2 all numdiff/virial 1 1e-4
thermo_style custom step pe vol press c_virial[*] f_2[*]
run 0
write_dump all custom numdiff.dump id f_1[*] modify sort id format float %.17g
"""
    found = run_to_the_end(
        tmp_path, SYSTEMS["triclinic"](), cace(models, model), commands, ranks=2,
        first="atom_modify map yes",
    )  # fmt: skip
    differences = np.loadtxt(tmp_path / "numdiff.dump", skiprows=9)[:, 1:]
    np.testing.assert_allclose(
        differences, found.forces, rtol=0, atol=DIFFERENCES * np.abs(found.forces).max()
    )
    (table,) = thermo(tmp_path / "log.lammps")
    pressures = np.array([table[f"f_2[{k}]"][0] for k in range(1, 7)])
    expected = -BAR["metal"] * found.stress
    np.testing.assert_allclose(
        pressures, expected, rtol=0, atol=DIFFERENCES * np.abs(expected).max()
    )


def test_a_model_of_pairs_is_a_pair_potential(tmp_path):
    """Linear in functions of one neighbor: the same as `pair_style table` made from dimers."""
    settings = settings_of("nu1", l_max=0, elements=("O",), readout_hidden=())
    model = random_model(settings)
    save_checkpoint(tmp_path / "m.cace.pt", model, settings, {})
    export_checkpoint(tmp_path / "m.cace.pt", tmp_path / "m.pt", None)
    alone = float(predict_atoms(model, ase.Atoms("O")).energies[0])
    lines = []
    radii = np.linspace(0.7, 3.5, 401).tolist()
    for k, radius in enumerate(radii, start=1):
        dimer = predict_atoms(model, ase.Atoms("O2", [[0, 0, 0], [radius, 0, 0]]))
        energy, force = float(dimer.energies[0]) - 2 * alone, float(dimer.forces[1, 0])
        lines.append(f"{k} {radius!r} {energy!r} {force!r}")
    (tmp_path / "dimer.table").write_text("DIMER\nN 401 R 0.7 3.5\n\n" + "\n".join(lines) + "\n")

    atoms = SYSTEMS["liquid"]()
    atoms.symbols[:] = "O"
    commands = "velocity all create 3000 4928459 loop geom"
    pairs = [
        f"pair_style cace\npair_coeff * * {tmp_path / 'm.pt'} O",
        "pair_style table spline 4001\npair_coeff * * dimer.table DIMER",
    ]
    (_, found), (_, expected) = [
        outputs(tmp_path, atoms, pair, commands, ["O"], 2) for pair in pairs
    ]
    found["energy"] -= len(atoms) * alone
    found["atom energies"] -= alone
    for name in expected:
        assert np.abs(expected[name]).max() > 0.1
        assert_close(found[name], expected[name], within=1e-8)  # of a spline of 401 points
