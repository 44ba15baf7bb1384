"""What a user can set in a training run: the schema of config.yaml."""

from __future__ import annotations

import difflib
import glob
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import yaml
from ase.data import chemical_symbols
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ..errors import CaceError
from ..nn import Hyperparameters
from ..nn.hyperparameters import ModelShape, unit
from ..quantities import OF_ENERGY
from ..registry import NameOf
from .losses import LOSSES
from .model_sizes import SizeName, filled_in

UserPath = Annotated[pathlib.Path, AfterValidator(pathlib.Path.expanduser)]  # ~ is the home


def _files(given: Any) -> Any:
    """Files that a config names, with patterns filled in; whatever is no file as it is.

    Raises ValueError for folders, and for patterns that no file has.
    """
    if given is None:  # `test:` with nothing behind it
        return []
    if isinstance(given, (str, pathlib.Path)):
        given = [given]
    if not isinstance(given, (list, tuple)):
        return given
    found: list[Any] = []
    for name in given:
        path = pathlib.Path(name).expanduser() if isinstance(name, (str, pathlib.Path)) else None
        if path is None or path.is_file():
            found.append(name)
        elif path.is_dir():
            raise ValueError(
                f"expected files, found the folder {path}; name what it holds, for example "
                f"{path / '*.xyz'}"
            )
        elif re.search(r"[*?\[]", str(path)):
            matches = sorted(filter(os.path.isfile, glob.glob(str(path), recursive=True)))
            if not matches:
                raise ValueError(f"no file is called like {path}; correct the pattern")
            found += matches
        else:
            found.append(name)  # whoever reads it says that it is not there
    return found


def _fraction_or_files(given: Any) -> Any:
    if isinstance(given, str):
        try:
            if given.strip().endswith("%"):
                return float(given.strip().removesuffix("%")) / 100
            return float(given)
        except ValueError:
            pass
    return _files(given)


Files = Annotated[tuple[UserPath, ...], BeforeValidator(_files)]


def key(default: Any, sentence: str, of_unit: str | None = None, **limits: Any) -> Any:
    """A key with what people are told of it; ``...`` must be given, ``limits`` are those of pydantic."""
    extra = unit(of_unit) if of_unit else None
    return Field(default, description=sentence, json_schema_extra=extra, **limits)


Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeysSection(_Section):
    """Names of the labels in the data files."""

    energy: str | None = key("energy", "name of the total energies; none: do without", "eV")
    forces: str | None = key("forces", "name of the forces; none: do without", "eV/Å")
    stress: str | None = key(
        "stress", "name of the stresses, tension positive as in ASE; none: do without", "eV/Å³"
    )
    virial: str | None = key(
        "virial", "name of the virials as QUIP writes them, taken where there is no stress", "eV"
    )
    weight: str | None = key(
        "config_weight", "name of the weight that a configuration has in the loss"
    )
    config_type: str | None = key(
        "config_type", "name of the group that a frame belongs to, any word"
    )


class DataSection(_Section):
    """Where the data come from."""

    train: Files = key(
        ...,
        "files to train on, extended XYZ or whatever ASE reads; patterns such as "
        "data/*.xyz are fine",
        min_length=1,
    )
    valid: Annotated[tuple[UserPath, ...] | float, BeforeValidator(_fraction_or_files)] = key(
        0.1,
        "files to choose the best model with, or the fraction of the training frames "
        "that is set aside for that",
    )
    test: Files = key((), "files that only the report looks at; optional")
    keys: KeysSection = KeysSection()
    config_type_weights: dict[str, Weight] = key(
        {},
        "weight of frames in the loss by their config_type, times their own weight; "
        "'default' is for all others, and 1 if it is not given",
    )
    E0: Literal["fit", "isolated", "keep"] | dict[str, float] = key(
        "fit",
        "energies of the elements: 'fit' by least squares, 'isolated' from frames with "
        "one atom in the training files or in isolated_atoms, or eV by element; 'keep' those of "
        "fine_tune.init_from, the default there; elements that the data do not have keep theirs",
        "eV",
    )
    isolated_atoms: UserPath | None = key(None, "file of isolated atoms, for E0: isolated")
    cache: UserPath | None = key(None, "folder for neighbour lists; null: in the run folder")

    @property
    def files(self) -> dict[str, tuple[pathlib.Path, ...]]:
        """By the part of the data that they are, "train", "valid" and "test", where there are any."""
        valid = () if isinstance(self.valid, float) else self.valid
        parts = {"train": self.train, "valid": valid, "test": self.test}
        return {name: paths for name, paths in parts.items() if paths}

    @model_validator(mode="after")
    def _fraction_elements_and_isolated_atoms(self) -> "DataSection":
        if isinstance(self.valid, float) and not 0.0 < self.valid < 1.0:
            raise ValueError(
                f"valid: expected files or a fraction between 0 and 1, got {self.valid}"
            )
        unknown = [] if isinstance(self.E0, str) else set(self.E0) - set(chemical_symbols[1:])
        if unknown:
            raise ValueError(
                f"E0: expected symbols of elements such as H and Cu, got {', '.join(sorted(unknown))}"
            )
        if self.isolated_atoms and self.E0 != "isolated":
            raise ValueError(
                "isolated_atoms is used with E0: isolated only; set that, or remove it"
            )
        return self


class ModelSection(ModelShape):
    """Shape of the model; the elements come from the data."""

    size: SizeName | None = key(
        None,
        "freely mixed channels and messages of scalars and vectors, small, medium or large: values for "
        "all keys below but the cutoff that are not given",
    )
    avg_num_neighbors: float | Literal["auto"] = key(
        "auto",
        "messages are divided by its square root; 'auto': the mean number of "
        "neighbours in the training data",
    )

    def hyperparameters(self, elements: Iterable[str], mean_neighbors: float) -> Hyperparameters:
        """The settings of a model for ``elements``."""
        values = self.model_dump(exclude={"size"}) | {"elements": tuple(elements)}
        if values["avg_num_neighbors"] == "auto":
            values["avg_num_neighbors"] = max(1.0, round(mean_neighbors, 1))
        return Hyperparameters(**values)

    @model_validator(mode="before")
    @classmethod
    def _size_fills_in(cls, given: Any) -> Any:
        return filled_in(given)

    @field_validator("avg_num_neighbors")
    @classmethod
    def _above_zero(cls, value: float | str) -> float | str:
        if value != "auto" and not value > 0:
            raise ValueError("expected 'auto' or a number above 0")
        return value


_NAMES_OF_ENERGY = tuple(quantity.name for quantity in OF_ENERGY)


class PhaseSection(_Section):
    """A part of the training with its own weights in the loss."""

    epochs: int = key(..., "how often all training structures are gone through", ge=1)
    energy_weight: Weight = key(
        1.0, "weight of the mean square error of energies per atom", "1/(eV/atom)²"
    )
    force_weight: Weight = key(
        1000.0, "weight of the mean square error of the components of forces", "1/(eV/Å)²"
    )
    stress_weight: Weight = key(
        0.0,
        "weight of the mean square error of the components of stresses; 0: labels of "
        "stresses are not learned from",
        "1/(eV/Å³)²",
    )
    output_weights: dict[str, Weight] = key(
        {},
        "weight of the mean square error of outputs by name, in units of the square of the "
        "spread of their training labels about the means of elements; 1 if it is not given, 0: not learned",
    )
    learning_rate: float | None = key(
        None, "learning rate of this phase; null: that of the optimizer", gt=0
    )

    def weight_of(self, quantity: str) -> float:
        """By the name in the table of ``quantities``."""
        if quantity in _NAMES_OF_ENERGY:
            return getattr(self, f"{quantity}_weight")
        return self.output_weights.get(quantity, 1.0)

    @model_validator(mode="after")
    def _something_to_learn(self) -> "PhaseSection":
        weights = [self.weight_of(name) for name in _NAMES_OF_ENERGY]
        if not any([*weights, *self.output_weights.values()]):
            raise ValueError(
                "a phase needs a weight above 0 for energy, force, stress or an output"
            )
        return self


class OptimizerSection(_Section):
    """How steps are taken."""

    kind: Literal["adam", "adamw", "muon"] = key(
        "adam",
        "adamw decays weights apart from the gradient; muon takes orthogonal steps in "
        "the wide layers, and those of Adam elsewhere",
    )
    learning_rate: float = key(
        1e-2, "by about how much a step changes a weight", gt=0, allow_inf_nan=False
    )
    betas: tuple[Beta, Beta] = key(
        (0.99, 0.999),
        "how much of their averages the gradient and its square keep from step to step",
    )
    weight_decay: float = key(
        0.0,
        "pull of the weights towards 0; with muon: of layers that take the invariants alone",
        ge=0,
    )
    clip_gradient_norm: float = key(10.0, "longer gradients are shortened to this norm", gt=0)
    ema_decay: float = key(
        0.99,
        "how much of the averaged weights, which are validated and kept, stays from "
        "step to step; 0 switches the averaging off",
        ge=0,
        lt=1,
    )


class ScheduleSection(_Section):
    """How the learning rate changes within a phase; every phase starts it anew."""

    kind: Literal["constant", "step", "cosine", "plateau"] = key(
        "step",
        "step: reduced every step_epochs; cosine: falls to the minimum at the end of "
        "the phase; plateau: reduced where validation does not improve",
    )
    step_epochs: int = key(20, "step: epochs between reductions", "epochs", ge=1)
    factor: float = key(
        0.5, "step and plateau: what a reduction multiplies the rate with", gt=0, lt=1
    )
    patience: int = key(
        10, "plateau: epochs without improvement before a reduction", "epochs", ge=1
    )
    minimum: float = key(1e-5, "step, cosine and plateau: no learning rate below this", ge=0)
    warmup_steps: int = key(
        0, "steps of linear increase at the very start of the run", "steps", ge=0
    )


class LossSection(_Section):
    """How an error becomes a loss."""

    kind: NameOf(LOSSES) = key(
        "mse", "mse: squares; huber: squares of small errors, linear in large ones"
    )
    huber_delta: float = key(
        0.1, "huber: errors above this count as large", "eV/atom, eV/Å and eV/Å³", gt=0
    )
    energies: Literal["absolute", "relative"] = key(
        "absolute",
        "absolute: errors of energies as they are; relative: up to the mean error per "
        "atom of a batch, so that no step goes after the constant that all energies share; it is "
        "fitted after every epoch",
    )


class TrainingSection(_Section):
    """The course of a run."""

    phases: tuple[PhaseSection, ...] = key(
        ..., "parts of the training, one after the other", min_length=1
    )
    batch_size: int | None = key(
        None, "structures in a batch; give this, batch_atoms or batch_edges", ge=1
    )
    batch_atoms: int | None = key(None, "most atoms in a batch, instead", ge=1)
    batch_edges: int | None = key(None, "most edges in a batch, instead", ge=1)
    dtype: Literal["float32", "float64"] = key(
        "float32", "precision of the weights; energies are summed in float64 anyway"
    )
    device: str = key("cpu", "where to train: cpu, cuda or cuda:N")
    seed: int = key(0, "of the first weights, of the split and of the order of structures", ge=0)
    early_stopping: int | None = key(
        None, "end a phase after so many epochs without improvement; null: never", "epochs", ge=1
    )
    refit_readout: bool = key(
        False,
        "at the end, find the linear readout by least squares; kept if the validation "
        "data say that it is better",
    )
    max_bad_steps: int = key(
        20, "give up after so many steps in a row with a loss that is not finite", "steps", ge=1
    )

    @model_validator(mode="after")
    def _one_batch_rule(self) -> "TrainingSection":
        given = [
            name for name in ("batch_size", "batch_atoms", "batch_edges")
            if getattr(self, name) is not None
        ]  # fmt: skip
        if len(given) != 1:
            raise ValueError(
                "expected exactly one of batch_size, batch_atoms and batch_edges, got "
                + (" and ".join(given) or "none")
            )
        return self


class ReplaySection(_Section):
    """Frames of the first training that are trained on again, so that they are not forgotten."""

    frames: Annotated[int, Field(ge=1)] | Literal["all"] | None = key(
        None, "how many, spread over their groups, or all; null: none"
    )
    data: Files = key((), "file(s) that they are drawn from; default: those that init_from names")
    keys: KeysSection | None = key(
        None, "names of their labels; default: as in the first training, or data.keys"
    )
    share: float = key(
        0.5, "of the structures of an epoch, and of the score of a model", gt=0, lt=1
    )

    @model_validator(mode="before")
    @classmethod
    def _given_files_are_used(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("data"):
            return {"frames": "all"} | values
        return values


class FineTuneSection(_Section):
    """Weights to start from, instead of random ones."""

    init_from: UserPath | None = key(
        None, "checkpoint, which also has the shape: the section model can be left out"
    )
    train_only: Literal["all", "readout"] = key(
        "all", "readout: all weights but those of the readout stay as they are"
    )
    replay: ReplaySection = ReplaySection()


NO_MODEL = "model: missing; it has no default"


class Config(_Section):
    """Everything in config.yaml."""

    folder: UserPath = key(..., "run folder; made if it is not there")
    data: DataSection
    model: ModelSection | None = None
    training: TrainingSection
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    loss: LossSection = LossSection()
    fine_tune: FineTuneSection = FineTuneSection()

    @model_validator(mode="before")
    @classmethod
    def _fine_tuning_keeps_E0(cls, values: Any) -> Any:
        """Unless the config says otherwise: the weights were trained for these energies."""
        if isinstance(values, dict):
            data, tune = values.get("data"), values.get("fine_tune")
            if isinstance(tune, dict) and tune.get("init_from") and isinstance(data, dict):
                return values | {"data": {"E0": "keep"} | data}
        return values

    @model_validator(mode="after")
    def _sections_go_together(self) -> "Config":
        if self.fine_tune.init_from is None:
            if self.fine_tune.replay.frames is not None:
                raise ValueError(
                    "fine_tune.replay: frames are replayed to a model that has been trained; name "
                    "it with fine_tune.init_from, or add the files to data.train"
                )
            if self.model is None:
                raise ValueError(NO_MODEL)
            if self.data.E0 == "keep":
                raise ValueError("data.E0: 'keep' needs a model in fine_tune.init_from")
            if self.fine_tune.train_only != "all":
                raise ValueError("fine_tune.train_only: 'readout' needs fine_tune.init_from")
        if self.loss.energies == "relative" and self.training.batch_size == 1:
            raise ValueError(
                "loss.energies: relative compares the structures of a batch; expected "
                "training.batch_size of 2 or more, got 1"
            )
        if self.training.refit_readout and self.model and not self.model.readout_linear:
            raise ValueError("training.refit_readout needs model.readout_linear: true")
        return self


class _YAML(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as it is in YAML 1.2 and for people; PyYAML wants 1.0e-3."""


_YAML.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def load_config(path: pathlib.Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file; ``overrides`` are ``section.key=value`` with values in YAML.

    Raises CaceError with all mistakes, each named, and the nearest known key for unknown ones.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _YAML)
    except OSError as error:
        raise CaceError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CaceError(
            f"{path}: expected a config, text in UTF-8, found other bytes at {error.start}; save it "
            "as UTF-8 (a model goes into fine_tune.init_from)"
        ) from error
    except yaml.YAMLError as error:
        raise CaceError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise CaceError(f"{path}: expected sections such as data and training, found none")
    for override in overrides:
        _apply(content, override)
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        mistakes = [_described(mistake) for mistake in error.errors()]
        if "model" not in content and "fine_tune" not in content and NO_MODEL not in mistakes:
            mistakes.append(NO_MODEL)  # which a validator finds only where nothing else is wrong
        listed = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise CaceError(f"{path} has {len(mistakes)} mistake(s):\n{listed}") from None


def _apply(content: dict, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise CaceError(f"expected section.key=value, got '{override}'")
    *sections, last = key.split(".")
    for section in sections:
        if isinstance(content, dict):
            content = content.setdefault(section, {})
        else:
            content = content[_entry(content, section, override)]
        if not isinstance(content, (dict, list)):
            raise CaceError(f"'{override}': '{section}' is not a section")
    if isinstance(content, list):
        last = _entry(content, last, override)
    try:
        content[last] = yaml.load(text, _YAML)
    except yaml.YAMLError as error:
        raise CaceError(f"'{override}': the value is not YAML: {error}") from error


def _entry(entries: list, name: str, override: str) -> int:
    """``name`` as the number of one of ``entries``, counted from 0."""
    if not name.isdigit() or int(name) >= len(entries):
        raise CaceError(
            f"'{override}': expected a number from 0 to {len(entries) - 1} instead of '{name}'"
        )
    return int(name)


def _described(mistake: Any) -> str:
    unknown = mistake["type"] == "extra_forbidden"
    # Names of union members ('tuple[Path, ...]', 'float') are pydantic's, not the user's.
    if not mistake["loc"]:  # of the whole; the message names the keys
        return mistake["msg"].removeprefix("Value error, ")
    *above, last = mistake["loc"]
    place = [part for part in above if isinstance(part, int) or part.isidentifier()]
    if unknown or isinstance(last, int) or last.isidentifier():
        place.append(last)
    name = ".".join(map(str, place))
    if unknown:
        known = _known_keys([part for part in place[:-1] if isinstance(part, str)])
        wanted = str(place[-1]).replace("-", "_")
        nearest = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"known are {', '.join(known)}"
        return f"{name}: unknown key; {hint}"
    if mistake["type"] == "missing":
        return f"{name}: missing; it has no default"
    message = mistake["msg"].removeprefix("Value error, ")
    given = mistake["input"]
    if isinstance(given, (str, int, float, bool, type(None))):
        message += f", got {given!r}"
    return f"{name}: {message}"


_SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSection, "keys": KeysSection, "model": ModelSection, "training": TrainingSection,
    "phases": PhaseSection, "optimizer": OptimizerSection, "schedule": ScheduleSection,
    "loss": LossSection, "fine_tune": FineTuneSection, "replay": ReplaySection,
}  # fmt: skip


def _known_keys(sections: Sequence[str]) -> list[str]:
    section = _SECTIONS[sections[-1]] if sections else Config
    return list(section.model_fields)
