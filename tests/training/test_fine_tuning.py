"""Fine-tuning: frames of the first training are replayed, and both models are compared."""

import json

import ase.io
import numpy as np
import pytest
from pair_cace.cli.train import train_from_file
from pair_cace.errors import CaceError
from pair_cace.io.checkpoint import load_checkpoint
from pair_cace.training.config import load_config
from pair_cace.training.data import load_data
from pair_cace.training.distributed import Processes
from pair_cace.training.parent_and_child import lines_of
from pair_cace.training.provenance import sha256_of
from pair_cace.training.replay import Mixture, spread
from pair_cace.training.run import train
from pair_cace.training.watcher import Watcher
from tolerances import ROUNDING
from training_helpers import labelled, rows_of

PHASES = {"phases": [{"epochs": 2, "energy_weight": 1, "force_weight": 100}]}


@pytest.fixture
def parent(config_file, tmp_path):
    """A model of the 20 frames of the fixture, and a file with 6 others of gold alone."""
    folder = tmp_path / "parent"
    train(load_config(config_file(folder=str(folder), training=PHASES)))
    gold = labelled(6, seed=5)
    for atoms in gold:
        atoms.symbols[:] = "Au"
    ase.io.write(tmp_path / "gold.xyz", gold, format="extxyz")
    return folder / "best.cace.pt"


@pytest.fixture
def tuned(config_file, tmp_path, parent):
    """A writer of configs that fine-tune ``parent`` on gold."""

    def write(replay=None, folder="child", **sections):
        content = {
            "model": None,
            "folder": str(tmp_path / folder),
            "data": {"train": str(tmp_path / "gold.xyz"), "valid": 0.2},
            "fine_tune": {"init_from": str(parent)} | ({"replay": replay} if replay else {}),
            "training": PHASES,
        }
        return config_file(name=f"{folder}.yaml", **(content | sections))

    return write


def said_in(config):
    said = []
    watcher = Watcher()
    watcher.say = said.append
    train(config, watcher=watcher)
    return said


def test_E0_are_kept_unless_the_config_says_otherwise(tuned, parent):
    config = load_config(tuned())
    assert config.data.E0 == "keep"
    assert load_config(tuned(data={"train": "a.xyz", "E0": "fit"})).data.E0 == "fit"
    train(config)
    child = load_checkpoint(config.folder / "best.cace.pt")[1]
    assert child.E0 == load_checkpoint(parent)[1].E0
    assert child.elements == load_checkpoint(parent)[1].elements  # the data have gold alone


def test_without_replay_there_is_a_warning(tuned):
    said = said_in(load_config(tuned()))
    (warning,) = [text for text in said if text.startswith("warning")]
    assert "set fine_tune.replay.frames, such as 200 or all" in warning
    said = said_in(load_config(tuned({"frames": 5}, folder="with")))
    assert not any(text.startswith("warning") for text in said)


def test_frames_of_the_first_training_are_replayed(tuned, parent, data_file):
    config = load_config(tuned({"frames": 8, "share": 0.6}))
    said = said_in(config)
    assert "replay: 8 structures, 64 atoms" in said
    assert "replay, valid: 12 structures, 96 atoms" in said  # others of the same file
    assert "60 % of the structures of an epoch are replayed ones" in said
    rows = rows_of(config.folder)
    assert rows[0]["replay_force_rmse (eV/A)"] > 0
    phase = config.training.phases[-1]
    losses = [
        phase.energy_weight * rows[0][f"{part}_energy_rmse (eV/atom)"] ** 2
        + phase.force_weight * rows[0][f"{part}_force_rmse (eV/A)"] ** 2
        for part in ("valid", "replay")
    ]
    assert rows[0]["score"] == pytest.approx(0.4 * losses[0] + 0.6 * losses[1], rel=ROUNDING)
    provenance = load_checkpoint(config.folder / "best.cace.pt")[1].provenance
    assert provenance["data"]["replay"]["sha256"] == [sha256_of(data_file)]
    assert provenance["parent"] == {
        "file": str(parent),
        "sha256": sha256_of(parent),
        "provenance": load_checkpoint(parent)[1].provenance,
    }


def test_resuming_repeats_a_run_with_replay(tuned, tmp_path):
    whole = load_config(tuned({"frames": 8}))
    train(whole)
    longer = {"phases": [PHASES["phases"][0] | {"epochs": 1}] + PHASES["phases"]}
    first = load_config(
        tuned({"frames": 8}, folder="parts", training={"phases": longer["phases"][:1]})
    )
    train(first)
    both = load_config(tuned({"frames": 8}, folder="parts", training=longer))
    train(both, resume=True)
    at_once = load_config(tuned({"frames": 8}, folder="once", training=longer))
    train(at_once)
    assert rows_of(tmp_path / "parts") == rows_of(tmp_path / "once")


def test_a_child_of_a_child_replays_what_both_were_trained_on(tuned, parent, tmp_path, data_file):
    train(load_config(tuned({"frames": 8})))
    ase.io.write(tmp_path / "more.xyz", labelled(4, seed=7), format="extxyz")
    child = tmp_path / "child" / "best.cace.pt"
    config = load_config(
        tuned(
            folder="grandchild",
            data={"train": str(tmp_path / "more.xyz")},
            fine_tune={"init_from": str(child), "replay": {"frames": "all"}},
        )
    )
    train(config)
    provenance = json.loads((tmp_path / "grandchild" / "provenance.json").read_text())
    assert provenance["data"]["replay"]["files"] == [str(tmp_path / "gold.xyz"), str(data_file)]


@pytest.mark.slow
def test_errors_of_parent_and_child_are_side_by_side(tuned, capsys, tmp_path):
    test = {"train": str(tmp_path / "gold.xyz"), "valid": 0.2, "test": str(tmp_path / "gold.xyz")}
    train_from_file(tuned({"frames": 8}, data=test), (), resume=False)
    printed = capsys.readouterr().out
    rows = json.loads((tmp_path / "child" / "parent-and-child.json").read_text())
    for line in lines_of(rows):
        assert line in printed
        assert line in (tmp_path / "child" / "train.log").read_text()
        assert line in (tmp_path / "child" / "report.md").read_text()
    assert [row["data"] for row in rows if row["quantity"] == "force"] == [
        "new data, validation", "new data, test", "first training, frames not replayed",
        "first training, replayed frames",
    ]  # fmt: skip
    assert all(row["parent"] > 0 and row["child"] > 0 for row in rows)
    valid = rows_of(tmp_path / "child")
    best = min(valid, key=lambda row: row["score"])
    (force,) = [r for r in rows if (r["data"], r["quantity"]) == ("new data, validation", "force")]
    assert force["child"] == pytest.approx(1e3 * best["valid_force_rmse (eV/A)"], rel=ROUNDING)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            "gone",
            r"was trained on .*first.xyz, which is not there any more; give the file\(s\) with ",
        ),
        ("changed", "first.xyz has changed since .* was trained on it; give the file"),
    ],
)
def test_files_that_are_not_what_they_were(config_file, tmp_path, change, message):
    first = tmp_path / "first.xyz"
    ase.io.write(first, labelled(6, seed=1), format="extxyz")
    train(load_config(config_file(data={"train": str(first)}, training=PHASES)))
    if change == "gone":
        first.rename(tmp_path / "moved.xyz")
    else:
        ase.io.write(first, labelled(6, seed=2), format="extxyz")
        ase.io.write(tmp_path / "moved.xyz", labelled(6, seed=1), format="extxyz")
    ase.io.write(tmp_path / "new.xyz", labelled(4, seed=3), format="extxyz")
    sections = {
        "folder": str(tmp_path / "child"), "data": {"train": str(tmp_path / "new.xyz")},
        "training": PHASES, "model": None,
    }  # fmt: skip
    tune = {"init_from": str(tmp_path / "run" / "best.cace.pt")}
    replay = {"frames": 3}
    with pytest.raises(CaceError, match=f"{message}.*replay.data"):
        train(load_config(config_file(fine_tune=tune | {"replay": replay}, **sections)))
    replay = {"data": str(tmp_path / "moved.xyz")}  # all of them
    config = load_config(config_file(fine_tune=tune | {"replay": replay}, **sections))
    assert config.fine_tune.replay.frames == "all"
    train(config)


def test_replay_needs_a_model_to_start_from(config_file):
    config = config_file(fine_tune={"replay": {"frames": 3}})
    with pytest.raises(CaceError, match="name it with fine_tune.init_from"):
        load_config(config)


def test_energies_of_another_code_are_noticed(tuned, tmp_path):
    shifted = labelled(4, seed=8)
    for atoms in shifted:
        atoms.calc.results["energy"] += 100.0 * len(atoms)
    ase.io.write(tmp_path / "shifted.xyz", shifted, format="extxyz")
    said = said_in(load_config(tuned(data={"train": str(tmp_path / "shifted.xyz")})))
    (text,) = [text for text in said if "data.E0: fit" in text]
    assert text.startswith("warning: the model is off by -100.")


def test_an_epoch_has_its_share_of_replayed_structures(config_file):
    data = load_data(load_config(config_file()), 4.0, Processes(), Watcher())
    few = {"new": data["valid"], "old": data["train"]}  # 4 and 16
    for share, n_new, n_old in [(0.5, 16, 16), (0.8, 4, 16), (0.9, 4, 36)]:
        mixture = Mixture.of(few["new"], few["old"], share)
        order = mixture.order(seed=0, epoch=3)
        counts = np.bincount(order, minlength=len(mixture.store))
        new, old = counts[few["new"].structures], counts[20 + few["old"].structures]
        assert (new.sum(), old.sum(), len(order)) == (n_new, n_old, n_new + n_old)
        for kind in (new, old):
            assert kind.min() >= 1 and kind.max() <= kind.min() + 1
        assert (order == mixture.order(seed=0, epoch=3)).all()
        assert not (order == mixture.order(seed=0, epoch=4)).all()
    one = few["old"].structures[3]
    graph, labels = Mixture.of(few["new"], few["old"], 0.5).store.batch([0, 20 + one])
    alone = few["old"].store.batch([one])
    assert np.array_equal(graph.species[8:], alone[0].species)
    assert np.array_equal(labels.forces[8:], alone[1].forces)


def test_replayed_frames_are_spread_over_groups(config_file):
    store = load_data(load_config(config_file()), 4.0, Processes(), Watcher())["train"].store
    store.config_types = ["bulk"] * 17 + ["surface"] * 2 + ["gas"]
    first = [store.config_types[k] for k in spread(store, np.arange(20), seed=1)[:6]]
    assert sorted(first) == ["bulk"] * 3 + ["gas"] + ["surface"] * 2
