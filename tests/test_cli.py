"""The command `cace`, as a user runs it."""

import json
import pathlib
import re
import subprocess
import sys

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from helpers import predict_atoms, random_model, settings_of
from pair_cace.io.checkpoint import save_checkpoint
from pair_cace.io.loading import load_model
from systems import SYSTEMS
from tolerances import EIGHT_DECIMALS, ROUNDING, SAME_MODEL

from pair_cace import __version__


def cace(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "pair_cace", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_command_is_installed():
    command = pathlib.Path(sys.executable).with_name("cace")
    run = subprocess.run([command, "--version"], capture_output=True, text=True)
    assert run.returncode == 0 and __version__ in run.stdout


VERBS = ["", "check", "compare", "convert", "eval", "export", "info", "train"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.fast
def test_help(verb):
    run = cace(*verb.split(), "--help")
    assert run.returncode == 0 and run.stdout.startswith("Usage:")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, its export, and data labelled with known errors: 2 meV/atom, 10 and 20 meV/Å."""
    folder = tmp_path_factory.mktemp("cli")
    settings = settings_of("T2-all")
    model = random_model(settings)
    save_checkpoint(folder / "m.cace.pt", model, settings, {"made_by": "test"})
    run = cace("export", "m.cace.pt", "-o", "m.pt", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "pair_coeff * * m.pt ELEMENT" in run.stdout and "knows H O" in run.stdout
    frames = []
    for sign, name in ((1, "triclinic"), (-1, "liquid")):
        atoms = SYSTEMS[name]()
        prediction = predict_atoms(model, atoms)
        error = np.where(atoms.numbers == 8, 0.010, 0.020)[:, None] * np.ones(3)
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=float(prediction.energies[0]) - len(atoms) * (0.5 + sign * 0.002),
            forces=prediction.forces.numpy() - error,
            stress=prediction.stresses[0].numpy()[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] + 0.003,
        )
        frames.append(atoms)
    # extended XYZ rounds to 8 digits, .traj keeps all.
    ase.io.write(folder / "one.traj", frames[0])
    ase.io.write(folder / "two.traj", frames[1])
    ase.io.write(folder / "bare.xyz", SYSTEMS["molecule"]())
    frames[0].calc.results.pop("forces")
    ase.io.write(folder / "energies.traj", frames[0])
    return folder


def test_info_for_people_and_for_scripts(folder):
    for file in ("m.pt", "m.cace.pt"):
        text = cace("info", folder / file).stdout
        assert "cutoff:" in text and "3.5" in text and "made_by:" in text
        content = json.loads(cace("info", folder / file, "--json").stdout)
        assert content["hyperparameters"]["elements"] == ["H", "O"]
        assert content["E0"] == {"H": -1.5, "O": -3.0}
        assert content["dtype"] == "float64" and content["portable"] is False
    run = cace("export", "m.cace.pt", "-o", "portable.pt", "--portable", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert re.search("portable: +yes", cace("info", folder / "portable.pt").stdout)


def test_eval_finds_the_errors_that_were_put_in(folder):
    run = cace(
        "eval", "m.pt", "one.traj", "two.traj", "--json", "errors.json", "--plot", "parity.png",
        cwd=folder,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    result = json.loads((folder / "errors.json").read_text())
    errors = result["errors"]
    assert result["energy_shift"] == pytest.approx(0.5, abs=SAME_MODEL)
    assert errors["energy"]["rmse"] == pytest.approx(np.sqrt(0.5**2 + 0.002**2), abs=SAME_MODEL)
    assert errors["energy, shifted"]["rmse"] == pytest.approx(0.002, abs=SAME_MODEL)
    assert errors["energy, shifted"]["mae"] == pytest.approx(0.002, abs=SAME_MODEL)
    assert errors["force on O"]["rmse"] == pytest.approx(0.010, abs=SAME_MODEL)
    assert errors["force on H"]["mae"] == pytest.approx(0.020, abs=SAME_MODEL)
    assert errors["stress"]["rmse"] == pytest.approx(0.003, abs=SAME_MODEL)
    assert errors["stress in GPa"]["rmse"] == pytest.approx(0.003 * 160.21766208, rel=ROUNDING)
    assert re.search(r"stress +│ +0\.481 │ +0\.481 │ GPa", run.stdout)
    assert "2 frames, 38 atoms" in run.stdout and "force on O" in run.stdout
    assert (folder / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_eval_writes_what_it_predicts(folder, tmp_path):
    path = tmp_path / "p.xyz"
    run = cace("eval", "m.pt", "one.traj", "bare.xyz", "--write", path, cwd=folder)
    assert run.returncode == 0, run.stderr
    with_labels, bare = ase.io.read(path, index=":")
    model, _ = load_model(folder / "m.pt")
    for atoms in (with_labels, bare):
        expected = predict_atoms(model, atoms)
        assert atoms.info["cace_energy"] == pytest.approx(
            float(expected.energies[0]), abs=EIGHT_DECIMALS
        )
        np.testing.assert_allclose(
            atoms.arrays["cace_forces"], expected.forces, rtol=0, atol=EIGHT_DECIMALS
        )
    stress = predict_atoms(model, with_labels).stresses[0].numpy()
    np.testing.assert_allclose(
        with_labels.info["cace_stress"], stress.ravel(), rtol=0, atol=EIGHT_DECIMALS
    )
    np.testing.assert_allclose(
        with_labels.get_forces(),
        ase.io.read(folder / "one.traj").get_forces(),
        rtol=0,
        atol=EIGHT_DECIMALS,
    )
    assert "cace_stress" not in bare.info and bare.calc is None
    assert "_JSON" not in path.read_text()  # plain numbers for other readers


def test_eval_by_groups(folder, tmp_path):
    frames = [ase.io.read(folder / name) for name in ("one.traj", "two.traj", "one.traj")]
    for atoms, group in zip(frames, ("[/crystal]", "melt", None), strict=True):
        if group:
            atoms.info["config_type"] = group
    ase.io.write(tmp_path / "all.traj", frames)
    run = cace(
        "eval", "m.pt", tmp_path / "all.traj", "--by", "config_type", "--json", tmp_path / "e.json",
        cwd=folder,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    groups = json.loads((tmp_path / "e.json").read_text())["by"]
    assert list(groups) == ["[/crystal]", "melt", "no config_type"] and "[/crystal]" in run.stdout
    assert re.search(r"melt +│ +1 │ .* 3\.000 │ +0\.481 │", run.stdout)
    assert groups["no config_type"] == groups["[/crystal]"]
    assert [one["n_atoms"] for one in groups.values()] == [14, 24, 14]
    assert groups["[/crystal]"]["energy_shift"] == pytest.approx(0.502, abs=SAME_MODEL)
    assert groups["melt"]["energy_shift"] == pytest.approx(0.498, abs=SAME_MODEL)
    assert groups["melt"]["errors"]["force on O"]["rmse"] == pytest.approx(0.010, abs=SAME_MODEL)
    run = cace("eval", "m.pt", "one.traj", "--by", "kind", cwd=folder)
    assert run.returncode == 1 and "--by: no frame has 'kind'; found" in run.stderr


def test_eval_compares_the_labels_that_are_there(folder):
    run = cace("eval", "m.pt", "energies.traj", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "│ energy" in run.stdout and "force" not in run.stdout
    assert "shifted" not in run.stdout  # one frame always fits its own shift


def test_eval_says_which_labels_are_missing(folder):
    run = cace("eval", "m.pt", "energies.traj", "two.traj", cwd=folder)
    assert "warning: 1 of 2 frames have no 'forces' (first: energies.traj, frame 0)" in run.stderr


def test_eval_of_named_labels_that_some_frames_have(folder, tmp_path):
    frames = [ase.io.read(folder / name) for name in ("one.traj", "bare.xyz")]
    results = frames[0].calc.results
    frames[0].calc = None
    frames[0].info |= {"E_dft": results["energy"], "S_dft": results["stress"]}
    ase.io.write(tmp_path / "a.traj", frames)
    named = ("--energy-key", "E_dft", "--stress-key", "S_dft")
    run = cace("eval", "m.pt", tmp_path / "a.traj", *named, cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "stress" in run.stdout and "1 of 2 frames have no 'S_dft'" in run.stderr


def test_eval_writes_frames_that_have_a_label_twice(folder, tmp_path):
    atoms = ase.io.read(folder / "one.traj")
    atoms.info["energy"] = 0.0
    atoms.arrays["forces"] = np.zeros((len(atoms), 3))
    ase.io.write(tmp_path / "a.traj", atoms)
    run = cace("eval", "m.pt", tmp_path / "a.traj", "--write", tmp_path / "b.xyz", cwd=folder)
    assert run.returncode == 0, run.stderr
    written = ase.io.read(tmp_path / "b.xyz")
    assert written.get_potential_energy() == pytest.approx(
        atoms.get_potential_energy(), rel=ROUNDING
    )


def test_eval_of_some_frames(folder):
    run = cace(
        "eval", "m.pt", "one.traj", "two.traj", "--index", "-1", "--format", "traj", cwd=folder
    )
    assert run.returncode == 0, run.stderr
    assert "2 frames, 38 atoms" in run.stdout


def test_eval_does_not_depend_on_the_batch(folder):
    tables = [
        cace("eval", "m.cace.pt", "one.traj", "two.traj", "--batch-atoms", n, cwd=folder).stdout
        for n in (1, 1000)
    ]
    assert tables[0] == tables[1] and "meV/Å" in tables[0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("info", "absent.pt"), "cannot open absent.pt"),
        (("export", "absent.cace.pt", "-o", "x.pt"), "cannot open absent.cace.pt"),
        (("convert", "absent.pth", "-o", "x.cace.pt"), "cannot open absent.pth"),
        (("export", "m.pt", "-o", "x.pt"), "expected a checkpoint, but m.pt is an exported model"),
        (("convert", "m.cace.pt", "-o", "m.cace.pt"), "it is read by this command"),
        (("eval", "m.pt", "one.traj", "--json", "one.traj"), "it is read by this command"),
        (("eval", "m.pt", "one.traj", "--plot", "no/p.png"), "the folder .* does not exist"),
        (("eval", "one.traj", "m.pt"), "the order is cace eval MODEL DATA"),
        (("info", "."), "expected a file, but . is a folder"),
        (("export", "m.cace.pt", "-o", "nowhere/x.pt"), "the folder .* does not exist"),
        (("eval", "m.pt", "bare.xyz"), "expected labels .* found no labels at all in bare.xyz"),
        (("eval", "m.pt", "bare.xyz", "--write", "p.xyz", "--plot", "p.png"), "expected labels"),
        (("eval", "m.pt", "one.traj", "--write", "p.traj"), "ends in .xyz or .extxyz, got p.traj"),
        (("eval", "m.pt", "one.traj", "--index", "foo"), "--index: expected a number or a range"),
        (("eval", "m.pt", "one.traj", "--index", "0:ten"), "--index: expected a number or a ran"),
        (("eval", "m.pt", "one.traj", "--index", "1:2:3:4"), "--index: expected a number or a r"),
        (("eval", "m.pt", "one.traj", "--format", "extxyz"), "expected text, found binary data"),
        (("eval", "m.pt", "one.traj", "--energy-key", "E"), r"expected the label 'E' .* found ene"),
        (("eval", "m.pt", "one.traj", "--plot", "parity"), "ends in .png, .pdf or .svg"),
        (("convert", "m.pt", "-o", "x", "--e0", "H:1"), "--e0: expected entries like H=-13.6"),
        (("convert", "m.pt", "-o", "x", "--e0", "H=nan"), "--e0: expected entries like H=-13.6"),
        (
            ("convert", "m.cace.pt", "-o", "x.cace.pt"),
            "expected a model pickled by the original implementation, but m.cace.pt is a "
            "checkpoint; `cace export m.cace.pt",
        ),
        (("export", "m.cace.pt", "-o", "x.pt", "--dtype", "half"), "'half' is not one of"),
        (("eval", "m.pt"), "Missing argument 'DATA...'"),
    ],
)
def test_errors_are_one_clear_message(folder, arguments, message):
    before = sorted(path.name for path in folder.iterdir())
    run = cace(*arguments, cwd=folder)
    assert run.returncode != 0
    assert "Traceback" not in run.stderr
    assert re.search(message, " ".join(run.stderr.split())), run.stderr
    assert sorted(path.name for path in folder.iterdir()) == before


def test_e0_must_cover_the_elements(shared, tmp_path):
    water = shared / "reference" / "water.pth"
    run = cace("convert", water, "-o", tmp_path / "w.cace.pt", "--e0", "H=-1,C=-2")
    assert "expected one energy for each of H O, got H C" in run.stderr
    run = cace("convert", water, "-o", tmp_path / "w.cace.pt", "--e0", "H=-1.5,O=-2")
    assert run.returncode == 0, run.stderr
    content = json.loads(cace("info", tmp_path / "w.cace.pt", "--json").stdout)
    assert content["E0"] == {"H": -1.5, "O": -2.0} and content["parameters"] == 69320
