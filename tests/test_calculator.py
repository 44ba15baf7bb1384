"""The ASE calculator."""

import pickle

import ase
import numpy as np
import pytest
import torch
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces
from helpers import predict_atoms, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.errors import CaceError
from pair_cace.io.checkpoint import save_checkpoint
from systems import SYSTEMS

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
    assert atoms.get_potential_energy() == pytest.approx(float(expected.energies[0]), abs=1e-10)
    free_energy = atoms.get_potential_energy(force_consistent=True)
    assert free_energy == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-10)
    np.testing.assert_allclose(atoms.get_potential_energies(), expected.atom_energies, atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), expected.stresses[0], atol=1e-12)


@pytest.mark.parametrize("name", ["m.pt", "m.cace.pt"])
def test_other_processes_get_a_calculator_that_works(files, name):
    atoms = SYSTEMS["triclinic"]()
    atoms.calc = CACECalculator(files / name)
    energy = atoms.get_potential_energy()
    there = pickle.loads(pickle.dumps(atoms))
    assert there.calc.results["energy"] == energy
    there.positions += 0.5
    assert there.get_potential_energy() == pytest.approx(energy, abs=1e-10)


@pytest.mark.parametrize("name", ["m32.pt", "m32.cace.pt"])
def test_precision_of_choice(files, name):
    """Forces of a float32 model in float64 are the derivative of its energy to many digits."""
    model, settings = random_model(settings_of("T2-all"), dtype=torch.float32), settings_of("T2-all")
    save_checkpoint(files / "m32.cace.pt", model, settings, {})
    export_checkpoint(files / "m32.cace.pt", files / "m32.pt", None)
    atoms = SYSTEMS["triclinic"]()
    single = CACECalculator(files / name).get_potential_energy(atoms)
    for dtype, digits in (("float32", 0.0), ("float64", 1e-4)):
        atoms.calc = CACECalculator(files / name, dtype=dtype)
        assert atoms.get_potential_energy() == pytest.approx(single, abs=digits)
    numeric = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[3], icarts=[0, 1, 2])
    np.testing.assert_allclose(atoms.get_forces()[3], numeric[0], atol=1e-6)
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
    np.testing.assert_allclose(atoms.get_forces(), reference["s4_forces"], rtol=0, atol=2e-4)
