"""A training run from its config to its report."""

from __future__ import annotations

import pathlib
import platform
from collections.abc import Callable
from typing import Any

import ase
import numpy as np
import torch

from .. import __version__
from ..data.graph import Graph
from ..data.reading import Frame, Keys, read_frames
from ..errors import CaceError
from ..io.checkpoint import load_checkpoint, save_checkpoint
from ..io.loading import checked_device
from ..nn import CACE, Hyperparameters
from ..nn.derivatives import predict
from ..operations import keep_freed_memory
from . import reference_energies
from .batching import batches, shuffled, split
from .config import Config
from .dataset import GraphStore, open_or_build
from .distributed import Processes, join_processes, leave_processes
from .initialization import fit_scales
from .run_folder import RunFolder
from .tensorboard import with_tensorboard
from .trainer import Part, Trainer
from .watcher import Watcher

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
    try:
        torch.manual_seed(config.training.seed)
        folder = RunFolder(config.folder)
        state = folder.load_state(config) if resume else None
        if processes.is_first and not resume:
            folder.start(config)
        base = _base_model(config)
        cutoff = base[1].cutoff if base else config.model.cutoff
        data = _load_data(config, cutoff, processes, watcher)
        model, settings = _model(config, base, data["train"], watcher)
        model = model.to(device=device, dtype=getattr(torch, config.training.dtype))
        provenance = _provenance(config, data)
        if processes.is_first:
            folder.write_provenance(provenance)

        def save(path: pathlib.Path, averaged: CACE) -> None:
            save_checkpoint(path, averaged, settings, provenance)

        trainer = Trainer(config, model, data["train"], data["valid"], processes, folder, save)
        if state:
            trainer.restore(state)
            watcher.say(f"resuming after epoch {trainer.epoch}")
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
        leave_processes(processes)
    return folder


# ---- data ----------------------------------------------------------------------------------------


def keys_of(config: Config) -> Keys:
    """Label names for ``data.reading``."""
    return Keys(**config.data.keys.model_dump())


def _load_data(
    config: Config, cutoff: float, processes: Processes, watcher: Watcher
) -> dict[str, Part]:
    """Stores and structures of "train", "valid" and, if given, "test"."""
    cache = config.data.cache or config.folder / "neighbors"
    weights = config.training.phases

    def require(frame: Frame) -> list[str]:
        needed = ["energy"] if any(phase.energy_weight for phase in weights) else []
        if any(phase.force_weight for phase in weights) and len(frame.atoms) > 1:
            needed.append("forces")
        return needed

    def store_of(files: tuple[pathlib.Path, ...]) -> GraphStore:
        arguments = (files, keys_of(config), cutoff, cache, require)
        if not processes.is_first:
            processes.wait()
            return open_or_build(*arguments)
        try:
            return open_or_build(*arguments)
        finally:
            processes.wait()

    watcher.say("reading data and building neighbour lists")
    store = store_of(config.data.train)
    several = np.flatnonzero(store.n_atoms > 1)
    usable = several if config.data.E0 == "isolated" else np.arange(len(store))
    data = {}
    if isinstance(config.data.valid, float):
        if len(usable) < 2:
            raise CaceError(
                f"expected at least 2 structures to split into training and validation, found "
                f"{len(usable)} in {', '.join(map(str, config.data.train))}"
            )
        train, valid = split(len(usable), config.data.valid, config.training.seed)
        data = {"train": Part(store, usable[train]), "valid": Part(store, usable[valid])}
    else:
        other = store_of(config.data.valid)
        data = {"train": Part(store, usable), "valid": Part(other, np.arange(len(other)))}
    if config.data.test:
        test = store_of(config.data.test)
        data["test"] = Part(test, np.arange(len(test)))
    for name, part in data.items():
        n_atoms = int(part.store.n_atoms[part.structures].sum())
        watcher.say(f"{name}: {len(part.structures)} structures, {n_atoms} atoms")
    return data


def _elements(part: Part) -> list[str]:
    found = set().union(*(set(part.store.species_of(k).tolist()) for k in part.structures))
    return [ase.data.chemical_symbols[z] for z in sorted(found)]


# ---- model ---------------------------------------------------------------------------------------


def _base_model(config: Config) -> tuple[CACE, Hyperparameters] | None:
    path = config.fine_tune.init_from
    if path is None:
        if config.fine_tune.train_only != "all":
            raise CaceError("fine_tune.train_only: 'readout' needs weights in fine_tune.init_from")
        return None
    if not path.is_file():
        raise CaceError(f"fine_tune.init_from: cannot open {path}: there is no such file")
    model, info = load_checkpoint(path)
    return model, info.hyperparameters


def _model(
    config: Config, base: tuple[CACE, Hyperparameters] | None, train: Part, watcher: Watcher
) -> tuple[CACE, Hyperparameters]:
    elements = _elements(train)
    if base:
        model, settings = base
        unknown = [symbol for symbol in elements if symbol not in settings.elements]
        if unknown:
            raise CaceError(
                f"fine_tune.init_from: the model knows {' '.join(settings.elements)}, but the data "
                f"contain {' '.join(unknown)}; train a new model"
            )
        for parameter in model.parameters():
            parameter.requires_grad_(config.fine_tune.train_only == "all")
        for parameter in model.readout.parameters():
            parameter.requires_grad_(True)
    else:
        chosen = train.structures
        mean_neighbors = train.store.n_edges[chosen].sum() / train.store.n_atoms[chosen].sum()
        settings = config.model.hyperparameters(elements, float(mean_neighbors))
        model = CACE(settings).double()
        fit_scales(model, _sample(config, train))
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
    E0 = config.data.E0
    if E0 == "fit":
        with torch.no_grad():
            model.elements.E0.zero_()
        residual = _energies_without_E0(config, model, train) if trained_before else None
        E0 = reference_energies.fitted(train.store, train.structures, settings.elements, residual)
    elif E0 == "isolated":
        frames = []
        if config.data.isolated_atoms:
            frames = read_frames(config.data.isolated_atoms, keys_of(config), ("energy",))
        E0 = reference_energies.isolated(frames, train.store, settings.elements)
    missing = [symbol for symbol in settings.elements if symbol not in E0]
    if missing:
        raise CaceError(
            f"data.E0: expected an energy for every element, found none for {' '.join(missing)}"
        )
    with torch.no_grad():
        model.elements.E0.copy_(torch.tensor([E0[symbol] for symbol in settings.elements]))


def _energies_without_E0(config: Config, model: CACE, train: Part) -> np.ndarray:
    """What a trained model says of the training structures, with its E0 at zero."""
    model = model.double()
    found = []
    for batch in batches(train.structures, train.store, config.training):
        found.append(predict(model, train.store.batch(batch)[0]).energies.numpy())
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
