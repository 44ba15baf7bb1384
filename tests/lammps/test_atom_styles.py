"""Atoms with charges or bonds: the same potential, if LAMMPS shows it all neighbors."""

import pytest
from final_state import FINISH, THERMO, cace, model_of, read_dump, thermo
from helpers import assert_close, predict_atoms
from run_lmp import lmp

ATOMS = {
    "charge": "Atoms # charge\n\n1 1 0.5 4 4 4\n2 2 -0.5 4.9 4 4\n3 2 0 4 4.9 4\n4 1 0 6 6 6\n",
    "full": "Atoms # full\n\n1 1 1 0 4 4 4\n2 1 2 0 4.9 4 4\n3 1 2 0 4 4.9 4\n4 2 1 0 6 6 6\n\n"
    "Bonds\n\n1 1 1 2\n2 1 1 3\n",
    "template": "Atoms # template\n\n1 1 1 1 1 4 4 4\n2 1 1 2 2 4.9 4 4\n3 1 1 3 2 4 4.9 4\n"
    "4 0 0 0 1 6 6 6\n",
}
COUNTS = {"charge": "", "full": "2 bonds\n1 bond types\n", "template": "1 bond types\n"}
MOLECULE = """\
water

3 atoms
2 bonds

Coords

1 0 0 0
2 0.9 0 0
3 0 0.9 0

Types

1 1
2 2
3 2

Bonds

1 1 1 2
2 1 1 3

Special Bond Counts

1 2 0 0
2 1 1 0
3 1 1 0

Special Bonds

1 2 3
2 1 3
3 1 2
"""


def run_of_atom_style(folder, models, style, special):
    (folder / "atoms.data").write_text(
        f"water\n\n4 atoms\n2 atom types\n{COUNTS[style]}\n0 9 xlo xhi\n0 9 ylo yhi\n0 9 zlo zhi\n\n"
        f"Masses\n\n1 16\n2 1\n\n{ATOMS[style]}"
    )
    (folder / "water.mol").write_text(MOLECULE)
    name = "template 1" if style == "template" else style
    bonds = "" if style == "charge" else "bond_style zero"
    script = f"""
units metal
molecule 1 water.mol
atom_style {name}
{bonds}
read_data atoms.data
{special}
{bonds and "bond_coeff * 1.0"}
{cace(models, "T2")}
{THERMO}
run 0
"""
    return lmp(folder, script + FINISH.format(name="final.dump"), ranks=2)


@pytest.mark.parametrize("style", ATOMS)
def test_atom_styles(tmp_path, models, style):
    run = run_of_atom_style(tmp_path, models, style, "special_bonds lj/coul 1 1 1")
    assert run.returncode == 0, run.output
    atoms, forces = read_dump(tmp_path / "final.dump", ["O", "H"])
    expected = predict_atoms(model_of("T2"), atoms)
    assert_close(thermo(tmp_path / "log.lammps")[0]["PotEng"][0], expected.energies[0])
    assert_close(forces, expected.forces)


@pytest.mark.parametrize("style", ["full", "template"])
def test_bonded_neighbors_are_not_lost_unnoticed(tmp_path, models, style):
    run = run_of_atom_style(tmp_path, models, style, "")
    assert "expected 'special_bonds lj/coul 1.0 1.0 1.0' for atoms with bonds" in run.output
