"""``cace compare``: runs side by side, and whether they can be compared."""

import json
import shutil

import ase.io
import pytest
from click.testing import CliRunner
from pair_cace.cli.compare import compare
from pair_cace.errors import CaceError
from pair_cace.quantities import FORCE, TO_GPA
from pair_cace.training.compare import differing_keys, read_runs, warnings
from pair_cace.training.config import Config
from pair_cace.training.report import write_report
from pair_cace.training.run import train
from tolerances import TABLE_DIGITS
from training_helpers import labelled


def a_run(folder, data_file, cutoff=4.0, seed=0, valid=0.4, epochs=(2, 1), **data):
    content = {
        "folder": str(folder),
        "data": {"train": str(data_file), "valid": valid, **data},
        "model": {"cutoff": cutoff, "n_rbf": 4, "n_radial": 2, "n_atom_basis": 2, "l_max": 2},
        "training": {
            "batch_size": 4, "seed": seed,
            "phases": [{"epochs": n, "force_weight": 100} for n in epochs],
        },
    }  # fmt: skip
    train(Config.model_validate(content), report=write_report)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data_file):
    """A folder with the runs short, far (larger cutoff, test data) and seed (another split)."""
    folder = tmp_path_factory.mktemp("compare")
    ase.io.write(folder / "test.xyz", labelled(4, seed=3), format="extxyz")
    a_run(folder / "short", data_file)
    a_run(folder / "far", data_file, cutoff=4.5, epochs=(2, 2), test=str(folder / "test.xyz"))
    a_run(folder / "seed", data_file, seed=1)
    return folder


def compared(*arguments):
    return CliRunner().invoke(compare, [str(one) for one in arguments])


def test_runs_side_by_side(runs, tmp_path):
    outcome = compared(
        runs / "short", runs / "far" / "best.cace.pt", "--json", tmp_path / "c.json", "--plot",
        tmp_path / "c.png",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:-1]]
        for line in outcome.output.splitlines()
        if len(cells := line.split("│")) > 3
    }
    assert rows["elements"] == ["Cu Au", "Cu Au"]
    assert rows["epochs"] == ["3 of 3", "4 of 4"]
    assert rows["model.cutoff"] == ["4.0", "4.5"]
    assert rows["training.phases.1.epochs"] == ["1", "2"]
    assert "folder" not in rows and "training.phases.0.epochs" not in rows
    content = json.loads((tmp_path / "c.json").read_text())
    reports = [json.loads((runs / name / "report.json").read_text()) for name in ("short", "far")]
    for one, report, column in zip(content["runs"], reports, (0, 1), strict=True):
        assert one["valid"]["force"] == report["errors"]["valid"]["force"]["rmse"]
        shown = float(rows["valid force, meV/Å"][column])
        assert shown == pytest.approx(1e3 * one["valid"]["force"], rel=TABLE_DIGITS)
        shown = float(rows["valid stress, GPa"][column])
        assert shown == pytest.approx(TO_GPA * one["valid"]["stress"], rel=TABLE_DIGITS)
        assert one["parameters"] == report["parameters"] and one["finished"]
    assert rows["test energy, meV/atom"][0] == "—" and content["runs"][0]["test"]["energy"] is None
    assert content["runs"][1]["test"]["energy"] == reports[1]["errors"]["test"]["energy"]["rmse"]
    assert content["differences"]["model.cutoff"] == [4.0, 4.5]
    # The same frames are drawn for validation, whatever the cutoff is.
    assert "note:" not in outcome.output and content["warnings"] == []
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_other_validation_frames_are_named(runs):
    outcome = compared(runs / "short", runs / "seed", runs / "far")
    assert outcome.exit_code == 0
    assert "validation errors cannot be compared: the frames of seed are others" in outcome.output


def test_files_of_validation_are_compared_by_content(runs, data_file, tmp_path):
    for name in ("a.xyz", "b.xyz"):
        shutil.copy(runs / "test.xyz", tmp_path / name)
    ase.io.write(tmp_path / "c.xyz", labelled(4, seed=4), format="extxyz")
    folders = [
        a_run(tmp_path / name, data_file, valid=[str(tmp_path / f"{name}.xyz")], epochs=(1,))
        for name in ("a", "b", "c")
    ]
    assert warnings(read_runs(folders[:2])) == []
    (said,) = warnings(read_runs(folders))
    assert "the frames of c are others than those of a" in said


def test_a_run_that_is_still_going(runs, tmp_path):
    for name in ("going", "new", "longer"):
        shutil.copytree(runs / "short", tmp_path / name)
    (tmp_path / "going" / "report.json").unlink()
    for file in ("report.json", "metrics.csv", "best.cace.pt", "provenance.json"):
        (tmp_path / "new" / file).unlink()
    metrics = tmp_path / "longer" / "metrics.csv"
    lines = metrics.read_text().splitlines()
    metrics.write_text("\n".join([*lines, lines[-1].replace("2,", "3,", 1)]) + "\n")
    going, new, longer = read_runs([tmp_path / name for name in ("going", "new", "longer")])
    best = min(going.rows, key=lambda row: row["score"])
    assert going.valid_error(FORCE) == best["valid_force_rmse (eV/A)"]
    assert going.test_error(FORCE) is None and going.model.elements == ("Cu", "Au")
    assert new.valid_error(FORCE) is None and new.minutes is None and new.model is None
    assert longer.report is None  # its report is of three epochs
    said = warnings([going, new, longer])
    assert "going: 3 of 3 epochs; running or interrupted, no report yet" in said
    assert "new: 0 of 3 epochs; running or interrupted, no report yet" in said
    assert any(text.startswith("new: the folder does not say which the valid") for text in said)
    outcome = compared(tmp_path / "new", tmp_path / "going", "--plot", tmp_path / "c.svg")
    assert outcome.exit_code == 0 and "0 of 3" in outcome.output and (tmp_path / "c.svg").exists()


def test_names_tell_runs_apart(runs, tmp_path):
    shutil.copytree(runs / "short", tmp_path / "short")
    first, second = read_runs([runs / "short", tmp_path / "short"])
    assert (first.name, second.name) == (str(runs / "short"), str(tmp_path / "short"))
    assert len(read_runs([runs / "short", runs / "short" / "metrics.csv"])) == 1
    assert differing_keys([first, second]) == {}
    assert "the configs do not differ" in compared(runs / "short", tmp_path / "short").output


def test_many_runs_are_several_tables(runs, tmp_path):
    folders = [tmp_path / f"r{k}" for k in range(8)]
    for folder in folders:
        shutil.copytree(runs / "short", folder)
    outcome = compared(*folders)
    assert outcome.output.count("elements") == 2 and "r7" in outcome.output


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["absent"], "cannot open .*absent: there is no such folder"),
        (["."], "expected the folder of a run, .* found none in"),
        (["other"], "expected the folder of a run"),
        (["short", "--plot", "c.gif"], "--plot: expected a name that ends in .png, .pdf or .svg"),
        (["short", "--json", "no/c.json"], "the folder .* does not exist"),
        (["started", "--plot", "c.png"], "--plot: no run has finished an epoch yet"),
        (["damaged"], "a file of the run is damaged"),
    ],
)
def test_mistakes_are_named(runs, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("short", "started", "damaged"):
        shutil.copytree(runs / "short", tmp_path / name)
    (tmp_path / "started" / "metrics.csv").unlink()
    (tmp_path / "damaged" / "report.json").write_text('{"epochs": ')
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text("folder: elsewhere\n")
    outcome = compared(*arguments)
    assert isinstance(outcome.exception, CaceError)
    with pytest.raises(CaceError, match=message):
        raise outcome.exception
    assert not list(tmp_path.glob("c.*"))
