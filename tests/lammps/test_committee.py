"""Several models in one `pair_coeff`: their mean, the first of them, and how far they are apart."""

import numpy as np
import pytest
from helpers import assert_close, predict_atoms, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.io.checkpoint import save_checkpoint
from run_lmp import lmp, single_point, write_data
from systems import SYSTEMS
from tolerances import AFTER_STEPS, CONSTANTS, PRINTED_DIGITS, SAME_MODEL

# Three models that differ in messages and cutoff.
MEMBERS = [
    settings_of("T2-all"),
    settings_of("T0", cutoff=3.1),
    settings_of("Bchi", cutoff=2.8),
    settings_of("tensors", cutoff=3.0),
]


@pytest.fixture(scope="module")
def committee(tmp_path_factory):
    """The words of pair_coeff that name the three files."""
    folder = tmp_path_factory.mktemp("committee")
    for k, settings in enumerate(MEMBERS):
        save_checkpoint(folder / f"{k}.cace.pt", random_model(settings, seed=k), settings, {})
        export_checkpoint(folder / f"{k}.cace.pt", folder / f"{k}.pt", None)
    return " ".join(str(folder / f"{k}.pt") for k in range(len(MEMBERS)))


def predictions(atoms):
    return [
        predict_atoms(random_model(settings, seed=k), atoms, settings.cutoff)
        for k, settings in enumerate(MEMBERS)
    ]


def values(atoms, name):
    return np.array([getattr(one, name).numpy() for one in predictions(atoms)])


def deviations(atoms):
    """The columns of the file behind the step, and ε_i, from the definitions."""
    forces, energies = values(atoms, "forces"), values(atoms, "energies")[:, 0]
    virials = -values(atoms, "stresses")[:, 0] * atoms.cell.volume / len(atoms)
    of_atoms = np.sqrt(((forces - forces.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
    of_virial = virials.std(axis=0)
    return of_atoms, [
        of_virial.max(), of_virial.min(), np.sqrt((of_virial**2).mean()),
        of_atoms.max(), of_atoms.min(), of_atoms.mean(), energies.std() / len(atoms),
    ]  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("units", ["metal", "real"])
def test_the_mean(tmp_path, committee, ranks, units):
    atoms = SYSTEMS["triclinic"]()
    pair = f"pair_style cace\npair_coeff * * {committee} O H"
    found = single_point(tmp_path, atoms, pair, ranks=ranks, units=units)
    within = CONSTANTS if units == "real" else SAME_MODEL
    assert_close(found.energy, values(atoms, "energies").mean(), within=within)
    assert_close(found.forces, values(atoms, "forces").mean(axis=0), within=within)
    assert_close(found.atom_energies, values(atoms, "atom_energies").mean(axis=0), within=within)
    stress = values(atoms, "stresses").mean(axis=0)[0]
    assert_close(found.virial_stress[:3], np.diag(stress), within=within)
    assert_close(found.virial_stress[3:], stress[[1, 0, 0], [2, 2, 1]], within=within)


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_first(tmp_path, committee, ranks):
    atoms = SYSTEMS["liquid"]()
    pair = f"pair_style cace committee first\npair_coeff * * {committee} O H"
    found = single_point(tmp_path, atoms, pair, ranks=ranks)
    first = predictions(atoms)[0]
    assert_close(found.energy, first.energies[0])
    assert_close(found.forces, first.forces)


RUN = """\
units {units}
read_data atoms.data
pair_style cace {keywords} deviation 2 devi.out
pair_coeff * * {committee} O H
neighbor 0.3 bin
fix 1 all nve
timestep 0.0001
fix spread all pair 1 cace force_deviation 1
compute spread all pair cace
variable largest equal c_spread[1]
{more}
thermo 1
thermo_style custom step pe c_spread[1] c_spread[2] c_spread[3] c_spread[4]
thermo_modify format float %.15g
run {steps}
print "SPREAD $(c_spread[1]:%.15g) $(c_spread[2]:%.15g) $(c_spread[3]:%.15g) $(c_spread[4]:%.15g)"
write_dump all custom atoms.dump id xu yu zu f_spread modify sort id format float %.17g
"""


@pytest.mark.parametrize("keywords", ["committee mean", "committee first"])
@pytest.mark.parametrize("ranks", [1, 3])
def test_deviations(tmp_path, committee, keywords, ranks):
    atoms = SYSTEMS["liquid"]()
    write_data(tmp_path / "atoms.data", atoms, ["O", "H"])
    script = RUN.format(units="metal", keywords=keywords, committee=committee, more="", steps=4)
    run = lmp(tmp_path, script, ranks)
    assert run.returncode == 0, run.output
    table = np.loadtxt(tmp_path / "devi.out")
    assert table[:, 0].tolist() == [0, 2, 4]
    of_atoms, columns = deviations(atoms)
    np.testing.assert_allclose(table[0, 1:], columns, rtol=PRINTED_DIGITS)
    dump = np.loadtxt(tmp_path / "atoms.dump", skiprows=9)
    atoms.positions = dump[:, 1:4]
    of_atoms, columns = deviations(atoms)
    np.testing.assert_allclose(table[2, 1:], columns, rtol=PRINTED_DIGITS)
    np.testing.assert_allclose(dump[:, 4], of_atoms, rtol=AFTER_STEPS)
    (line,) = [line for line in run.output.splitlines() if line.startswith("SPREAD")]
    np.testing.assert_allclose(np.array(line.split()[1:], float), columns[3:], rtol=AFTER_STEPS)
    header = (tmp_path / "devi.out").read_text().splitlines()[0].split()
    assert header[1:7] == "step max_devi_v min_devi_v avg_devi_v max_devi_f min_devi_f".split()[:6]


def test_a_deviation_that_was_not_asked_for(tmp_path, committee):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    script = RUN.format(units="metal", keywords="", committee=committee, more="", steps=4)
    script = script.replace(" deviation 2 devi.out", "").replace("thermo 1\n", "thermo 4\n")
    run = lmp(tmp_path, script)
    assert run.returncode == 0, run.output
    run = lmp(tmp_path, script.replace("force_deviation 1", "force_deviation 0"))
    assert "use 'fix pair ... force_deviation 1'" in run.error


def test_one_model_after_a_committee(tmp_path, committee):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    again = f"pair_coeff * * {committee.split()[0]} O H\nrun 0\nprint 'SPREAD $(c_spread[1])'\n"
    script = LINES.format(committee=committee, more="run 0\n" + again)
    run = lmp(tmp_path, script.replace(" deviation 5 devi.out", ""))
    assert run.returncode == 0, run.output
    assert "SPREAD 0\n" in run.output


LINES = """\
units metal
read_data atoms.data
pair_style cace deviation 5 devi.out
pair_coeff * * {committee} O H
compute spread all pair cace
thermo 5
thermo_style custom step pe c_spread[1]
{more}
"""


def test_the_last_of_several_evaluations_of_a_step_counts(tmp_path, committee):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    more = """\
minimize 0 1e-6 10 40
print "STEP $(step) $(c_spread[1]:%.15g)"
reset_timestep 0
run 0
displace_atoms all random 0.05 0.05 0.05 7
run 0
print "STEP $(step) $(c_spread[1]:%.15g)"
write_restart r.rest
"""
    run = lmp(tmp_path, LINES.format(committee=committee, more=more))
    assert run.returncode == 0, run.output
    minimized, displaced = [
        (int(line.split()[1]), float(line.split()[2]))
        for line in run.output.splitlines()
        if line.startswith("STEP")
    ]
    table = np.loadtxt(tmp_path / "devi.out")
    assert table[:, 0].tolist() == [0, 5, 10, 0]
    for row, (step, largest) in ((table[2], minimized), (table[3], displaced)):
        assert row[0] == step
        np.testing.assert_allclose(row[4], largest, rtol=PRINTED_DIGITS)
    heads = [
        k for k, line in enumerate((tmp_path / "devi.out").read_text().splitlines()) if "#" in line
    ]
    assert heads == [0, 4]  # steps went back once


def test_a_run_from_a_restart_file_adds_to_the_deviations(tmp_path, committee):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    run = lmp(tmp_path, LINES.format(
        committee=committee, more="fix 1 all nve\nrun 10\nwrite_restart r.rest"
    ))  # fmt: skip
    assert run.returncode == 0, run.output
    before = (tmp_path / "devi.out").read_text()
    (tmp_path / "devi.out").write_text(before + "          12   1.0e")  # killed while writing
    again = "read_restart r.rest\nfix 1 all nve\nrun 10"
    for _ in range(2):
        run = lmp(tmp_path, again)
        assert run.returncode == 0, run.output
    text = (tmp_path / "devi.out").read_text()
    assert text.startswith(before[: before.rindex("10 ")])
    rows = [line.split()[0] for line in text.splitlines() if not line.startswith("#")]
    assert rows == ["0", "5", "10", "15", "20", "10", "15", "20"]


def test_deviations_in_units_real(tmp_path, committee):
    atoms = SYSTEMS["liquid"]()
    write_data(tmp_path / "atoms.data", atoms, ["O", "H"])
    script = RUN.format(units="real", keywords="", committee=committee, more="", steps=0)
    run = lmp(tmp_path, script)
    assert run.returncode == 0, run.output
    expected = 23.060549 * np.array(deviations(atoms)[1])
    np.testing.assert_allclose(np.loadtxt(tmp_path / "devi.out")[1:], expected, rtol=PRINTED_DIGITS)


def test_a_run_that_halts_when_the_models_disagree(tmp_path, committee):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    halt = "fix halt all halt 1 v_largest > 0.0 error continue"
    run = lmp(tmp_path, RUN.format(
        units="metal", keywords="", committee=committee, more=halt, steps=50
    ))  # fmt: skip
    assert run.returncode == 0, run.output
    assert "Fix halt condition for fix-id halt met on step 1 " in run.output


def test_a_run_that_goes_on_adds_to_the_file(tmp_path, committee):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    first = RUN.format(
        units="metal", keywords="committee first", committee=committee, more="", steps=4
    )
    first += "write_restart r.bin\nclear\nread_restart r.bin\nfix 1 all nve\nrun 2\nrun 2\n"
    run = lmp(tmp_path, first)
    assert run.returncode == 0, run.output
    assert np.loadtxt(tmp_path / "devi.out")[:, 0].tolist() == [0, 2, 4, 6, 8]


def test_models_of_different_elements(tmp_path, committee):
    settings = settings_of("T0", elements=("H", "C", "O"))
    save_checkpoint(tmp_path / "x.cace.pt", random_model(settings), settings, {})
    export_checkpoint(tmp_path / "x.cace.pt", tmp_path / "x.pt", None)
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    run = lmp(tmp_path, RUN.format(
        units="metal", keywords="", committee=committee + " x.pt", more="", steps=0
    ))  # fmt: skip
    assert run.returncode != 0
    assert "expected models of the same elements in one committee, got H O in" in run.error
