"""The ASE calculator."""

import pickle
import warnings

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces
from helpers import extent_of_water, predict_atoms, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.data.graph import Graph
from pair_cace.data.local_density import local_densities
from pair_cace.errors import CaceError
from pair_cace.io.checkpoint import save_checkpoint
from systems import CUTOFF, SYSTEMS
from tolerances import DIFFERENCES, FLOAT32_ENERGY, FLOAT32_FORCE, ROUNDING, SAME_MODEL

from pair_cace import CACECalculator


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calculator")
    settings = settings_of("T2-all")
    save_checkpoint(folder / "m.cace.pt", random_model(settings), settings, {})
    export_checkpoint(folder / "m.cace.pt", folder / "m.pt", None)
    return folder


@pytest.mark.parametrize("name", ["m.pt", "m.cace.pt"])
def test_every_property(files, name):
    atoms = SYSTEMS["triclinic"]()
    atoms.calc = CACECalculator(files / name)
    expected = predict_atoms(random_model(settings_of("T2-all")), atoms)
    same = {"rtol": 0.0, "atol": SAME_MODEL}
    np.testing.assert_allclose(atoms.get_potential_energy(), expected.energies[0], **same)
    free_energy = atoms.get_potential_energy(force_consistent=True)
    assert free_energy == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, **same)
    np.testing.assert_allclose(atoms.get_potential_energies(), expected.atom_energies, **same)
    np.testing.assert_allclose(
        atoms.get_stress(voigt=False), expected.stresses[0], rtol=0, atol=ROUNDING
    )


@pytest.mark.parametrize("name", ["m.pt", "m.cace.pt"])
def test_other_processes_get_a_calculator_that_works(files, name):
    atoms = SYSTEMS["triclinic"]()
    atoms.calc = CACECalculator(files / name)
    energy = atoms.get_potential_energy()
    there = pickle.loads(pickle.dumps(atoms))
    assert there.calc.results["energy"] == energy
    there.positions += 0.5
    assert there.get_potential_energy() == pytest.approx(energy, abs=SAME_MODEL)


@pytest.mark.parametrize("name", ["m32.pt", "m32.cace.pt"])
def test_precision_of_choice(files, name):
    """Forces of a float32 model in float64 are the derivative of its energy to many digits."""
    model, settings = (
        random_model(settings_of("T2-all"), dtype=torch.float32),
        settings_of("T2-all"),
    )
    save_checkpoint(files / "m32.cace.pt", model, settings, {})
    export_checkpoint(files / "m32.cace.pt", files / "m32.pt", None)
    atoms = SYSTEMS["triclinic"]()
    single = CACECalculator(files / name).get_potential_energy(atoms)
    for dtype, digits in (("float32", 0.0), ("float64", FLOAT32_ENERGY)):
        atoms.calc = CACECalculator(files / name, dtype=dtype)
        assert atoms.get_potential_energy() == pytest.approx(single, abs=digits)
    numeric = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[3], icarts=[0, 1, 2])
    np.testing.assert_allclose(atoms.get_forces()[3], numeric[0], rtol=0, atol=DIFFERENCES)
    with pytest.raises(CaceError, match="expected dtype float32 or float64, got 'double'"):
        CACECalculator(files / name, dtype="double")
    with pytest.raises(CaceError, match="export it again with --dtype float32"):
        CACECalculator(files / "m.pt", dtype="float32")
    assert CACECalculator(files / "m.cace.pt", dtype="float32").model.dtype == torch.float32


def test_a_committee_is_for_lammps(files):
    with pytest.raises(CaceError, match="expected one model, got 2"):
        CACECalculator([files / "m.pt", files / "m.pt"])


def test_stress_needs_a_cell(files):
    atoms = SYSTEMS["molecule"]()
    atoms.calc = CACECalculator(files / "m.pt")
    assert np.isfinite(atoms.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="three lattice vectors"):
        atoms.get_stress()


def test_an_element_that_was_never_trained(files):
    atoms = ase.Atoms("CO", [[0, 0, 0], [1.1, 0, 0]], calculator=CACECalculator(files / "m.pt"))
    with pytest.raises(CaceError, match=r"elements that the model knows \(H O\), found C"):
        atoms.get_potential_energy()


def test_elements_in_between_on_request(tmp_path):
    settings = settings_of("T0", elements=("C", "O"))
    save_checkpoint(tmp_path / "m.cace.pt", random_model(settings), settings, {})
    atoms = ase.Atoms("CN", [[0, 0, 0], [1.1, 0, 0]])
    with pytest.warns(UserWarning, match="not trained on are a guess"):
        atoms.calc = CACECalculator(tmp_path / "m.cace.pt", extrapolate=True)
    assert np.isfinite(atoms.get_potential_energy())
    atoms.symbols[1] = "F"
    with pytest.raises(CaceError, match=r"the model knows \(C N O\), found F"):
        atoms.get_potential_energy()


def test_misspelled_arguments_are_refused(files):
    with pytest.raises(TypeError, match="unexpected keyword argument 'extrapolte'"):
        CACECalculator(files / "m.pt", extrapolte=True)


def test_positions_that_are_not_numbers(files):
    atoms = SYSTEMS["molecule"]()
    atoms.calc = CACECalculator(files / "m.pt")
    atoms.positions[1] = np.nan
    with pytest.raises(CaceError, match="NaN or infinity for atom 1"):
        atoms.get_forces()


def test_liquid_water_in_two_by_one_cells(shared, tmp_path):
    from pair_cace.cli.convert import convert_model

    convert_model(shared / "reference" / "water.pth", tmp_path / "w.cace.pt", {})
    reference = np.load(shared / "reference" / "water.npz")
    atoms = ase.Atoms(
        numbers=reference["s4_numbers"], positions=reference["s4_positions"],
        cell=reference["s4_cell"], pbc=True, calculator=CACECalculator(tmp_path / "w.cace.pt"),
    )  # fmt: skip
    np.testing.assert_allclose(
        atoms.get_forces(), reference["s4_forces"], rtol=0, atol=FLOAT32_FORCE
    )


# ---- outside of what the model was trained on ----------------------------------------------------


def pair_of_oxygen(distance):
    return ase.Atoms("O2", [[0, 0, 0], [distance, 0, 0]])


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """A checkpoint and an export that know what they were trained on."""
    folder = tmp_path_factory.mktemp("knowing")
    settings = settings_of("T0")
    save_checkpoint(folder / "m.cace.pt", random_model(settings), settings, {}, extent_of_water())
    export_checkpoint(folder / "m.cace.pt", folder / "m.pt", None)
    return folder


def warnings_during(calculator, structures):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for atoms in structures:
            calculator.get_potential_energy(atoms)
    return [str(one.message) for one in caught if issubclass(one.category, UserWarning)]


@pytest.mark.parametrize("name", ["m.pt", "m.cace.pt"])
def test_a_contact_is_said_once(knowing, name):
    calculator = CACECalculator(knowing / name)
    found = warnings_during(calculator, map(pair_of_oxygen, (2.07, 2.0, 0.8, 1.5)))
    assert found == ["O-O at 2.00 Å, closest in training 2.10 Å, calculation 2"]
    seen = calculator.outside.contacts["O-O"]
    assert (seen.count, seen.calculation) == (3, 3)
    assert seen.closest == pytest.approx(0.8, rel=ROUNDING)
    water = SYSTEMS["molecule"]()
    water.positions[1] *= 0.7
    (text,) = warnings_during(calculator, [water])
    assert text.startswith("H-O at 0.68 Å, closest in training 0.90 Å")
    assert calculator.outside.contacts["H-O"].count == 1


def test_a_calculator_stops_or_is_silent(knowing, files):
    with pytest.raises(
        CaceError, match="O-O at 0.80 Å, closest in training 2.10 Å, calculation 1; "
    ):
        CACECalculator(knowing / "m.pt", outside="stop").get_potential_energy(pair_of_oxygen(0.8))
    silent = CACECalculator(knowing / "m.pt", outside="ignore")
    assert warnings_during(silent, [pair_of_oxygen(0.8)]) == []
    assert warnings_during(CACECalculator(files / "m.pt"), [pair_of_oxygen(0.8)]) == []
    with pytest.raises(
        CaceError, match="outside='stop' needs a model that says what it was trained"
    ):
        CACECalculator(files / "m.pt", outside="stop")
    with pytest.raises(CaceError, match="expected outside warn, stop or ignore, got 'quiet'"):
        CACECalculator(knowing / "m.pt", outside="quiet")


def test_densities_that_training_did_not_have(tmp_path):
    settings, atoms = settings_of("T0"), SYSTEMS["liquid"]()
    density = float(local_densities(Graph.of(atoms, CUTOFF), CUTOFF)[atoms.numbers == 8].mean())
    known = {"H": [(1e-6, 10.0)], "O": [(0.9 * density, density)]}
    extent = extent_of_water(closest={"H-H": 0.1, "H-O": 0.1, "O-O": 0.1}, mean_densities=known)
    save_checkpoint(tmp_path / "m.cace.pt", random_model(settings), settings, {}, extent)
    stretched = atoms.copy()
    stretched.set_cell(1.1 * atoms.cell, scale_atoms=True)
    found = warnings_during(CACECalculator(tmp_path / "m.cace.pt"), [atoms, stretched])
    (text,) = found
    assert text.startswith("mean density around O ")
    assert text.endswith(
        f" atoms/Å³, in training {0.9 * density:.4f} to {density:.4f}, calculation 2"
    )


def test_the_density_of_uniform_matter():
    """Around atoms of a fine crystal it is the number of atoms per volume."""
    atoms = bulk("Po", "sc", a=0.7)
    (found,) = local_densities(Graph.of(atoms, 7.0), 7.0).tolist()
    assert found == pytest.approx(1 / 0.7**3, rel=1e-3)
