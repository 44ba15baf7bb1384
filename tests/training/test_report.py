"""The report of a run says what became of it, and what to do."""

import json
import re
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from pair_cace.cli.train import print_report
from pair_cace.composition import compositions
from pair_cace.errors import CaceError
from pair_cace.evaluation import Evaluation
from pair_cace.quantities import TO_GPA
from pair_cace.training import outcome as outcome_module
from pair_cace.training.config import Config
from pair_cace.training.report import Report, _by_group, _page, worst_frames, write_report
from pair_cace.training.run import train
from pair_cace.training.verdict import FINDINGS, verdict
from tolerances import FLOAT32_ROUNDING, ROUNDING, TABLE_DIGITS
from training_helpers import Listener, cace_train, labelled

PHASES = [
    {"epochs": 3, "energy_weight": 1, "force_weight": 100},
    {"epochs": 10, "energy_weight": 100, "force_weight": 100, "learning_rate": 0.001},
]


def config_of(folder, data_file, **data):
    content = {
        "folder": str(folder),
        "data": {"train": str(data_file), "valid": 0.4, **data},
        "model": {"cutoff": 4.0, "n_rbf": 4, "n_radial": 2, "n_atom_basis": 2, "l_max": 2},
        "training": {"batch_size": 4, "phases": PHASES},
    }
    return Config.model_validate(content)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_file):
    """A run with its report: (folder, Report, what was said)."""
    folder = tmp_path_factory.mktemp("report")
    frames = labelled(6, seed=3)
    for k, atoms in enumerate(frames):
        atoms.info["config_type"] = "hot" if k < 2 else "cold"
    ase.io.write(folder / "test.xyz", frames, format="extxyz")
    config = config_of(folder / "run", data_file, test=str(folder / "test.xyz"))
    found, listener = [], Listener()

    def report(*arguments):
        found.append(write_report(*arguments, "cace train 'my config.yaml'"))

    train(config, watcher=listener, report=report)
    return folder / "run", found[0], listener.said


@pytest.fixture
def outcome(run):
    return run[1].outcome


def test_the_page_begins_with_what_to_do(run):
    folder, report, _ = run
    page = (folder / "report.md").read_text(encoding="utf-8")
    headings = re.findall("^## (.*)$", page, flags=re.MULTILINE)
    assert headings == [
        "Verdict", "Errors of `best.cace.pt`", "Worst frames", "What was asked for", "Data",
        "Model", "Where it comes from",
    ]  # fmt: skip
    assert page.index(f"- {report.verdict[0]}\n") < page.index("| quantity |")
    assert "RMSE train | RMSE valid | RMSE test | MAE train | MAE valid | MAE test" in page
    assert "cace train 'my config.yaml'" in page
    assert "| 2 | 10 of 10 | 100 | 100 | 0 | 0.001 |" in page
    assert "- optimizer: kind adam, learning_rate 0.01, betas [0.99, 0.999]" in page
    for picture in re.findall(r"!\[.*\]\((.*)\)", page):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def test_the_table_has_the_errors(run, outcome):
    page = (run[0] / "report.md").read_text(encoding="utf-8")
    stress = outcome.found["test"].stress.rmse
    (line,) = [line for line in page.splitlines() if line.startswith("| stress | GPa |")]
    numbers = [float(cell.split()[0]) for cell in line.split("|")[3:9]]
    assert numbers[2] == pytest.approx(stress * TO_GPA, rel=TABLE_DIGITS)
    assert line.count("%") == 3


def test_the_worst_frames_are_named(run, outcome):
    evaluation = outcome.found["test"]
    errors = evaluation.force_rmse_of_frames
    assert worst_frames(evaluation, "force") == np.argsort(-errors)[:5].tolist()
    page = (run[0] / "report.md").read_text(encoding="utf-8")
    worst = int(np.argmax(errors))
    assert f"| test | {run[0].parent / 'test.xyz'}, frame {worst} | " in page
    # Validation frames were drawn from the file of the training frames, and keep their numbers.
    k = worst_frames(outcome.found["valid"], "energy")[0]
    number = outcome.data["valid"].structures[k]
    assert outcome.frame_name("valid", k).endswith(f"train.xyz, frame {number}")
    assert f"| valid | {outcome.frame_name('valid', k)} | " in page


def test_report_json_says_the_same(run, outcome):
    content = json.loads((run[0] / "report.json").read_text(encoding="utf-8"))
    assert content["epochs"] == 13 and content["elements"] == ["Cu", "Au"]
    assert content["frames"] == {"train": 12, "valid": 8, "test": 6}
    assert content["verdict"] == run[1].verdict
    for part, evaluation in outcome.found.items():
        errors = content["errors"][part]
        assert errors["energy"]["rmse"] == pytest.approx(
            evaluation.energy_per_atom.rmse, rel=ROUNDING
        )
        assert errors["force"]["mae"] == pytest.approx(evaluation.force.mae, rel=ROUNDING)
        stress = TO_GPA * evaluation.stress.rmse
        assert errors["stress in GPa"]["rmse"] == pytest.approx(stress, rel=ROUNDING)


def test_the_verdict_is_printed_and_logged(run, capsys, tmp_path):
    print_report(run[1], tmp_path / "train.log")
    assert run[1].verdict[0] in (tmp_path / "train.log").read_text()
    printed = " ".join(capsys.readouterr().out.split())
    assert run[1].verdict[0] in printed and "stress │ GPa" in printed


def test_a_report_without_forces_or_energies(outcome):
    for name in ("energies", "forces", "stresses"):
        found = {
            part: replace(one, labels=one.labels | {name: np.full_like(one.labels[name], np.nan)})
            for part, one in outcome.found.items()
        }
        partial = replace(outcome, found=found)
        page = "\n".join(_page("run", Report(partial, verdict(partial)), None))
        assert "## Worst frames" in page and not re.search(r"\bnan\b", page)


# ---- sentences -----------------------------------------------------------------------------------


def with_errors(evaluation: Evaluation, factor) -> Evaluation:
    """The errors of every frame times ``factor``, a number or one for each frame."""
    of_frames = np.broadcast_to(factor, evaluation.n_frames)
    of_atoms = np.repeat(of_frames, evaluation.atoms_of_frames)
    predicted = {}
    for name, labels in evaluation.labels.items():
        scale = (of_atoms if name == "forces" else of_frames).reshape(-1, *[1] * (labels.ndim - 1))
        predicted[name] = labels + scale * (evaluation.predicted[name] - labels)
    return replace(evaluation, predicted=predicted)


def changed(outcome, scores=None, skipped=None, training=None, loss=None, **factors):
    """Like ``outcome``: all parts have the errors of test, times a factor by part."""
    one = outcome.found["test"]
    same = {part: with_errors(one, factors.get(part, 1.0)) for part in outcome.found}
    evaluated = {part: outcome.data["test"] for part in same}
    rows = [dict(row) for row in outcome.rows]
    scores = np.ones(13) if scores is None else scores
    for row, score in zip(rows, scores, strict=True):
        row["score"] = score
        row["skipped_steps"] = skipped or 0
    config = outcome.config
    for section, changes in (("training", training), ("loss", loss)):
        if changes:
            part = getattr(config, section).model_copy(update=changes)
            config = config.model_copy(update={section: part})
    return replace(outcome, config=config, found=same, evaluated=evaluated, rows=rows)


def sentences(outcome) -> str:
    return "\n".join(verdict(outcome))


def test_a_run_in_which_nothing_stands_out(outcome, monkeypatch):
    monkeypatch.setattr("pair_cace.training.verdict.FEW", 8)
    phases = [
        phase.model_copy(update={"stress_weight": 1.0}) for phase in outcome.config.training.phases
    ]
    one = changed(outcome, training={"phases": phases}, train=0.01, valid=0.01, test=0.01)
    found = {
        part: replace(one, predicted=one.predicted | {"energies": one.labels["energies"]})
        for part, one in one.found.items()
    }
    summary, grade, nothing = verdict(replace(one, found=found))
    assert summary.startswith("RMSE of the best model on the validation frames: energies 0 meV")
    assert grade.startswith("The forces are good.")
    assert nothing.startswith("Nothing else stands out.")


def test_overfitting(outcome):
    text = sentences(changed(outcome, train=0.4))
    assert "Overfitting: validation errors are 2.50 (energies) and 2.50 (forces) times" in text
    assert "has risen" not in text and "Not finished" not in text
    rising = np.concatenate([np.linspace(4, 1, 5), np.linspace(1, 1.44, 8)])
    text = sentences(changed(outcome, rising, train=0.4))
    assert "lowest in epoch 5 of 13 and has risen by 20 % since" in text
    assert "Overfitting" not in sentences(changed(outcome, train=0.7))


def test_a_curve_that_still_falls(outcome):
    # Ten epochs of the last phase; the last two are compared with those before.
    falling = np.concatenate([np.full(3, 9.0), np.full(8, 1.0), [0.9, 0.81]])
    text = sentences(changed(outcome, falling))
    assert "Not finished: the validation error fell by 10 % within the last fifth" in text
    assert "training.phases.1.epochs, now 10" in text
    assert "Not finished" not in sentences(changed(outcome))


def test_a_model_that_is_too_small(outcome):
    assert outcome.error("force", "test").share > 0.1  # after thirteen epochs
    assert "the model is too small for the data" in sentences(changed(outcome))
    assert "too small" not in sentences(changed(outcome, train=0.7))
    small = changed(outcome, train=0.001, valid=0.001, test=0.001)
    assert "too small" not in sentences(small) and "The forces are good." in sentences(small)


def test_energies_beside_forces(outcome):
    def with_energies(error, **changes):
        one = changed(outcome, **changes)
        found = {}
        for part, evaluation in one.found.items():
            signs = np.array([1, -1] * (evaluation.n_frames // 2))
            energies = evaluation.labels["energies"] + error * evaluation.atoms_of_frames * signs
            predicted = evaluation.predicted | {"energies": energies}
            found[part] = replace(evaluation, predicted=predicted)
        return sentences(replace(one, found=found))

    text = with_energies(10.0)
    assert "Energies are poor beside forces" in text and "or set loss.energies: relative" in text
    assert "Raise training.phases.1.energy_weight (now 100, with 100 for forces)" in text
    assert "loss.energies" not in with_energies(10.0, loss={"energies": "relative"})
    assert "Forces are poor beside energies" in with_energies(1e-6)
    last = outcome.config.training.phases[-1].model_copy(update={"energy_weight": 1.0})
    text = with_energies(1e-6, training={"phases": [last]})
    assert "beside" not in text  # whose weights were never those of energies


def test_test_frames_of_another_kind(outcome):
    text = sentences(changed(outcome, test=3.0))
    assert "Test errors are 3.00 (energies), 3.00 (forces) and 3.00 (stresses) times" in text
    assert "Validation frames were drawn from the training files" in text
    assert "Test errors" not in sentences(changed(outcome, test=1.2))


def test_groups_and_frames_that_stand_out(outcome, monkeypatch):
    one = changed(outcome)
    assert "By config_type" not in sentences(one)
    factors = np.array([30.0, 30.0, 30.0, 1.0, 1.0, 1.0])
    types = ["hot"] * 3 + ["cold"] * 9
    monkeypatch.setattr(one.evaluated["test"].store, "config_types", types[:6])
    one = changed(outcome, test=factors)
    whole = one.found["test"]
    # Rare frames weigh little in the error of all: repeated cold ones let the hot ones stand out.
    many = np.array([0, 1, 2] + [3, 4, 5] * 8)
    repeated = repeat(whole, many)
    part = replace(one.evaluated["test"], structures=many)
    one = replace(
        one, found=one.found | {"test": repeated}, evaluated=one.evaluated | {"test": part}
    )
    text = sentences(one)
    assert re.search(r"By config_type, forces err most, .* hot \(test, 2\.\d+ times\)", text)
    single = repeat(with_errors(whole, [1, 0, 0, 0, 0, 0]), np.array([0] + [1, 2, 3, 4, 5] * 10))
    part = replace(part, structures=np.array([0] + [1, 2, 3, 4, 5] * 10))
    one = replace(one, found=one.found | {"test": single}, evaluated=one.evaluated | {"test": part})
    text = sentences(one)
    assert re.search(r"Frames whose forces err far more .*test\.xyz, frame 0 \(test, 7\.\d+", text)


def repeat(evaluation: Evaluation, frames) -> Evaluation:
    """Some frames, each as often as it is named."""
    atoms = np.split(np.arange(evaluation.n_atoms), np.cumsum(evaluation.atoms_of_frames)[:-1])
    atoms = np.concatenate([atoms[k] for k in frames])

    def part(values):
        return {name: x[atoms if name == "forces" else frames] for name, x in values.items()}

    return Evaluation(
        evaluation.atoms_of_frames[frames], evaluation.species[atoms],
        part(evaluation.labels), part(evaluation.predicted),
    )  # fmt: skip


def test_few_validation_frames_and_skipped_steps(outcome):
    text = sentences(changed(outcome, skipped=7))
    assert "Only 8 validation frames: their errors of energies are known to about 25 %" in text
    assert "7 steps were skipped" in text
    assert "steps were skipped" not in sentences(changed(outcome))


def test_all_findings_are_in_words_with_a_threshold(outcome):
    """Every sentence on errors says from which point on it is said."""
    odd = changed(outcome, np.concatenate([np.full(12, 1.0), [0.5]]), train=0.4, test=4.0)
    for look in FINDINGS:
        for sentence in look(odd):
            assert "named" in sentence or "stress_weight is 0" in sentence


def test_stresses_that_nothing_is_learned_from_are_named_at_once(run, outcome):
    sentence = "12 of 12 training frames have a stress, but stress_weight is 0 in all phases"
    assert any(sentence in said for said in run[2])
    assert any(sentence in said for said in run[1].verdict)
    assert "for instance to 10000 (100 times" in sentences(outcome)
    phases = outcome.config.training.phases
    one = phases[0].model_copy(update={"stress_weight": 1.0})
    assert "stress_weight is 0" not in sentences(
        changed(outcome, training={"phases": [one, phases[1]]})
    )


def test_no_word_on_stresses_that_are_not_there(tmp_path):
    ase.io.write(tmp_path / "t.xyz", labelled(6, seed=1, with_stress=False), format="extxyz")
    config = config_of(tmp_path / "run", tmp_path / "t.xyz")
    listener = Listener()
    short = config.training.model_copy(update={"phases": config.training.phases[:1]})
    train(config.model_copy(update={"training": short}), watcher=listener)
    assert not any("stress_weight" in said for said in listener.said)


# ---- parts and groups ----------------------------------------------------------------------------


def test_of_many_training_frames_a_sample_is_evaluated(run, monkeypatch):
    folder, report, _ = run
    monkeypatch.setattr(outcome_module, "SAMPLE", 5)
    from pair_cace.training.run_folder import RunFolder

    outcome = report.outcome
    sampled = outcome_module.outcome_of(RunFolder(folder), outcome.data, outcome.config)
    assert sampled.found["train"].n_frames == 5 and sampled.found["valid"].n_frames == 8
    chosen = sampled.evaluated["train"].structures
    assert set(chosen) < set(outcome.data["train"].structures) and len(set(chosen)) == 5
    page = "\n".join(_page("run", Report(sampled, []), None))
    assert "Errors of train are those of 5 of 12 training frames, drawn at random." in page
    whole = outcome.found["train"].force_rmse_of_frames
    place = {k: i for i, k in enumerate(outcome.data["train"].structures)}
    np.testing.assert_allclose(
        sampled.found["train"].force_rmse_of_frames,
        [whole[place[k]] for k in chosen],
        rtol=FLOAT32_ROUNDING,
    )


def test_frames_are_told_apart_by_config_type(outcome):
    kind, groups = outcome.grouping
    assert kind == "config_type"
    assert groups["test"] == ["hot"] * 2 + ["cold"] * 4
    assert set(groups["train"]) == {"no config_type"}
    page = "\n".join(_by_group(outcome))
    assert "| hot | – / – / 2 | – / – / " in page


def test_frames_are_told_apart_by_composition_or_elements(outcome, monkeypatch):
    for part in outcome.evaluated.values():
        monkeypatch.setattr(part.store, "config_types", [None] * len(part.store))
    kind, groups = replace(outcome).grouping
    assert kind == "composition" and groups["train"] == compositions(outcome.found["train"])
    monkeypatch.setattr(outcome_module, "MANY_GROUPS", 3)
    assert replace(outcome).grouping is None  # all of copper and gold


def test_small_groups_are_joined_where_there_are_many(outcome, monkeypatch):
    for part in outcome.evaluated.values():
        monkeypatch.setattr(part.store, "config_types", [f"t{k}" for k in range(len(part.store))])
    monkeypatch.setattr(outcome_module, "MANY_GROUPS", 4)
    groups = replace(outcome).by_group()
    assert len(groups) == 4 and "17 others" in groups
    for part, evaluation in outcome.found.items():
        assert sum(group[part].n_frames for group in groups.values() if part in group) == (
            evaluation.n_frames
        )


@pytest.mark.slow
def test_the_command_line_is_in_the_report(config_file, tmp_path):
    config = config_file("my config.yaml", training={"phases": [{"epochs": 1}]})
    run = cace_train(config, "model.n_radial=3")
    assert run.returncode == 0, run.stderr
    page = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert f"python -m pair_cace train '{config}' model.n_radial=3\n" in page
    assert "RMSE of the best model on the validation frames" in run.stdout
    assert "20 of 20" not in run.stdout and "16 of 16 training frames have a stress" in run.stdout
    log = (tmp_path / "run" / "train.log").read_text()
    assert "16 of 16 training frames have a stress" in log


def test_a_report_needs_a_model(run, tmp_path):
    from pair_cace.training.run_folder import RunFolder

    outcome = run[1].outcome
    with pytest.raises(CaceError, match="cannot open"):
        write_report(RunFolder(tmp_path), outcome.data, outcome.config)
    assert not (tmp_path / "report.md").exists()
