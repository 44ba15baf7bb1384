"""Terms that a file outside of the package defines: trained, resumed, exported, evaluated, and run in `lmp`."""

from __future__ import annotations

import contextlib
import csv
import json
import pathlib
import shutil
import subprocess
import sys

import ase.io
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from helpers import assert_close
from labelled_sets import alloy, with_charges, write
from pair_cace.calculator import CACECalculator
from pair_cace.cli import cace as command
from pair_cace.errors import CaceError
from pair_cace.extending import ATOM_OUTPUTS, LOSSES, MESSAGES, RADIAL_BASES, load_terms
from pair_cace.registry import Registry
from run_lmp import single_point
from tolerances import DIFFERENCES, EIGHT_DECIMALS, SAME_MODEL

HERE = pathlib.Path(__file__).parent
TERMS = {
    "message": dict(model={"n_layers": 2, "messages": ["M", "Toy"]}),
    "radial": dict(model={"radial": "toy gaussians", "n_layers": 1, "messages": ["Ar", "Bchi"]}),
    "loss": dict(loss={"kind": "toy log cosh"}),
    "output": dict(
        model={"outputs": {"charge": {"kind": "toy positive", "unit": "e", "width": 4}}}
    ),
    "plain": dict(model={"compiled": "no", "n_layers": 1, "messages": ["Ar", "Bchi"]}),
}


def cace(folder, *arguments, term=None):
    """Run the command, with the file of ``term`` if there is one; returns what it printed.

    All in this process, which starts once.
    """
    file = HERE / f"toy_{term}.py"
    words = ["--with", file] if term and file.is_file() else []
    with contextlib.chdir(folder):
        run = CliRunner().invoke(command, list(map(str, [*words, *arguments])))
    assert run.exit_code == 0, (run.output, run.exception)
    return run.output


def cace_without_files(folder, *arguments):
    """Run the command in a process of its own, which knows of no terms but ours."""
    words = [sys.executable, "-m", "pair_cace", *map(str, arguments)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module", autouse=True)
def terms_are_forgotten():
    """Other tests in this process know our terms alone."""
    registries = (ATOM_OUTPUTS, LOSSES, MESSAGES, RADIAL_BASES)
    ours = [dict(registry._terms) for registry in registries]
    yield
    for registry, terms in zip(registries, ours):
        registry._terms = terms
    for name in [name for name in sys.modules if name.startswith("cace_terms_")]:
        del sys.modules[name]


@pytest.fixture(scope="module", params=TERMS)
def run(request, tmp_path_factory):
    """The name of a term, and a folder with data, a run that was resumed, and its export."""
    term = request.param
    folder = tmp_path_factory.mktemp(term)
    write(folder / "train.xyz", with_charges(alloy(20)))
    content = {
        "folder": "run",
        "data": {"train": "train.xyz", "valid": 0.2},
        "model": {
            "cutoff": 4.0, "n_rbf": 4, "n_radial": 2, "n_atom_basis": 2, "l_max": 2, "nu_max": 2,
            "readout_hidden": [8],
        } | TERMS[term].get("model", {}),
        "loss": TERMS[term].get("loss", {}),
        "training": {
            "batch_size": 4, "dtype": "float64",
            "phases": [{"epochs": 2, "energy_weight": 1, "force_weight": 100, "stress_weight": 1}],
        },
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    cace(folder, "train", "config.yaml", term=term)
    more = cace(folder, "train", "config.yaml", "training.phases.0.epochs=4", "--resume", term=term)
    assert "epoch    3" in more and "epoch    2" not in more
    cace(folder, "export", "run/best.cace.pt", "-o", "model.pt", "--dtype", "float64", term=term)
    return term, folder


def test_it_learns(run):
    _, folder = run
    with open(folder / "run" / "metrics.csv", newline="") as file:
        errors = [float(row["train_force_rmse (eV/A)"]) for row in csv.DictReader(file)]
    assert len(errors) == 4 and errors[-1] < 0.7 * errors[0]


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(run):
    term, folder = run
    cace(folder, "train", "config.yaml", "training.phases.0.epochs=4", "folder=whole", term=term)
    runs = [(folder / name / "metrics.csv").read_text().splitlines() for name in ("run", "whole")]
    for rows in zip(*runs, strict=True):
        resumed, whole = (row.rpartition(",")[0] for row in rows)  # without the seconds
        assert resumed == whole


def test_checkpoint_and_export_are_evaluated_alike(run):
    term, folder = run
    cace(folder, "eval", "run/best.cace.pt", "train.xyz", "--json", "a.json", term=term)
    found = cace_without_files(folder, "eval", "model.pt", "train.xyz", "--json", "b.json")
    assert found.returncode == 0, found.stderr
    found = [json.loads((folder / name).read_text())["errors"] for name in ("a.json", "b.json")]
    assert found[0].keys() == found[1].keys()
    for quantity, errors in found[0].items():
        assert found[1][quantity]["rmse"] == pytest.approx(errors["rmse"], rel=SAME_MODEL)


@pytest.mark.parametrize("run", ["output"], indirect=True)
def test_an_output_learns(run):
    term, folder = run
    with open(folder / "run" / "metrics.csv", newline="") as file:
        errors = [float(row["valid_charge_rmse (e)"]) for row in csv.DictReader(file)]
    assert errors[-1] < 0.7 * errors[0]
    cace(folder, "eval", "run/best.cace.pt", "train.xyz", "--write", "with.xyz", term=term)
    frames = ase.io.read(folder / "with.xyz", ":")
    calculator = CACECalculator(folder / "model.pt")
    for atoms in frames[:3]:
        calculator.calculate(atoms)
        written = pytest.approx(atoms.arrays["cace_charge"], abs=EIGHT_DECIMALS)
        assert calculator.results["charge"] == written
        assert (calculator.results["charge"] > 0).all()


def test_forces_are_those_of_differences_of_energies(run):
    _, folder = run
    atoms = alloy(1)[0].atoms.repeat((2, 1, 1))
    atoms.calc = CACECalculator(folder / "model.pt")
    forces, step = atoms.get_forces(), 1e-4
    for atom, axis in ((0, 0), (3, 1), (12, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[atom, axis] += sign * step
            energies.append(moved.get_potential_energy())
        expected = -(energies[0] - energies[1]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(expected, abs=DIFFERENCES)


@pytest.mark.parametrize("ranks", [1, 2])
def test_lmp_has_the_energies_and_forces_of_the_calculator(run, tmp_path, ranks):
    _, folder = run
    atoms = alloy(1)[0].atoms.repeat((2, 1, 1))
    shutil.copy(folder / "model.pt", tmp_path)
    pair = "pair_style cace\npair_coeff * * model.pt Cu Au"
    found = single_point(tmp_path, atoms, pair, ("Cu", "Au"), ranks)
    atoms.calc = CACECalculator(folder / "model.pt")
    assert_close(found.energy, atoms.get_potential_energy())
    assert_close(found.forces, atoms.get_forces())


@pytest.mark.parametrize("run", ["output"], indirect=True)
@pytest.mark.parametrize("ranks", [1, 2])
def test_lmp_has_the_output_of_the_calculator(run, tmp_path, ranks):
    _, folder = run
    atoms = alloy(1)[0].atoms.repeat((2, 1, 1))
    compute = """\
        compute charges all cace/atom charge
        dump charges all custom 1 charges.dump id c_charges
        dump_modify charges sort id format float %.17g"""
    pair = f"pair_style cace\npair_coeff * * {folder / 'model.pt'} Cu Au"
    single_point(tmp_path, atoms, pair, ("Cu", "Au"), ranks, before_run=compute)
    calculator = CACECalculator(folder / "model.pt")
    calculator.calculate(atoms)
    found = np.loadtxt(tmp_path / "charges.dump", skiprows=9)[:, 1]
    assert_close(found, calculator.results["charge"])


@pytest.mark.parametrize("run", ["message", "radial", "output"], indirect=True)
def test_a_checkpoint_says_which_term_it_needs(run):
    _, folder = run
    result = cace_without_files(folder, "export", "run/best.cace.pt", "-o", "no.pt")
    assert result.returncode == 1 and "cace --with FILE.py" in result.stderr
    assert "Traceback" not in result.stderr and not (folder / "no.pt").exists()


def test_mistakes_in_files_of_terms_are_named(tmp_path):
    (tmp_path / "bad.py").write_text("import nowhere_to_be_found")
    with pytest.raises(CaceError, match="bad.py cannot be run: ModuleNotFoundError"):
        load_terms(tmp_path / "bad.py")
    with pytest.raises(CaceError, match="expected a Python file that registers terms, found none"):
        load_terms(tmp_path / "missing.py")
    registry = Registry("toy")
    registry.register("one")(Registry)
    registry.register("one")(Registry)
    with pytest.raises(CaceError, match="expected a new name for a toy, got 'one'"):
        registry.register("one")(CaceError)
