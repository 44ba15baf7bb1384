"""The data of a run: structures to train on, to validate with and to test on.

What is wrong with them is found here, before the first epoch.
"""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from ..data.reading import Keys
from ..errors import CaceError
from ..files import check_input
from .batching import split
from .config import Config
from .dataset import GraphStore, open_or_build
from .distributed import Processes
from .watcher import Watcher


@dataclass(frozen=True)
class Part:
    """Some structures of a store."""

    store: GraphStore
    structures: np.ndarray
    files: tuple[pathlib.Path, ...]  # that the store was made from

    def size(self) -> str:
        """For people."""
        n_atoms = int(self.store.n_atoms[self.structures].sum())
        return f"{len(self.structures)} structures, {n_atoms} atoms"

    def name_of(self, structure: int) -> str:
        """Where a structure of the store is from, for people: "train.xyz, frame 3"."""
        file, frame = self.store.origin_of(structure)
        return f"{self.files[file]}, frame {frame}"

    def elements(self) -> list[str]:
        """Symbols of all elements that occur, by atomic number."""
        found = set().union(*(set(self.store.species_of(k).tolist()) for k in self.structures))
        return [chemical_symbols[z] for z in sorted(found)]


def keys_of(config: Config) -> Keys:
    """Label names for ``data.reading``."""
    return Keys(**config.data.keys.model_dump())


def load_data(
    config: Config, cutoff: float, processes: Processes, watcher: Watcher
) -> dict[str, Part]:
    """Parts "train", "valid" and, if given, "test", with neighbour lists up to ``cutoff`` in Å.

    Raises CaceError for files and frames that cannot be used.
    """
    data, phases = config.data, config.training.phases
    valid_files = () if isinstance(data.valid, float) else data.valid
    isolated = (data.isolated_atoms,) if data.isolated_atoms else ()
    for path in (*data.train, *valid_files, *data.test, *isolated):
        check_input(path)
    require = ["energy"] if any(phase.energy_weight for phase in phases) else []
    if any(phase.force_weight for phase in phases):
        require.append("forces")
    cache = data.cache or config.folder / "neighbors"

    def store_of(files: tuple[pathlib.Path, ...]) -> GraphStore:
        arguments = (files, keys_of(config), cutoff, cache, require)
        processes.let_the_first(lambda: open_or_build(*arguments))
        return open_or_build(*arguments)

    watcher.say("reading data and building neighbour lists")
    store = store_of(data.train)
    usable = np.arange(len(store))
    if data.E0 == "isolated":  # their energies are E0; there is nothing else to learn from them
        usable = np.setdiff1d(usable, store.isolated_atoms())
    if valid_files:
        other = store_of(valid_files)
        train, valid = usable, Part(other, np.arange(len(other)), valid_files)
    else:
        train, chosen = _split(usable, config)
        valid = Part(store, chosen, data.train)
    parts = {"train": Part(store, train, data.train), "valid": valid}
    if data.test:
        test = store_of(data.test)
        parts["test"] = Part(test, np.arange(len(test)), data.test)
    for name, part in parts.items():
        watcher.say(f"{name}: {part.size()}")
    _check_neighbors(parts["train"], cutoff)
    _check_weights(parts["train"], config)
    if any(phase.stress_weight for phase in phases):
        _check_stress(parts["train"], config, watcher)
    elif sentence := unused_stress(parts["train"], config):
        watcher.say(sentence)
    return parts


def check_elements(parts: dict[str, Part], elements: Collection[str], config: Config) -> None:
    """Raise CaceError if a part has an element that is not in ``elements``, which a model learns."""
    for name, part in parts.items():
        unknown = [symbol for symbol in part.elements() if symbol not in elements]
        if not unknown:
            continue
        drawn = name == "valid" and isinstance(config.data.valid, float)
        advice = (
            "all structures with it were drawn for validation: change training.seed, or give "
            "data.valid a file"
            if drawn
            else f"add such structures to the training data, or take them out of data.{name}"
        )
        raise CaceError(
            f"{name} data ({_names(part.files)}): expected the elements of the training data "
            f"({' '.join(elements)}), found {' '.join(unknown)}; {advice}"
        )


def _split(usable: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    if len(usable) < 2:
        raise CaceError(
            f"expected at least 2 structures to split into training and validation, found "
            f"{len(usable)} in {_names(config.data.train)}"
        )
    train, valid = split(len(usable), config.data.valid, config.training.seed)
    return usable[train], usable[valid]


def _check_neighbors(train: Part, cutoff: float) -> None:
    if train.store.n_edges[train.structures].sum() == 0:
        raise CaceError(
            f"training data ({_names(train.files)}): expected atoms closer to each other than "
            f"model.cutoff, {cutoff:g} Å, found none; cutoff and positions are in Å"
        )


def _check_weights(train: Part, config: Config) -> None:
    key = config.data.keys.weight
    if key != Keys().weight and not train.store.has_weights(train.structures):
        raise CaceError(
            f"data.keys.weight: expected weights under '{key}', found none other than 1 in the "
            f"training data ({_names(train.files)}); correct the name, or leave it out"
        )


def _check_stress(train: Part, config: Config, watcher: Watcher) -> None:
    found = len(train.store.with_stress(train.structures))
    if found == 0:
        keys = config.data.keys
        raise CaceError(
            f"training.phases: a stress_weight above 0 needs stresses, but none of the training "
            f"structures ({_names(train.files)}) has a cell and a label '{keys.stress}' or "
            f"'{keys.virial}'; name it with data.keys.stress (eV/Å³, tension positive) or "
            "data.keys.virial (eV), or set stress_weight to 0"
        )
    watcher.say(f"train: {found} structures have a stress")


def unused_stress(train: Part, config: Config) -> str | None:
    """What to say of stresses that nothing is learned from; None if there are none such."""
    phases = config.training.phases
    n_labelled = len(train.store.with_stress(train.structures))
    if n_labelled == 0 or any(phase.stress_weight for phase in phases):
        return None
    heaviest = max(phase.force_weight for phase in phases) or 1000.0
    return (
        f"{n_labelled} of {len(train.structures)} training frames have a stress, but stress_weight "
        "is 0 in all phases: nothing is learned from them. For cells under pressure, or that "
        f"change, set training.phases.N.stress_weight, for instance to {100 * heaviest:g} (100 "
        "times that of forces, as in the template alloy)."
    )


def _names(files: Sequence[pathlib.Path]) -> str:
    return ", ".join(map(str, files))
