"""`cace check`, as a user runs it."""

import json
import subprocess
import sys

import labelled_sets as sets
import pytest
import yaml


def cace_check(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "pair_cace", "check", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    frames = sets.alloy(50)
    sets.write(folder / "train.xyz", frames[:40])
    sets.write(folder / "test.xyz", frames[38:])
    sets.write(folder / "gradients.xyz", sets.forces_times(frames, -1.0), energy="E", forces="F")
    return folder


def test_what_is_printed(folder):
    run = cace_check("train.xyz", cwd=folder)
    assert run.returncode == 0, run.stderr
    for words in (
        "40 frames of 8 atoms", "elements Cu Au", "compositions: ", "40 frames periodic", "spread",
        "eV/atom", "▂", "forces: rms", "largest", "stress: 40 frames", "GPa", "Cu-Au",
        "neighbours on average within 5 Å", "no warnings",
    ):  # fmt: skip
        assert words in run.stdout


def test_warnings_and_exit_status(folder):
    arguments = ("train.xyz", "test.xyz", "--cutoff", "4.5")
    run = cace_check(*arguments, cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "warning: 2 of the 12 frames of test.xyz are in train.xyz, too" in run.stdout
    assert "no warnings" not in run.stdout and "within 4.5 Å" in run.stdout
    assert cace_check(*arguments, "--strict", cwd=folder).returncode == 1
    assert cace_check("train.xyz", "--strict", cwd=folder).returncode == 0


def test_picture_and_json(folder, tmp_path):
    run = cace_check(
        "train.xyz", "test.xyz", "--plot", tmp_path / "a.png", "--json", tmp_path / "a.json", cwd=folder
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content["n_frames"] == 52 and content["parts"] == {"train.xyz": 40, "test.xyz": 12}
    assert content["elements"].keys() == {"Cu", "Au"}
    assert content["force"]["rms"] > 0 and len(content["force"]["largest"]) == 10
    assert 0.7 < content["nearest"]["Cu-Au"]["relative"] < 1.2
    assert content["neighbors"]["mean"] > 12
    (finding,) = content["findings"]
    assert finding["code"] == "shared-frames" and finding["severity"] == "warning"
    assert finding["frames"] == ["test.xyz, frame 0", "test.xyz, frame 1"]


def test_labels_with_other_names(folder):
    run = cace_check("gradients.xyz", "--energy-key", "E", "--forces-key", "F", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "warning: forces have the wrong sign" in run.stdout


def test_the_config_of_a_training_says_what_to_check(folder, tmp_path):
    config = {
        "folder": "run",
        "data": {
            "train": str(folder / "gradients.xyz"),
            "keys": {"energy": "E", "forces": "F"},
        },
        "model": {"cutoff": 4.0},
        "training": {"batch_size": 4, "phases": [{"epochs": 1}]},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run = cace_check("config.yaml", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "within 4 Å" in run.stdout and "forces have the wrong sign" in run.stdout
    run = cace_check("config.yaml", folder / "train.xyz", cwd=tmp_path)
    assert run.returncode == 1 and "either files of data or the config" in run.stderr


def test_the_config_of_a_fine_tuning_has_no_model(folder, tmp_path):
    config = {
        "folder": "run",
        "data": {"train": str(folder / "train.xyz")},
        "fine_tune": {"init_from": "parent.cace.pt"},
        "training": {"batch_size": 4, "phases": [{"epochs": 1}]},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run = cace_check("config.yaml", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "train.xyz" in run.stdout


def test_errors_for_people(folder):
    for arguments, words in [
        (("nothing.xyz",), "cannot open nothing.xyz"),
        (("train.xyz", "--plot", "a.gif"), ".png, .pdf or .svg"),
        (("train.xyz", "--json", "train.xyz"), "it is read by this command"),
        (("train.xyz", "--index", "a:b"), "--index"),
        (("train.xyz", "--energy-key", "nope"), "'nope'"),
    ]:
        run = cace_check(*arguments, cwd=folder)
        assert run.returncode == 1 and words in run.stderr, run.stdout + run.stderr
        assert "Traceback" not in run.stderr
