"""A training run from its config to its report."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..data.graph import Graph
from ..data.reading import read_frames
from ..errors import CaceError
from ..files import read_json, write_json
from ..io.checkpoint import load_checkpoint, save_checkpoint
from ..io.loading import checked_device
from ..io.model_info import ModelInfo
from ..io.training_extent import TrainingExtent
from ..nn import CACE, Hyperparameters
from ..nn.derivatives import predict_energies
from ..nn.hyperparameters import ModelShape
from ..operations import keep_freed_memory
from . import reference_energies
from .batching import shuffled
from .config import Config, ModelSection
from .data import Part, check_elements, keys_of, load_data, store_opener
from .data_summary import data_lines
from .distributed import Processes, join_processes, leave_processes
from .extent import extent_of
from .initialization import fit_scales
from .labels_of_outputs import check_outputs, check_weights, start_outputs
from .parent_and_child import compare, lines_of
from .provenance import provenance_of
from .replay import Mixture, load_replay, replay_sources
from .run_folder import RunFolder
from .trainer import Trainer
from .watcher import Watcher, WithLog, with_tensorboard

FEW_STRUCTURES = 50  # for a first look at the energies of new data
LARGE_OFFSET = 0.5  # eV/atom, of these
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
    talker = watcher
    keep_freed_memory(2**31 - 1)
    device = str(checked_device(config.training.device))
    processes = join_processes(device)
    folder = RunFolder(config.folder)
    try:
        torch.manual_seed(config.training.seed)
        base = _base_model(config)
        if base:
            shape = _shape_of(config, base[1].hyperparameters)
            config = config.model_copy(update={"model": shape})
        if config.training.refit_readout and not config.model.readout_linear:
            raise CaceError("training.refit_readout needs a model with model.readout_linear: true")
        check_weights(config)
        state = folder.load_state(config) if resume else None
        processes.let_the_first(lambda: folder.go_on(config) if resume else folder.start(config))
        if processes.is_first:
            watcher = WithLog(watcher, folder.log)
        watcher.say(_workforce(processes, device))
        data = load_data(config, config.model.cutoff, processes, watcher)
        check_outputs(data, config, watcher)
        if processes.is_first:
            for line in data_lines(data, config.model.cutoff):
                watcher.say(line)
        sources = replay_sources(config, base[1].provenance) if base else []
        data |= load_replay(config, sources, store_opener(config, config.model.cutoff, processes))
        model, settings = _model(config, base, data, watcher)
        if base:
            _remark_on_fine_tuning(config, model, data, watcher)
        model = model.to(device=device, dtype=getattr(torch, config.training.dtype))
        provenance = provenance_of(config, data, sources, base[1].provenance if base else None)
        if resume:
            _check_same_data(folder, provenance)
        trained_on = None
        if processes.is_first:
            write_json(folder.provenance, provenance)
            trained_on = _trained_on(config, base[1] if base else None, data["train"], watcher)

        def save(path: pathlib.Path, averaged: CACE) -> None:
            save_checkpoint(path, averaged, settings, provenance, trained_on)

        train_part, replay_valid = data["train"], data.get("replay, valid")
        if replay_valid:
            share = config.fine_tune.replay.share
            train_part = Mixture.of(train_part, data["replay"], share)
        trainer = Trainer(
            config, model, train_part, data["valid"], processes, folder, save, replay_valid
        )
        if state:
            trainer.restore(state)
            finished = trainer.phase == len(config.training.phases)
            watcher.say(
                f"the run had finished after epoch {trainer.epoch}; only its end is done again. To train "
                "it longer, give training.phases more epochs"
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
        if base and processes.is_first:
            rows = compare(config.fine_tune.init_from, folder.best, data, config)
            write_json(folder.parent_and_child, rows)
            log = WithLog(talker, folder.log)
            log.say("errors (RMSE) of the model before fine-tuning, and after:")
            for line in lines_of(rows):
                log.say(line)
        if report and processes.is_first:
            report(folder, data, config)
    finally:
        folder.release()
        leave_processes(processes)
    return folder


def _workforce(processes: Processes, device: str) -> str:
    threads = "" if device.startswith("cuda") else f" with {torch.get_num_threads()} thread(s) each"
    if processes.count == 1:
        return f"one process does the work{threads.removesuffix(' each')}"
    return f"{processes.count} processes share the work{threads}"


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
    shape = {name: getattr(base, name) for name in ModelShape.model_fields}
    given = config.model.model_fields_set if config.model else ()
    differing = [
        f"model.{name} ({shape[name]} there, {getattr(config.model, name)} here)"
        for name in ModelShape.model_fields
        if name in given and getattr(config.model, name) not in (shape[name], "auto")
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


def _check_same_data(folder: RunFolder, provenance: dict[str, Any]) -> None:
    before = read_json(folder.provenance, provenance)["data"]
    for name, part in provenance["data"].items():
        if before.get(name, {}).get("hash") != part["hash"]:
            raise CaceError(
                f"--resume: the {name} data ({', '.join(part['files'])}) are not those that the "
                f"run in {folder.path} began with; restore them, or start a new run in another "
                "folder"
            )


def _model(
    config: Config,
    base: tuple[CACE, ModelInfo] | None,
    data: dict[str, Part],
    watcher: Watcher,
) -> tuple[CACE, Hyperparameters]:
    train = data["train"]
    elements = train.elements()
    if base:
        model, settings = base[0], base[1].hyperparameters
        unknown = [symbol for symbol in elements if symbol not in settings.elements]
        if unknown:
            raise CaceError(
                f"fine_tune.init_from: the model knows {' '.join(settings.elements)}, but the data "
                f"contain {' '.join(unknown)}; train a new model"
            )
        if config.fine_tune.train_only == "readout":
            trained = {*model.readout.parameters(), *model.outputs.parameters()}
            for parameter in model.parameters():
                parameter.requires_grad_(parameter in trained)
    else:
        chosen = train.structures
        mean_neighbors = train.store.n_edges[chosen].sum() / train.store.n_atoms[chosen].sum()
        settings = config.model.hyperparameters(elements, float(mean_neighbors))
        model = CACE(settings).double()
        fit_scales(model, _sample(config, train))
        start_outputs(model, settings.elements, train)
    check_elements(data, settings.elements, config)
    undetermined = _set_E0(config, model, settings, train, base is not None)
    for symbol, energy in zip(settings.elements, model.elements.E0.tolist()):
        watcher.say(f"E0 of {symbol}: {energy:.6f} eV")
    if undetermined:
        watcher.say(
            f"note: the compositions of the training data do not tell E0 of {' '.join(undetermined)} "
            "apart; of all values that fit alike, these are nearest to what free atoms typically have. "
            "Energies of other compositions are a guess: give data.E0 energies of isolated atoms"
        )
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
) -> list[str]:
    """E0 of a new model; of one that was ``trained_before``, only what the data tell otherwise.

    Returns the elements whose E0 the data do not determine.
    """
    E0, elements = config.data.E0, train.elements()
    before = dict(zip(settings.elements, model.elements.E0.tolist())) if trained_before else {}
    undetermined: list[str] = []
    if E0 == "fit":
        explained = _energies(config, model, train) if trained_before else None
        fit = reference_energies.fitted(train.store, train.structures, elements, explained)
        found = {
            symbol: before.get(symbol, 0.0) + energy for symbol, energy in fit.energies.items()
        }
        undetermined = [] if trained_before else fit.undetermined
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
    return undetermined


def _remark_on_fine_tuning(
    config: Config, model: CACE, data: dict[str, Part], watcher: Watcher
) -> None:
    """What is replayed, and what can go wrong."""
    train = data["train"]
    few = replace(train, structures=train.structures[:FEW_STRUCTURES])
    missed = (_energies(config, model, few) - few.store.energies(few.structures)) / (
        few.store.n_atoms[few.structures]
    )
    offset = float(np.nanmean(missed)) if np.isfinite(missed).any() else 0.0
    if abs(offset) > LARGE_OFFSET:
        watcher.say(
            f"warning: the model is off by {offset:.2f} eV/atom in the energies of the new data. If they have "
            "another zero of energy, as those of other codes or settings, set data.E0: fit, and replay no "
            "frames, whose energies would not go with them"
        )
    if "replay" not in data:
        watcher.say(
            "warning: no frames of the first training are replayed. On everything that the new data do "
            "not have, the model may become much worse than it was: set fine_tune.replay.frames, such as "
            "200 or all, or compare both models on the data of the first training"
        )
        return
    for name in ("replay", "replay, valid"):
        watcher.say(f"{name}: {data[name].size()}")
    watcher.say(
        f"{100 * config.fine_tune.replay.share:.0f} % of the structures of an epoch are replayed ones"
    )


def _energies(config: Config, model: CACE, train: Part) -> np.ndarray:
    """What a trained model says of the training structures, eV."""
    model = model.double()
    graphs = train.graphs(config.training)
    return np.concatenate([predict_energies(model, graph).numpy() for graph, _ in graphs])
