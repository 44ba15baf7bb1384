"""Every key of a config is explained, where a user looks for it."""

import re

import pytest
import yaml
from pair_cace.cli.train import TEMPLATES, template_text
from pair_cace.training.commented import commented_yaml
from pair_cace.training.config import Config, load_config
from pair_cace.training.keys import Key, keys_text, kind_in_words, sections_of
from pydantic import BaseModel, Field
from training_helpers import cace_train

ALL_KEYS = {key.name: key for section in sections_of() for key in section.keys}


@pytest.mark.parametrize("name", ALL_KEYS)
def test_a_key_says_what_it_is(name):
    key = ALL_KEYS[name]
    assert len(key.sentence) > 10
    assert key.kind and not re.search(r"typing|class|Optional|\|", key.kind)


def test_all_keys_are_found():
    """Whatever a config holds is among them, and under its own name."""
    content = {
        "folder": "run", "data": {"train": "a.xyz"},
        "model": {"cutoff": 5.0, "outputs": {"NAME": "scalar"}},
        "training": {"batch_size": 4, "phases": [{"epochs": 3}]},
        "fine_tune": {"replay": {"keys": {}}},
    }  # fmt: skip

    def names(value, name=""):
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from names(inner, f"{name}.{key}".strip("."))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from names(value[0], f"{name}.N")
        else:
            yield name

    dumped = Config.model_validate(content).model_dump(mode="json")
    assert set(names(dumped)) | {"model.outputs"} == set(ALL_KEYS)


@pytest.mark.parametrize(
    "key",
    [
        Key("model.cutoff", "number above 0", None, "Å", ALL_KEYS["model.cutoff"].sentence),
        Key("model.l_max", "integer from 0 to 8", "3", None, "L, highest angular degree"),
    ],
)
def test_keys_as_they_are(key):
    assert ALL_KEYS[key.name] == key


@pytest.mark.parametrize(
    "name, kind",
    [
        ("data.train", "file or list of files"),
        ("data.valid", "file or list of files or number"),
        ("data.E0", "one of fit, isolated, keep or {name: number, …}"),
        ("model.trainable_rbf", "true or false"),
        ("model.readout_hidden", "list, each integer"),
        ("model.messages", "list, each one of M, Ar, Bchi, scalars, vectors"),
        ("model.avg_num_neighbors", "number or auto"),
        ("model.zbl_cutoff", "number above 0"),
        ("optimizer.betas", "list of 2, each number at least 0 and below 1"),
        ("optimizer.ema_decay", "number at least 0 and below 1"),
        ("schedule.kind", "one of constant, step, cosine, plateau"),
        ("training.phases.N.epochs", "integer at least 1"),
    ],
)
def test_types_in_words(name, kind):
    assert ALL_KEYS[name].kind == kind


def test_a_type_without_words_is_an_error():
    with pytest.raises(KeyError):
        kind_in_words(complex)


def test_a_key_without_a_unit_or_a_default():
    class Small(BaseModel):
        """Two keys."""

        x: float
        y: int | None = Field(None, description="how many")

    (section,) = sections_of(Small, "small")
    assert section.sentence == "Two keys."
    assert section.keys[0] == Key("small.x", "number", None, None, "")
    assert section.keys[1] == Key("small.y", "integer", "null", None, "how many")


@pytest.mark.slow
def test_the_command_prints_all_keys():
    run = cace_train("--keys")
    assert run.returncode == 0 and run.stdout == keys_text()
    assert "\x1b" not in run.stdout and max(map(len, run.stdout.splitlines())) <= 100
    printed = re.findall(r"^  ([\w.]+) (?:=|\(must be given\))", run.stdout, flags=re.MULTILINE)
    assert printed == list(ALL_KEYS)


AWKWARD = [
    'data.train=["a, b.xyz", "c: d.xyz", "ü.xyz"]', "data.E0={Cu: 1, Au: -2.5}", 'folder="a # b"',
    'data.keys.energy="null"', "training.early_stopping=7", "model.bchi_hidden=[]",
    "data.isolated_atoms=null",
]  # fmt: skip


@pytest.mark.parametrize("overrides", [[], AWKWARD])
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_commented_config_is_the_config(tmp_path, template, overrides):
    path = tmp_path / "c.yaml"
    path.write_text(template_text(template), encoding="utf-8")
    if template == "finetune":  # whose model is that of a checkpoint
        overrides = [one for one in overrides if not one.startswith("model.")]
    config = load_config(path, overrides)
    text = commented_yaml(config)
    assert yaml.safe_load(text) == config.model_dump(mode="json")
    path.write_text(text, encoding="utf-8")
    assert load_config(path) == config


def test_a_commented_config_without_a_model(config_file, tmp_path):
    config = load_config(config_file(fine_tune={"init_from": "m.pt"}), ["model=null"])
    assert yaml.safe_load(commented_yaml(config)) == config.model_dump(mode="json")


def test_sentences_stand_above_their_keys(config_file):
    lines = commented_yaml(load_config(config_file())).splitlines()
    cutoff = lines.index("  cutoff: 4.0")
    assert lines[cutoff - 1] == f"  # {ALL_KEYS['model.cutoff'].sentence} (Å)"
    assert sum("how often all training structures" in line for line in lines) == 1
