"""`pair_style cace` in the real `lmp` against the model in Python."""

import ase
import numpy as np
import pytest
import torch
from ase.stress import full_3x3_to_voigt_6_stress
from helpers import assert_close, predict_atoms, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.io.checkpoint import save_checkpoint
from run_lmp import lmp, single_point, write_data
from systems import SYSTEMS
from tolerances import CONSTANTS, ORIGINAL_CODE

KIND = {"T0": "T0", "T2": "T2-all", "tensors": "tensors"}


def cace(models, name, elements="O H"):
    return f"pair_style cace\npair_coeff * * {models / name}.pt {elements}"


def check(found, atoms, name, within=None):
    """Compare a single point with the model in Python."""
    expected = predict_atoms(random_model(settings_of(KIND[name])), atoms)
    assert_close(found.energy, expected.energies[0], within=within)
    assert_close(found.forces, expected.forces, within=within)
    assert_close(found.atom_energies, expected.atom_energies, within=within)
    if atoms.pbc.all():
        stress = full_3x3_to_voigt_6_stress(expected.stresses[0].numpy())
        assert_close(found.virial_stress, stress, within=within)
    assert_close(found.atom_virials, found.virial_stress, within=within)


@pytest.mark.parametrize("model", KIND)
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system(tmp_path, models, system, model):
    atoms = SYSTEMS[system]()
    check(single_point(tmp_path, atoms, cace(models, model)), atoms, model)


@pytest.mark.parametrize("system", ["molecule", "slab", "cluster"])
def test_shrink_wrapped_boundaries(tmp_path, models, system):
    atoms = SYSTEMS[system]()
    found = single_point(tmp_path, atoms, cace(models, "T2"), open_kind="s")
    check(found, atoms, "T2")


@pytest.mark.parametrize("system", ["liquid", "triclinic", "slab", "smaller than two cutoffs"])
@pytest.mark.parametrize("ranks", [2, 4])
def test_several_ranks(tmp_path, models, system, ranks):
    atoms = SYSTEMS[system]()
    check(single_point(tmp_path, atoms, cace(models, "T0"), ranks=ranks), atoms, "T0")


def test_ranks_without_atoms(tmp_path, models):
    atoms = SYSTEMS["molecule"]()
    atoms.positions += [1.0, 5.0, 5.0]
    atoms += ase.Atoms("O", [[40.0, 5.0, 5.0]])
    found = single_point(
        tmp_path, atoms, cace(models, "T0"), ranks=4, before_box="processors 4 1 1"
    )
    check(found, atoms, "T0")


def test_units_real(tmp_path, models):
    atoms = SYSTEMS["triclinic"]()
    found = single_point(tmp_path, atoms, cace(models, "T2"), units="real")
    check(found, atoms, "T2", within=CONSTANTS)


def test_several_types_of_one_element(tmp_path, models):
    atoms = SYSTEMS["liquid"]()
    relabelled = atoms.copy()
    relabelled.symbols[:4] = "X"  # oxygen and hydrogen in one type would be an error
    relabelled.symbols[[k for k in range(4) if atoms.symbols[k] == "O"]] = "Ne"
    relabelled.symbols[[k for k in range(4) if atoms.symbols[k] == "H"]] = "He"
    found = single_point(
        tmp_path, relabelled, cace(models, "T2", "O H O H"), symbols=("O", "H", "Ne", "He")
    )
    check(found, atoms, "T2")


def test_hybrid_with_itself_at_half_weight(tmp_path, models):
    atoms = SYSTEMS["liquid"]()
    model = models / "T2.pt"
    pair = (
        "pair_style hybrid/scaled 0.5 cace 0.5 cace\n"
        f"pair_coeff * * cace 1 {model} O H\npair_coeff * * cace 2 {model} O H"
    )
    check(single_point(tmp_path, atoms, pair), atoms, "T2")


def test_hybrid_overlay_adds_to_what_is_there(tmp_path, models):
    atoms = SYSTEMS["liquid"]()
    zbl = "pair_coeff 1 1 zbl 8 8\npair_coeff 1 2 zbl 8 1\npair_coeff 2 2 zbl 1 1"
    (tmp_path / "zbl").mkdir()
    alone = single_point(
        tmp_path / "zbl", atoms, "pair_style zbl 1.0 2.0\n" + zbl.replace(" zbl", "")
    )
    assert np.abs(alone.forces).max() > 0.1
    for order in ("cace zbl 1.0 2.0", "zbl 1.0 2.0 cace"):
        pair = (
            f"pair_style hybrid/overlay {order}\npair_coeff * * cace {models / 'T2.pt'} O H\n{zbl}"
        )
        both = single_point(tmp_path, atoms, pair)
        for name in ("energy", "forces", "atom_energies", "virial_stress"):
            setattr(both, name, getattr(both, name) - getattr(alone, name))
        both.atom_virials = both.virial_stress
        check(both, atoms, "T2")


def test_repulsion_is_that_of_lammps(tmp_path):
    """A dimer at short range, with a model that has ZBL and with the pair style zbl."""
    settings = settings_of("zbl")
    model = random_model(settings)
    with torch.no_grad():
        for parameter in [*model.readout.parameters(), model.elements.E0]:
            parameter.zero_()
    save_checkpoint(tmp_path / "m.cace.pt", model, settings, {})
    export_checkpoint(tmp_path / "m.cace.pt", tmp_path / "m.pt", "float64")
    atoms = ase.Atoms("OH", [[0, 0, 0], [0.3, 0, 0]])
    ours = single_point(tmp_path, atoms, f"pair_style cace\npair_coeff * * {tmp_path / 'm.pt'} O H")
    zbl = "pair_style zbl 2.9 3.0\npair_coeff 1 1 8 8\npair_coeff 1 2 8 1\npair_coeff 2 2 1 1"
    theirs = single_point(tmp_path, atoms, zbl)
    x = 0.3 / settings.zbl_cutoff
    switch = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
    # LAMMPS shifts its potential to vanish at 3.0 Å, by 1e-3 of the energy here.
    assert ours.energy == pytest.approx(theirs.energy * switch, rel=5e-3)
    assert ours.energy > 20


@pytest.mark.parametrize("model, ranks", [("T0", 1), ("T0", 2), ("T2", 1)])
def test_types_left_to_a_hybrid_partner(tmp_path, models, model, ranks):
    atoms = SYSTEMS["liquid"]()
    argon = atoms.copy()
    argon.symbols[::3] = "Ar"
    pair = (
        "pair_style hybrid/overlay cace lj/cut 3.0\n"
        f"pair_coeff * * cace {models / model}.pt O H NULL\npair_coeff * 3 lj/cut 0.0 1.0"
    )
    found = single_point(tmp_path, argon, pair, symbols=("O", "H", "Ar"), ranks=ranks)
    ours = np.flatnonzero(argon.numbers != 18)
    expected = predict_atoms(random_model(settings_of(KIND[model])), atoms[ours])
    assert_close(found.forces[ours], expected.forces)
    assert_close(found.atom_energies[ours], expected.atom_energies)
    others = np.flatnonzero(argon.numbers == 18)
    assert not found.forces[others].any() and not found.atom_energies[others].any()


def test_the_device_keyword(tmp_path, models):
    atoms = SYSTEMS["molecule"]()
    for device in ("cpu", "auto"):
        pair = cace(models, "T2").replace("pair_style cace", f"pair_style cace device {device}")
        check(single_point(tmp_path, atoms, pair), atoms, "T2")


def test_the_log_says_what_was_loaded(tmp_path, models):
    single_point(tmp_path, SYSTEMS["molecule"](), cace(models, "T2"))
    log = (tmp_path / "log.lammps").read_text()
    assert (
        f"Pair style cace: {models / 'T2.pt'} (elements H O; cutoff 3.5 Angstrom; 2 "
        "message-passing layers; float64) on cpu"
    ) in log


MOLECULAR_DYNAMICS = """\
units metal
boundary p p p
read_data atoms.data
{pair}
neighbor 0.3 bin
neigh_modify every 1 delay 0 check yes
minimize 0 1e-4 200 400
reset_timestep 0
velocity all create 300 4928459 loop geom
fix 1 all nve
timestep 0.000025
thermo 40
thermo_style custom step temp pe etotal
thermo_modify format float %.15g
run {steps}
"""


def total_energies(run):
    log = (run.folder / "log.lammps").read_text()
    block = log.split("Step ")[-1].split("Loop time")[0].splitlines()[1:]
    return np.array([float(line.split()[3]) for line in block if len(line.split()) == 4])


@pytest.mark.parametrize("model, ranks", [("T0", 1), ("T0", 2), ("T2", 1)])
def test_energy_is_conserved_while_neighbors_change(tmp_path, models, model, ranks):
    atoms = SYSTEMS["liquid"]()
    write_data(tmp_path / "atoms.data", atoms, ["O", "H"])
    script = MOLECULAR_DYNAMICS.format(pair=cace(models, model), steps=4000)
    run = lmp(tmp_path, script, ranks)
    assert run.returncode == 0, run.output
    builds = int(run.output.split("Neighbor list builds = ")[-1].split()[0])
    assert builds > 3
    energies = total_energies(run) / len(atoms)
    assert len(energies) == 101
    # eV per atom, at 300 K of kinetic energy (0.04 eV). A random model has walls so steep that steps of
    # 0.1 fs err by 5e-4 where two atoms meet; with these steps what is left is 1e-6.
    assert np.ptp(energies) < 1e-5


def test_runs_after_clear_and_with_a_new_model(tmp_path, models):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    part = "units metal\nread_data atoms.data\n{}\nrun 0\nprint 'PE $(pe:%.15g)'\n"
    script = "".join(
        part.format(cace(models, name)) + "clear\n" for name in ("T0", "T2", "T0")
    ) + part.format(cace(models, "T0") + f"\npair_coeff * * {models / 'T2.pt'} O H")
    run = lmp(tmp_path, script)
    assert run.returncode == 0, run.output
    first, second, third, fourth = [
        float(line.split()[1]) for line in run.output.splitlines() if line.startswith("PE")
    ]
    assert first == third and second == fourth and first != second


@pytest.mark.parametrize("change", ["2x1x1", "triclinic", "as it is"])
def test_published_water_model(tmp_path, shared, change):
    """Done-when of the project: convert, export, `lmp`; equal to ASE and to the reference."""
    from pair_cace.cli.convert import convert_model

    from pair_cace import CACECalculator

    convert_model(shared / "reference" / "water.pth", tmp_path / "w.cace.pt", {})
    export_checkpoint(tmp_path / "w.cace.pt", tmp_path / "w.pt", "float64")
    reference = np.load(shared / "reference" / "water.npz")
    s = {"as it is": "s0", "triclinic": "s2", "2x1x1": "s4"}[change]
    atoms = ase.Atoms(
        numbers=reference[f"{s}_numbers"], positions=reference[f"{s}_positions"],
        cell=reference[f"{s}_cell"], pbc=True,
    )  # fmt: skip
    forces, stress = reference[f"{s}_forces"], reference[f"{s}_stress"]
    rotation = np.eye(3)
    if not np.allclose(atoms.cell.array, np.tril(atoms.cell.array)):
        standard, rotation = atoms.cell.standard_form()
        atoms.set_cell(standard, scale_atoms=True)
    atoms.calc = CACECalculator(tmp_path / "w.pt")
    pair = f"pair_style cace\npair_coeff * * {tmp_path / 'w.pt'} O H"
    found = single_point(tmp_path, atoms, pair)
    rotated = rotation @ stress @ rotation.T
    for of_lmp, of_ase, of_reference in [
        (found.energy, atoms.get_potential_energy(), reference[f"{s}_energy"]),
        (found.forces, atoms.get_forces(), forces @ rotation.T),
        (found.atom_energies, atoms.get_potential_energies(), reference[f"{s}_atom_energies"]),
        (found.virial_stress, atoms.get_stress(), full_3x3_to_voigt_6_stress(rotated)),
    ]:
        assert_close(of_lmp, of_ase)
        np.testing.assert_allclose(of_lmp, of_reference, rtol=0, atol=ORIGINAL_CODE)
