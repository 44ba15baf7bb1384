"""What a training does with data files and with the config that names them."""

import re
import shutil

import ase
import ase.io
import numpy as np
import pytest
import yaml
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from pair_cace.errors import CaceError
from pair_cace.training.config import load_config
from pair_cace.training.data import load_data
from pair_cace.training.distributed import Processes
from pair_cace.training.reference_energies import fitted
from pair_cace.training.typical_energies import all_electrons, valence_electrons
from tolerances import ROUNDING
from training_helpers import Listener, cace_train, labelled


def loaded(config):
    listener = Listener()
    parts = load_data(config, config.model.cutoff, Processes(), listener)
    return parts, "\n".join(listener.said)


def write(path, frames, **options):
    ase.io.write(path, frames, format="extxyz", **options)
    return str(path)


def single(symbol, energy, cell=None, pbc=False, **info):
    atoms = ase.Atoms(symbol, cell=cell, pbc=pbc, info=info)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((1, 3)))
    return atoms


# ---- config --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["2e-1", "0.2", "'2e-1'", "20%", "2.0E-1"])
def test_a_fraction_for_validation(config_file, text):
    path = config_file()
    content = path.read_text()
    assert "valid: 0.2" in content
    path.write_text(content.replace("valid: 0.2", f"valid: {text}"))
    assert load_config(path).data.valid == pytest.approx(0.2, rel=ROUNDING)
    assert load_config(config_file(), [f"data.valid={text}"]).data.valid == pytest.approx(
        0.2, rel=ROUNDING
    )


def test_numbers_with_exponents_are_numbers_everywhere(config_file):
    config = load_config(
        config_file(), ["optimizer.learning_rate=2e-3", "data.E0={Cu: -1E1, Au: -.5e1}"]
    )
    assert config.optimizer.learning_rate == 0.002 and config.data.E0 == {"Cu": -10.0, "Au": -5.0}


def test_patterns_of_files(config_file, data_file, tmp_path):
    for name in ("b.xyz", "a.xyz", "a[1].xyz", "c.txt"):
        shutil.copy(data_file, tmp_path / name)
    config = load_config(
        config_file(), [f"data.train={tmp_path}/[ab].xyz", f"data.valid={tmp_path}/a[1].xyz"]
    )
    assert [path.name for path in config.data.train] == ["a.xyz", "b.xyz"]
    assert [path.name for path in config.data.valid] == ["a[1].xyz"]  # a file of that name


@pytest.mark.parametrize(
    "name, expected",
    [
        ("nothing-*.xyz", "data.train: no file is called like .*nothing-"),
        (
            "",
            "data.train: expected files, found the folder .*name what it holds, for example .*xyz",
        ),
    ],
)
def test_patterns_and_folders_that_hold_no_data(config_file, tmp_path, name, expected):
    with pytest.raises(CaceError, match=expected):
        load_config(config_file(), [f"data.train={tmp_path}/{name}"])


# ---- labels --------------------------------------------------------------------------------------


def test_frames_without_forces_contribute_energies(config_file, tmp_path):
    frames = labelled(8, seed=3)
    for atoms in frames[:3]:
        del atoms.calc.results["forces"]
    path = write(tmp_path / "some.xyz", frames)
    parts, text = loaded(load_config(config_file(data={"train": path})))
    assert "3 of" in text or "2 of" in text
    assert "have no forces" in text and "they contribute their energies" in text
    store = parts["train"].store
    assert np.isfinite(store.energies(np.arange(8))).all()
    assert store.without_forces(np.arange(8)).tolist() == [0, 1, 2]
    for atoms in frames[3:]:
        del atoms.calc.results["forces"]
    path = write(tmp_path / "none.xyz", frames)
    with pytest.raises(CaceError, match="expected the label 'forces'"):
        loaded(load_config(config_file(data={"train": path})))


def test_what_is_not_read_is_said(config_file, tmp_path):
    frames = labelled(4, seed=3)
    frames[1].info["REF_energy"] = -1.0
    path = write(tmp_path / "a.xyz", frames)
    _, text = loaded(load_config(config_file(data={"train": path})))
    assert re.search(r"1 structure\(s\) \(first: .*a.xyz, frame 1\): not read: REF_energy", text)


@pytest.mark.parametrize("label", ["energy", "forces", "stress"])
def test_a_name_that_no_frame_has_is_an_error(config_file, label):
    with pytest.raises(CaceError, match=f"expected the label 'dft_{label}'"):
        loaded(load_config(config_file(), [f"data.keys.{label}=dft_{label}"]))


def test_labels_and_weights_that_are_done_without(config_file):
    without = [f"data.keys.{name}=none" for name in ("stress", "virial", "weight", "config_type")]
    parts, _ = loaded(load_config(config_file(), [*without, "training.phases.0.stress_weight=0"]))
    assert len(parts["train"].store.with_stress(parts["train"].structures)) == 0


# ---- weights -------------------------------------------------------------------------------------


@pytest.fixture
def typed_file(tmp_path):
    frames = labelled(8, seed=4)
    for k, atoms in enumerate(frames):
        atoms.info["config_type"] = "surface" if k < 3 else "bulk"
    frames[0].info["config_weight"] = 0.5
    return write(tmp_path / "typed.xyz", frames)


def test_weights_by_config_type(config_file, typed_file):
    weights = {"surface": 4.0, "Default": 2.0}
    config = load_config(config_file(data={"train": typed_file, "config_type_weights": weights}))
    parts, text = loaded(config)
    assert parts["train"].store.weights.tolist() == [2, 4, 4, 2, 2, 2, 2, 2]
    assert parts["valid"].store is parts["train"].store  # weighted once
    assert "train: weights of structures in the loss: 4 for" in text and "(surface)" in text


def test_a_config_type_that_is_not_there(config_file, typed_file):
    config = config_file(data={"train": typed_file, "config_type_weights": {"surfaces": 4.0}})
    with pytest.raises(CaceError, match=r"expected types .*\(bulk, surface\), found surfaces"):
        loaded(load_config(config))


# ---- isolated atoms and E0 -----------------------------------------------------------------------


def test_isolated_atoms_do_not_bend_the_fit(config_file, data_file, tmp_path):
    frames = ase.io.read(data_file, ":")
    alone = [single("Cu", 7.0), single("Au", 9.0, cell=[30, 30, 30], pbc=True)]
    without = load_config(config_file(data={"valid": str(data_file)}))
    path = write(tmp_path / "with.xyz", frames + alone)
    config = load_config(config_file(data={"train": path, "valid": path}))
    parts, text = loaded(config)
    assert "train: 2 isolated atom(s) set aside (Au Cu; first: " in text
    assert "data.E0: isolated would take E0 from them" in text
    assert "valid: 2 isolated atom(s) set aside" in text
    found = [
        fitted(part["train"].store, part["train"].structures, ["Cu", "Au"]).energies
        for part in (parts, loaded(without)[0])
    ]
    assert found[0] == pytest.approx(found[1], rel=ROUNDING)


def test_a_single_atom_that_sees_its_images(config_file, data_file, tmp_path):
    frames = ase.io.read(data_file, ":")
    crystal = single("Cu", -3.5, cell=[3.9, 3.9, 3.9], pbc=True)
    path = write(tmp_path / "a.xyz", frames + [crystal])
    parts, _ = loaded(load_config(config_file(data={"train": path, "valid": str(data_file)})))
    assert len(parts["train"].structures) == 21  # a crystal like others
    crystal.info["config_type"] = "IsolatedAtom"
    path = write(tmp_path / "b.xyz", frames + [crystal])
    expected = (
        "frame 20: expected an isolated atom because of its config_type, IsolatedAtom, found a Cu"
    )
    with pytest.raises(CaceError, match=f"{expected} atom that sees its own periodic images"):
        loaded(load_config(config_file(data={"train": path})))


@pytest.mark.slow
def test_E0_of_isolated_atoms_names_those_that_see_their_images(config_file, data_file, tmp_path):
    frames = ase.io.read(data_file, ":")
    crystals = [single(symbol, -3.5, cell=[3.9] * 3, pbc=True) for symbol in ("Cu", "Au")]
    path = write(tmp_path / "a.xyz", frames + crystals)
    run = cace_train(config_file(data={"train": path, "E0": "isolated"}))
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert "Single atoms of Cu Au are there, but see their own periodic images" in run.stderr


def shaken_molecules(name, E0):
    frames = []
    for seed in range(6):
        atoms = molecule(name)
        atoms.rattle(0.05, seed=seed)
        energy = sum(E0[symbol] for symbol in atoms.get_chemical_symbols()) - 30.0 + 0.1 * seed
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((len(atoms), 3)))
        frames.append(atoms)
    return frames


FREE_ATOMS = {  # eV; of all electrons (wB97X), and of valence electrons (GTH pseudopotentials)
    "all": {"H": -13.6, "C": -1029.9, "O": -2042.0},
    "valence": {"H": -13.4, "C": -147.0, "O": -430.5},
}


@pytest.mark.parametrize("kind", FREE_ATOMS)
@pytest.mark.slow
def test_E0_that_data_do_not_determine(config_file, tmp_path, kind):
    """Of ethanol alone: near the energies of atoms, not hydrogen at −616 eV."""
    E0 = FREE_ATOMS[kind]
    path = write(tmp_path / "a.xyz", shaken_molecules("CH3CH2OH", E0))
    config = config_file(data={"train": path}, training={"phases": [{"epochs": 1}]})
    run = cace_train(config)
    assert run.returncode == 0, run.stderr
    found = dict(re.findall(r"E0 of (\w+): (\S+) eV", run.stdout))
    for symbol, energy in E0.items():
        assert float(found[symbol]) == pytest.approx(energy, rel=0.06, abs=8.0)
    total = 2 * float(found["C"]) + 6 * float(found["H"]) + float(found["O"])
    assert total == pytest.approx(2 * E0["C"] + 6 * E0["H"] + E0["O"] - 29.75, abs=0.2)
    assert "do not tell E0 of H C O apart" in " ".join(run.stdout.split())


def test_E0_that_data_determine(config_file, data_file):
    parts, _ = loaded(load_config(config_file()))
    assert fitted(parts["train"].store, parts["train"].structures, ["Cu", "Au"]).undetermined == []


def test_energies_of_free_atoms():
    """Within 3 % of all-electron calculations from carbon on, and 10 % of valence energies."""
    for z, energy in ((6, -1029.0), (8, -2042.0), (14, -7868.0), (26, -34353.0), (29, -44620.0)):
        assert all_electrons(z) == pytest.approx(energy, rel=0.03)
    for z, energy in ((1, -13.6), (6, -147.0), (8, -430.5), (14, -103.0), (17, -410.0)):
        assert valence_electrons(z) == pytest.approx(energy, rel=0.12)


# ---- files that users tripped over ---------------------------------------------------------------


def test_cases(shared, tmp_path):
    def of(case, **changes):
        content = yaml.safe_load((shared / "cases" / case / "config.yaml").read_text())
        content["data"]["train"] = str(shared / "cases" / case / "train.xyz")
        if "isolated_atoms" in content["data"]:
            content["data"]["isolated_atoms"] = content["data"]["train"]
        content["folder"] = str(tmp_path / case)
        path = tmp_path / f"{case}.yaml"
        path.write_text(yaml.safe_dump(content | changes).replace("'2e-1'", "2e-1"))
        return load_config(path)

    with pytest.raises(CaceError, match="frame 2: expected a value for 'REF_energy'"):
        loaded(of("tr20_None_label"))
    assert of("tr25_valid_1e-1").data.valid == 0.2
    parts, _ = loaded(of("tr25_valid_1e-1"))
    assert len(parts["valid"].structures) == 2
    with pytest.raises(
        CaceError, match="because of its config_type, IsolatedAtom, found a Cu atom"
    ):
        loaded(of("tr61_isolated_crystal_plain"))
