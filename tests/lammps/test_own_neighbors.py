"""`pair_style cace neighbors own`: lists of our own, where the model is, give what those of LAMMPS give."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from final_state import check, run_to_the_end
from helpers import assert_close
from run_lmp import lmp, single_point, write_data
from systems import CUTOFF, SYSTEMS
from test_descriptors import run as run_descriptors
from test_pair_style import check as check_single_point
from test_ranks import gas
from tolerances import PRINTED_DIGITS

OWN = "neighbors own"


def cace(models, name, keywords=OWN, elements="O H"):
    return f"pair_style cace {keywords}\npair_coeff * * {models / name}.pt {elements}"


@pytest.mark.parametrize("model", ["T0", "T2", "tensors"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system(tmp_path, models, system, model):
    atoms = SYSTEMS[system]()
    check_single_point(single_point(tmp_path, atoms, cace(models, model)), atoms, model)


@pytest.mark.parametrize("system", ["liquid", "triclinic", "slab", "gas"])
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("model", ["T0", "T2", "tensors"])
def test_several_ranks(tmp_path, models, system, ranks, model):
    atoms = gas() if system == "gas" else SYSTEMS[system]()
    found = single_point(tmp_path, atoms, cace(models, model), ranks=ranks)
    check_single_point(found, atoms, model)


# The box and the atoms change, lists are kept for some steps and built anew.
RUNS = {
    "nve": "velocity all create 3000 4928459 loop geom\nfix 1 all nve\nrun 60\n",
    "npt": "velocity all create 3000 4928459 loop geom\n"
    "fix 1 all npt temp 3000 3000 0.05 tri 0 0 0.5\nrun 60\n",
    "minimize": "minimize 0 1e-3 20 100\n",
    "lattice": "fix 1 all box/relax iso 0\nminimize 0 1e-3 10 50\n",
    "fewer atoms": "run 0\ndelete_atoms random count 5 no all NULL 12345 compress yes\nrun 3\n",
    "another skin": "velocity all create 3000 4928459 loop geom\nfix 1 all nve\nrun 10\n"
    "neighbor 1.0 bin\nrun 30\n",
    "other elements": "fix 1 all nve\nrun 3\nset atom 1*4 type 2\nrun 3\n",
    "repeated cell": "run 0\nreplicate 2 1 1\nrun 1\n",
    "an exclusion of a fix": "fix 1 all nve\nfix 2 all gcmc 1 5 0 1 7182 3000 -1.0 0.1 full_energy\n"
    "run 2\nrun 2\n",
}


@pytest.mark.parametrize("commands", RUNS)
@pytest.mark.parametrize("model, ranks", [("T2-zbl", 1), ("T2-zbl", 2), ("free-zbl", 2)])
def test_runs(tmp_path, models, commands, model, ranks):
    atoms = SYSTEMS["triclinic"]()
    state = run_to_the_end(
        tmp_path, atoms, cace(models, model), RUNS[commands], ranks=ranks,
        first="atom_modify map yes",
    )  # fmt: skip
    check(state, model)


FALL_TOGETHER = """\
neighbor 6.0 bin
neigh_modify check no every 1000 delay 1000
variable vx atom -80*x
variable vy atom -80*y
variable vz atom -80*z
velocity all set v_vx v_vy v_vz
fix 1 all nve
run 8
"""


@pytest.mark.parametrize("model", ["T2-zbl", "free-zbl"])
def test_more_edges_than_there_were_when_the_list_was_built(tmp_path, models, model):
    atoms = SYSTEMS["cluster"]()
    atoms.positions *= 1.4
    state = run_to_the_end(tmp_path, atoms, cace(models, model), FALL_TOGETHER, open_kind="s")
    assert "Neighbor list builds = 0" in state.run.output
    n_before, n_after = (len(neighbor_list("i", a, CUTOFF)) for a in (atoms, state.atoms))
    assert n_after > 1.2 * n_before
    check(state, model)


@pytest.mark.parametrize("model", ["T2", "tensors"])
def test_a_type_that_is_not_treated(tmp_path, models, model):
    atoms = SYSTEMS["liquid"]()
    atoms.symbols[:6] = "He"
    pair = f"pair_style hybrid/overlay cace {OWN} zero 3.0\npair_coeff * * zero\n"
    pair += f"pair_coeff * * cace {models / model}.pt O H NULL"
    found = single_point(tmp_path, atoms, pair, symbols=("O", "H", "He"))
    assert not found.forces[:6].any() and not found.atom_energies[:6].any()
    rest = atoms[6:]
    expected = single_point(tmp_path, rest, cace(models, model, "neighbors lammps"))
    assert_close(found.energy, expected.energy)
    assert_close(found.forces[6:], expected.forces)
    assert_close(found.atom_virials, expected.atom_virials)


@pytest.mark.parametrize("model", ["T0", "T2", "tensors"])
def test_descriptors(tmp_path, models, model):
    tables = []
    for choice in ("own", "lammps"):
        _, result = run_descriptors(
            tmp_path, models, pair=cace(models, model, f"neighbors {choice}")
        )
        assert result.returncode == 0, result.output
        tables.append(np.loadtxt(tmp_path / "atoms.dump", skiprows=9))
    assert_close(*tables)


COMMITTEE = """\
units metal
read_data atoms.data
pair_style cace {keywords} deviation 5 deviation.txt
pair_coeff * * {models}/T0-zbl.pt {models}/T2-zbl.pt {models}/free-zbl.pt O H
neighbor 0.3 bin
velocity all create 1000 1 loop geom
fix 1 all nve
timestep 0.0005
run 20
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_committee(tmp_path, models, ranks):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    tables = []
    for choice in (OWN, "neighbors lammps"):
        run = lmp(tmp_path, COMMITTEE.format(keywords=choice, models=models), ranks)
        assert run.returncode == 0, run.output
        tables.append(np.loadtxt(tmp_path / "deviation.txt"))
        (tmp_path / "deviation.txt").unlink()
    assert len(tables[0]) == 5
    np.testing.assert_allclose(tables[0], tables[1], rtol=PRINTED_DIGITS)


CHECKED = """\
units metal
read_data atoms.data
{pair}
{then}
run 0
"""


@pytest.mark.parametrize(
    "keywords, then, message",
    [
        (OWN, "neigh_modify exclude type 1 2", "expected no neigh_modify exclude or include"),
        ("neighbors", "", "expected own, lammps or auto after 'neighbors', got ''"),
        ("neighbors gpu", "", "expected own, lammps or auto after 'neighbors', got 'gpu'"),
        ("device cuda:x", "", "expected cpu, cuda, cuda:N or auto after 'device', got 'cuda:x'"),
        ("device cuda:-1", "", "expected cpu, cuda, cuda:N or auto after 'device', got 'cuda:-1'"),
    ],
)
def test_mistakes(tmp_path, models, keywords, then, message):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    run = lmp(tmp_path, CHECKED.format(pair=cace(models, "T0", keywords), then=then))
    assert run.returncode != 0 and message in run.error


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_at_the_same_place(tmp_path, models, ranks):
    atoms = SYSTEMS["liquid"]()
    atoms.positions[9] = atoms.positions[2]
    write_data(tmp_path / "atoms.data", atoms, ["O", "H"])
    run = lmp(tmp_path, CHECKED.format(pair=cace(models, "T2"), then=""), ranks)
    assert "two atoms are at the same place (atom IDs " in run.error
    assert {"3", "10"} == set(run.error.split("(atom IDs ")[1].split(")")[0].split(" and "))


def test_a_restart_keeps_the_choice(tmp_path, models):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    script = CHECKED.format(pair=cace(models, "T0"), then="")
    script += "write_restart a.restart\nclear\nread_restart a.restart\n"
    script += "neigh_modify exclude type 1 2\nrun 0\n"
    run = lmp(tmp_path, script)
    assert "because of 'neighbors own'" in run.error
