"""A training run from its config to its report."""

from __future__ import annotations

import json
import pathlib
import platform
from collections.abc import Callable
from typing import Any

import ase
import numpy as np
import torch

from .. import __version__
from ..data.graph import Graph
from ..data.reading import read_frames
from ..errors import CaceError
from ..io.checkpoint import load_checkpoint, save_checkpoint
from ..io.loading import checked_device
from ..io.model_info import ModelInfo
from ..io.training_extent import TrainingExtent
from ..nn import CACE, Hyperparameters
from ..nn.derivatives import predict_energies
from ..operations import keep_freed_memory
from . import reference_energies
from .batching import batches, shuffled
from .config import Config, ModelSection
from .data import Part, check_elements, keys_of, load_data
from .distributed import join_processes, leave_processes
from .extent import extent_of
from .initialization import fit_scales
from .run_folder import RunFolder
from .tensorboard import with_tensorboard
from .trainer import Trainer
from .watcher import Watcher, with_log

SAMPLE_ATOMS = 2000  # in the sample of the data that the starting weights are fitted to


def train(
    config: Config,
    resume: bool = False,
    watcher: Watcher = Watcher(),
    report: Callable[[RunFolder, dict[str, Part], Config], None] | None = None,
) -> RunFolder:
    """Train as ``config`` says; every process of torchrun calls this.

    ``report`` is called by the first process at the end, with the data by name.
    Raises CaceError for everything that a user can mend.
    """
    keep_freed_memory(2**31 - 1)
    device = str(checked_device(config.training.device))
    processes = join_processes(device)
    folder = RunFolder(config.folder)
    try:
        torch.manual_seed(config.training.seed)
        loaded = _base_model(config)
        base = loaded and (loaded[0], loaded[1].hyperparameters)
        base_info = loaded and loaded[1]
        if base:
            config = config.model_copy(update={"model": _shape_of(config, base[1])})
        _check_refit(config)
        state = folder.load_state(config) if resume else None
        processes.let_the_first(folder.hold if resume else lambda: folder.start(config))
        if processes.is_first:
            watcher = with_log(watcher, folder.log)
        data = load_data(config, config.model.cutoff, processes, watcher)
        model, settings = _model(config, base, data, watcher)
        model = model.to(device=device, dtype=getattr(torch, config.training.dtype))
        provenance = _provenance(config, data)
        if resume:
            _check_same_data(folder, provenance)
        trained_on = None
        if processes.is_first:
            folder.write_provenance(provenance)
            trained_on = _trained_on(config, base_info, data["train"], watcher)

        def save(path: pathlib.Path, averaged: CACE) -> None:
            save_checkpoint(path, averaged, settings, provenance, trained_on)

        trainer = Trainer(config, model, data["train"], data["valid"], processes, folder, save)
        if state:
            trainer.restore(state)
            finished = trainer.phase == len(config.training.phases)
            watcher.say(
                f"the run had finished after epoch {trainer.epoch}; only its end is done again. To train "
                f"it longer, start another run with fine_tune.init_from={folder.best}"
                if finished
                else f"resuming after epoch {trainer.epoch}"
            )
        if processes.is_first:
            watcher = with_tensorboard(watcher, folder.path, trainer.epoch)
        try:
            trainer.run(watcher)
        finally:
            watcher.close()
        processes.wait()
        if report and processes.is_first:
            report(folder, data, config)
    finally:
        folder.release()
        leave_processes(processes)
    return folder


# ---- model ---------------------------------------------------------------------------------------


def _base_model(config: Config) -> tuple[CACE, ModelInfo] | None:
    path = config.fine_tune.init_from
    if path is None:
        if config.fine_tune.train_only != "all":
            raise CaceError("fine_tune.train_only: 'readout' needs weights in fine_tune.init_from")
        return None
    if not path.is_file():
        raise CaceError(f"fine_tune.init_from: cannot open {path}: there is no such file")
    return load_checkpoint(path)


def _shape_of(config: Config, base: Hyperparameters) -> ModelSection:
    """The model section that describes ``base``; CaceError if the config says something else."""
    shape = {name: getattr(base, name) for name in ModelSection.model_fields}
    given = config.model.model_dump(exclude_unset=True) if config.model else {}
    differing = [
        f"model.{name} ({shape[name]} there, {value} here)"
        for name, value in given.items()
        if value not in (shape[name], "auto")
    ]
    if differing:
        raise CaceError(
            f"fine_tune.init_from: the shape of {config.fine_tune.init_from} cannot be changed: "
            f"{', '.join(differing)}; leave the model section out"
        )
    return ModelSection(**shape)


def _trained_on(
    config: Config, base: ModelInfo | None, train: Part, watcher: Watcher
) -> TrainingExtent:
    """Of the new data, and of those that the model to start from was trained on."""
    found = extent_of(train, config.model.cutoff)
    if not base:
        return found
    if base.trained_on:
        return base.trained_on.joined(found)
    watcher.say(
        f"{config.fine_tune.init_from} does not say what it was trained on; the new model will say "
        "what is in these data alone"
    )
    return found.model_copy(update={"is_whole": False})


def _check_refit(config: Config) -> None:
    if config.training.refit_readout and not config.model.readout_linear:
        raise CaceError("training.refit_readout needs a model with model.readout_linear: true")


def _check_same_data(folder: RunFolder, provenance: dict[str, Any]) -> None:
    if not folder.provenance.exists():
        return
    before = json.loads(folder.provenance.read_text())["data"]
    for name, part in provenance["data"].items():
        if before.get(name, {}).get("hash") != part["hash"]:
            raise CaceError(
                f"--resume: the {name} data ({', '.join(part['files'])}) are not those that the "
                f"run in {folder.path} began with; restore them, or start a new run in another "
                "folder"
            )


def _model(
    config: Config,
    base: tuple[CACE, Hyperparameters] | None,
    data: dict[str, Part],
    watcher: Watcher,
) -> tuple[CACE, Hyperparameters]:
    train = data["train"]
    elements = train.elements()
    if base:
        model, settings = base
        unknown = [symbol for symbol in elements if symbol not in settings.elements]
        if unknown:
            raise CaceError(
                f"fine_tune.init_from: the model knows {' '.join(settings.elements)}, but the data "
                f"contain {' '.join(unknown)}; train a new model"
            )
        if config.fine_tune.train_only == "readout":
            trained = set(model.readout.parameters())
            for parameter in model.parameters():
                parameter.requires_grad_(parameter in trained)
    else:
        chosen = train.structures
        mean_neighbors = train.store.n_edges[chosen].sum() / train.store.n_atoms[chosen].sum()
        settings = config.model.hyperparameters(elements, float(mean_neighbors))
        model = CACE(settings).double()
        fit_scales(model, _sample(config, train))
    check_elements(data, settings.elements, config)
    _set_E0(config, model, settings, train, base is not None)
    for symbol, energy in zip(settings.elements, model.elements.E0.tolist()):
        watcher.say(f"E0 of {symbol}: {energy:.6f} eV")
    n_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    watcher.say(
        f"model: {n_parameters:,} trained parameters, elements {' '.join(settings.elements)}"
    )
    return model.train(), settings


def _sample(config: Config, train: Part) -> Graph:
    order = shuffled(train.structures, config.training.seed, 0)
    before = np.cumsum(train.store.n_atoms[order])
    few = order[: max(1, int((before <= SAMPLE_ATOMS).sum()))]
    return train.store.batch(few.tolist())[0]


def _set_E0(
    config: Config, model: CACE, settings: Hyperparameters, train: Part, trained_before: bool
) -> None:
    """E0 of a new model; of one that was ``trained_before``, only what the data tell otherwise."""
    E0, elements = config.data.E0, train.elements()
    before = dict(zip(settings.elements, model.elements.E0.tolist())) if trained_before else {}
    if E0 == "fit":
        explained = _energies(config, model, train) if trained_before else None
        found = reference_energies.fitted(train.store, train.structures, elements, explained)
        found = {symbol: before.get(symbol, 0.0) + energy for symbol, energy in found.items()}
    elif E0 == "isolated":
        frames = []
        if config.data.isolated_atoms:
            frames = read_frames(
                config.data.isolated_atoms, keys_of(config), ("energy",), naming="data.keys.{label}"
            )
        found = reference_energies.isolated(frames, settings.cutoff, train.store, elements)
    else:
        found = {} if E0 == "keep" else E0
    energies = before | found
    missing = [symbol for symbol in settings.elements if symbol not in energies]
    if missing:
        raise CaceError(
            f"data.E0: expected an energy for every element, found none for {' '.join(missing)}"
        )
    in_order = [energies[symbol] for symbol in settings.elements]
    with torch.no_grad():
        model.elements.E0.copy_(torch.tensor(in_order, dtype=torch.float64))


def _energies(config: Config, model: CACE, train: Part) -> np.ndarray:
    """What a trained model says of the training structures, eV."""
    model = model.double()
    found = []
    for batch in batches(train.structures, train.store, config.training):
        found.append(predict_energies(model, train.store.batch(batch)[0]).numpy())
    return np.concatenate(found)


def _provenance(config: Config, data: dict[str, Part]) -> dict[str, Any]:
    files = {"train": config.data.train, "test": config.data.test}
    if not isinstance(config.data.valid, float):
        files["valid"] = config.data.valid
    return {
        "trained_with": f"pair_cace {__version__}, torch {torch.__version__}, numpy "
        f"{np.__version__}, ase {ase.__version__}, Python {platform.python_version()}",
        "seed": config.training.seed,
        "data": {
            name: {
                "files": [str(path) for path in paths],
                "hash": data[name].store.name,
            }
            for name, paths in files.items()
            if paths
        },
    }
