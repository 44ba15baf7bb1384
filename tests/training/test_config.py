"""Every mistake in a config is found before training starts, and named."""

import pytest
import yaml
from pair_cace.cli.train import TEMPLATES, template_text
from pair_cace.errors import CaceError
from pair_cace.nn import CACE
from pair_cace.training.config import load_config

PHASES = [{"epochs": 3}]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"optimzer": {}}, "optimzer: unknown key; did you mean 'optimizer'?"),
        ({"data.vaild": 0.1}, "data.vaild: unknown key; did you mean 'valid'?"),
        ({"model.l_maximum": 3}, "model.l_maximum: unknown key; did you mean 'l_max'?"),
        ({"data.keys.force": "f"}, "data.keys.force: unknown key; did you mean 'forces'?"),
        ({"training.phases": [{"epoch": 3}]}, "phases.0.epoch: unknown key; did you mean 'epochs'"),
        ({"data.train": None}, "data.train"),
        ({"data.valid": 1.5}, "valid: expected files or a fraction between 0 and 1, got 1.5"),
        ({"data.E0": "average"}, "data.E0"),
        (
            {"data.E0": {"cu": -7.25, "Au": 0}},
            "E0: expected symbols of elements such as H and Cu, got cu",
        ),
        ({"model.cutoff": -5}, "model.cutoff: Input should be greater than 0, got -5"),
        ({"model.cutoff": "five"}, "model.cutoff: Input should be a valid number"),
        ({"model.nu_max": 7}, "model.nu_max: Input should be less than or equal to 4, got 7"),
        (
            {"model.messages": ["B"]},
            "model.messages.0: expected a message term of the names M, Ar, Bchi, scalars, vectors, found 'B'",
        ),
        (
            {"model.mixing": "free", "model.n_layers": 1},
            "model: free mixing does not go with the message Bchi, which is mixed channelwise; take M, Ar,",
        ),
        (
            {"model.mixing": "free", "model.embed_receiver_nodes": False},
            "free mixing has a factor for every element of the receiver",
        ),
        (
            {"model.n_layers": 1, "model.messages": ["vectors"], "model.l_max": 0},
            "the message vectors needs an l_max of 1 or more, got 0",
        ),
        (
            {"model.size": ["small"]},
            "model.size: Input should be 'small', 'medium' or 'large'",
        ),
        (
            {"model.radial": "stretched_bessel", "model.radial_length": 1000},
            "radial_length must not exceed ten cutoffs, got 1000",
        ),
        (
            {"model.size": "huge"},
            "model.size: Input should be 'small', 'medium' or 'large', got 'huge'",
        ),
        ({"model.avg_num_neighbors": 0}, "expected 'auto' or a number above 0"),
        ({"training.phases": []}, "training.phases"),
        (
            {"training.phases": [{"epochs": 0}]},
            "phases.0.epochs: Input should be greater than or eq",
        ),
        (
            {"training.phases": [{"epochs": 1, "energy_weight": 0, "force_weight": 0}]},
            "a phase needs a weight above 0",
        ),
        (
            {"training.batch_atoms": 100},
            "exactly one of batch_size, batch_atoms and batch_edges, g",
        ),
        (
            {"training.batch_size": None},
            "exactly one of batch_size, batch_atoms and batch_edges, g",
        ),
        (
            {"training.batch-size": 4},
            "training.batch-size: unknown key; did you mean 'batch_size'?",
        ),
        ({"data.isolated_atoms": "a.xyz"}, "isolated_atoms is used with E0: isolated only"),
        ({"data.E0": "keep"}, "data.E0: 'keep' needs a model in fine_tune.init_from"),
        ({"optimizer.betas": [0.9, 1.0]}, "optimizer.betas.1: Input should be less than 1"),
        ({"training.dtype": "half"}, "training.dtype: Input should be 'float32' or 'float64'"),
        (
            {"optimizer.kind": "sgd"},
            "optimizer.kind: Input should be 'adam', 'adamw' or 'muon', got 'sgd'",
        ),
        ({"optimizer.learning_rate": 0}, "optimizer.learning_rate: Input should be greater than 0"),
        ({"optimizer.ema_decay": 1.0}, "optimizer.ema_decay: Input should be less than 1"),
        (
            {"schedule.kind": "linear"},
            "schedule.kind: Input should be 'constant', 'step', 'cosine'",
        ),
        ({"schedule.factor": 2}, "schedule.factor: Input should be less than 1"),
        (
            {"loss.energies": "relative", "training.batch_size": 1},
            "loss.energies: relative compares the structures of a batch; expected",
        ),
        ({"loss.kind": "l1"}, "loss.kind: expected a loss of the names mse, huber, found 'l1'"),
        (
            {"fine_tune.train_only": "head"},
            "fine_tune.train_only: Input should be 'all' or 'readou",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, changes, message):
    content = {
        "folder": "run", "data": {"train": "a.xyz"}, "model": {"cutoff": 5.0},
        "training": {"batch_size": 4, "phases": PHASES},
    }  # fmt: skip
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(CaceError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_tilde_is_the_home_folder(tmp_path, config_file, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    data = {"train": "~/a.xyz", "valid": ["~/b.xyz"], "cache": "~/cache"}
    config = load_config(config_file(folder="~/run", data=data))
    assert config.folder == tmp_path / "run" and config.data.cache == tmp_path / "cache"
    assert config.data.train == (tmp_path / "a.xyz",)
    assert config.data.valid == (tmp_path / "b.xyz",)


def test_all_mistakes_are_named_at_once(tmp_path):
    (tmp_path / "c.yaml").write_text("data: {tran: x}\ntraining: {}\n")
    with pytest.raises(CaceError) as caught:
        load_config(tmp_path / "c.yaml")
    for name in ("folder: missing", "data.train: missing", "data.tran: unknown", "model: missing"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    "text, message",
    [("a: [", "is not YAML"), ("", "expected sections such as data"), ("- 1", "expected sections")],
)
def test_files_that_are_no_config(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(CaceError, match=message):
        load_config(tmp_path / "c.yaml")
    with pytest.raises(CaceError, match="cannot read"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes("# Abstände in Å\n".encode("latin-1"))
    with pytest.raises(CaceError, match="expected a config, text in UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_nothing_behind_test(config_file):
    assert load_config(config_file(), ["data.test=null"]).data.test == ()


def test_overrides(config_file):
    config = load_config(
        config_file(), ["model.n_layers=1", "data.E0={Cu: 1.0, Au: 2}", "loss.kind=huber"]
    )
    assert config.model.n_layers == 1
    assert config.data.E0 == {"Cu": 1.0, "Au": 2.0}
    assert config.loss.kind == "huber"
    config = load_config(config_file(), ["training.phases.1.epochs=7"])
    assert [phase.epochs for phase in config.training.phases] == [2, 7]
    for override, message in [
        ("training.phases.2.epochs=7", "expected a number from 0 to 1 instead of '2'"),
        ("training.phases.first.epochs=7", "expected a number from 0 to 1 instead of 'first'"),
        ("model", "expected section.key=value"),
        ("folder.x=1", "'folder' is not"),
    ]:
        with pytest.raises(CaceError, match=message):
            load_config(config_file(), [override])


def test_a_size_fills_in_what_is_not_given(config_file):
    config = load_config(
        config_file(), ["model.size=small", "model.l_max=1", "model.message_radial=3"]
    )
    settings = config.model.hyperparameters(["H", "O"], 20.0)
    assert settings.mixing == "free" and settings.has_kernels
    assert (settings.l_max, settings.message_radial, settings.message_channels) == (1, 3, 16)


# Parameters of the published models that the templates describe.
PUBLISHED = {"water": (["H", "O"], 69_320), "molecule": (["H", "C", "N", "O"], 263_546)}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates(tmp_path, name):
    path = tmp_path / "c.yaml"
    path.write_text(template_text(name))
    config = load_config(path)
    if config.fine_tune.init_from:  # which has the shape
        assert config.model is None and config.data.E0 == "keep"
        return
    elements, count = PUBLISHED.get(name, (["Cu", "Au"], None))
    model = CACE(config.model.hyperparameters(elements, 20.0))
    if count:
        assert sum(parameter.numel() for parameter in model.parameters()) == count
