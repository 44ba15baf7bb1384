"""Reading labelled structures: what is read, and what is refused with which words."""

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from pair_cace.data.checks import check_structure
from pair_cace.data.reading import Keys, read_frames
from pair_cace.errors import CaceError
from systems import SYSTEMS
from tolerances import EIGHT_DECIMALS, ROUNDING


def labelled(name="liquid", **labels):
    atoms = SYSTEMS[name]()
    rng = np.random.default_rng(0)
    labels = dict(energy=-1.25, forces=rng.normal(size=(len(atoms), 3))) | labels
    atoms.calc = SinglePointCalculator(atoms, **{k: v for k, v in labels.items() if v is not None})
    return atoms


def write(path, *frames, **options):
    ase.io.write(path, list(frames), format="extxyz", **options)
    return path


def test_labels_under_their_usual_names(tmp_path):
    stress = np.arange(6.0)
    atoms = labelled(stress=stress)
    (frame,) = read_frames(write(tmp_path / "a.xyz", atoms))
    assert frame.energy == -1.25
    np.testing.assert_allclose(frame.forces, atoms.get_forces(), rtol=0, atol=EIGHT_DECIMALS)
    np.testing.assert_allclose(
        frame.stress, [[0, 5, 4], [5, 1, 3], [4, 3, 2]], rtol=0, atol=EIGHT_DECIMALS
    )
    assert frame.name.endswith("a.xyz, frame 0")


def test_labels_under_other_names(tmp_path):
    atoms = SYSTEMS["molecule"]()
    atoms.info["E_dft"] = -3.0
    atoms.arrays["F_dft"] = np.ones((3, 3))
    atoms.info["S_dft"] = np.eye(3).ravel()
    atoms.cell = [9.0, 9.0, 9.0]
    path = write(tmp_path / "a.xyz", atoms)
    (frame,) = read_frames(path, Keys("E_dft", "F_dft", "S_dft"), require=("energy", "stress"))
    assert frame.energy == -3.0 and frame.forces.sum() == 9.0
    assert np.array_equal(frame.stress, np.eye(3))


def test_a_name_with_an_at_sign_is_a_name(tmp_path):
    path = write(tmp_path / "CO@Cu111.xyz", labelled())
    write(tmp_path / "CO", labelled(energy=7.0))
    assert read_frames(path)[0].energy == -1.25


def test_a_virial_is_a_stress(tmp_path):
    atoms = labelled()
    virial = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
    atoms.info["virial"] = virial.ravel()
    (frame,) = read_frames(write(tmp_path / "a.xyz", atoms))
    np.testing.assert_allclose(frame.stress, -virial / atoms.cell.volume, rtol=ROUNDING)
    atoms.calc.results["stress"] = np.arange(6.0)  # the word of who wrote both
    (frame,) = read_frames(write(tmp_path / "b.xyz", atoms))
    np.testing.assert_allclose(np.diag(frame.stress), [0, 1, 2], rtol=0, atol=EIGHT_DECIMALS)


@pytest.mark.parametrize("key", ["stress", "virial"])
def test_there_is_no_stress_without_a_cell(tmp_path, key):
    atoms = labelled("molecule")
    atoms.info[key] = np.zeros(9)
    path = write(tmp_path / "a.xyz", atoms)
    assert read_frames(path)[0].stress is None
    with pytest.raises(CaceError, match="needs a cell of three vectors"):
        read_frames(path, require=("stress",))


def test_a_label_that_is_not_required_may_be_missing(tmp_path):
    (frame,) = read_frames(write(tmp_path / "a.xyz", labelled(forces=None)), require=("energy",))
    assert frame.forces is None and frame.stress is None


def test_other_formats_that_ase_reads(tmp_path):
    ase.io.write(tmp_path / "a.traj", [labelled(), labelled()])
    assert len(read_frames(tmp_path / "a.traj")) == 2


def positions_with_nan():
    atoms = labelled()
    atoms.positions[4, 1] = np.nan
    return atoms


def two_atoms_in_one_place():
    atoms = labelled()
    atoms.positions[7] = atoms.positions[3] + atoms.cell[0]
    return atoms


def forces_with_nan():
    forces = np.zeros((24, 3))
    forces[2, 2] = np.inf
    return labelled(forces=forces)


def no_volume():
    atoms = labelled()
    atoms.cell[2] = atoms.cell[1]
    return atoms


@pytest.mark.parametrize(
    "second_frame, message",
    [
        (
            lambda: labelled(energy=None),
            r"frame 1: expected the label 'energy' \(energy\), found f",
        ),
        (lambda: labelled(forces=None), "frame 1: expected the label 'forces' .* --forces-key"),
        (lambda: labelled(energy=np.nan), "frame 1: expected finite numbers for 'energy', found N"),
        (forces_with_nan, "frame 1: expected finite numbers for 'forces', found NaN or infinity"),
        (
            positions_with_nan,
            "frame 1: expected finite positions, found NaN or infinity for atom 4",
        ),
        (
            two_atoms_in_one_place,
            "frame 1: expected atoms apart .* atoms 3 and 7 at the same place",
        ),
        (no_volume, "frame 1: expected independent lattice vectors .* a cell of zero volume"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_frames_are_named(tmp_path, second_frame, message):
    path = write(tmp_path / "train.xyz", labelled(), second_frame(), labelled())
    with pytest.raises(CaceError, match=message) as caught:
        read_frames(path)
    assert "train.xyz" in str(caught.value)


def test_an_unknown_element_is_named(tmp_path):
    path = write(tmp_path / "a.xyz", labelled())
    with pytest.raises(CaceError, match=r"frame 0: .* the model knows \(C O\), found H"):
        read_frames(path, elements=("C", "O"))


def test_labels_of_the_wrong_shape_or_kind(tmp_path):
    atoms = SYSTEMS["molecule"]()
    atoms.info["E"] = "minus three"
    path = write(tmp_path / "a.xyz", atoms)
    with pytest.raises(CaceError, match="expected a number for 'E', found 'minus three'"):
        read_frames(path, Keys(energy="E"), require=("energy",))
    atoms.info["S"] = np.ones(5)
    path = write(tmp_path / "b.xyz", atoms)
    with pytest.raises(CaceError, match=r"expected shape \(3, 3\) for 'S', found \(5,\)"):
        read_frames(path, Keys(stress="S"), require=("stress",))


def test_a_dummy_atom_is_refused(tmp_path):
    atoms = labelled()
    atoms.numbers[2] = 0
    with pytest.raises(CaceError, match="expected a chemical element, found 'X' for atom 2"):
        read_frames(write(tmp_path / "a.xyz", atoms))


def test_files_that_are_not_structures(tmp_path):
    (tmp_path / "a.xyz").write_text("3\nProperties=species:S:1:pos:R:3\nH 0 0 0\n")
    with pytest.raises(CaceError, match="frame 0, line 1: expected 3 atoms, found 1"):
        read_frames(tmp_path / "a.xyz")
    (tmp_path / "b.xyz").write_text("")
    with pytest.raises(CaceError, match="b.xyz: .*"):
        read_frames(tmp_path / "b.xyz")
    with pytest.raises(CaceError, match="there is no such file"):
        read_frames(tmp_path / "absent.xyz")


def test_a_periodic_direction_needs_a_lattice_vector():
    atoms = ase.Atoms("H", pbc=[True, False, False], cell=[0, 5, 5])
    with pytest.raises(CaceError, match="x: expected a lattice vector in direction x"):
        check_structure(atoms, "x")


def test_a_slab_needs_two_independent_lattice_vectors():
    atoms = ase.Atoms("H", pbc=[True, True, False], cell=[[3, 0, 0], [6, 0, 0], [0, 0, 5]])
    with pytest.raises(CaceError, match="expected independent lattice vectors"):
        check_structure(atoms, "x")


def test_a_structure_that_has_blown_up():
    atoms = ase.Atoms("H2", [[0, 0, 0], [1e7, 0, 0]])
    with pytest.raises(CaceError, match="the structure has probably blown up"):
        check_structure(atoms, "x")


def test_far_apart_but_not_blown_up():
    check_structure(ase.Atoms("H2", [[0, 0, 0], [1e4, 0, 0]]), "x")


def test_no_atoms():
    with pytest.raises(CaceError, match="expected at least one atom"):
        check_structure(ase.Atoms(), "x")


VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <kpoints><generation param="Gamma"><v type="int" name="divisions"> 1 1 1 </v></generation>
  <varray name="kpointlist"><v> 0 0 0 </v></varray></kpoints>
 <parameters></parameters>
 <atominfo><atoms> 1 </atoms>
  <array name="atoms"><set><rc><c>Cu</c><c> 1</c></rc></set></array></atominfo>
 <structure name="initialpos"><crystal><varray name="basis">
  <v> 2.5 0 0 </v><v> 0 2.5 0 </v><v> 0 0 2.5 </v></varray></crystal>
  <varray name="positions"><v> 0 0 0 </v></varray></structure>
 <calculation>
  <structure><crystal><varray name="basis">
   <v> 2.5 0 0 </v><v> 0 2.5 0 </v><v> 0 0 2.5 </v></varray></crystal>
   <varray name="positions"><v> 0 0 0 </v></varray></structure>
  <varray name="forces"><v> 0.5 0 0 </v></varray>
  <scstep><energy><i name="e_fr_energy"> -3.7 </i><i name="e_0_energy"> -3.6 </i></energy></scstep>
  <energy><i name="e_fr_energy"> -3.7 </i><i name="e_wo_entrp"> -3.5 </i><i name="e_0_energy"> -3.6 </i></energy>
 </calculation>
</modeling>
"""


def test_energies_of_vasp_are_said_to_be_free_energies_or_not(tmp_path):
    path = tmp_path / "vasprun.xml"
    path.write_text(VASPRUN)
    (frame,) = read_frames(path)
    assert frame.energy == -3.6 and "extrapolated to σ → 0" in frame.remarks[0]
    (frame,) = read_frames(path, Keys(energy="free_energy"))
    assert frame.energy == -3.7 and frame.forces.tolist() == [[0.5, 0.0, 0.0]]
