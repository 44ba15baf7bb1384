"""The data of a run: structures to train on, to validate with and to test on.

What is wrong with them is found here, before the first epoch.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from ..data.graph import Graph
from ..data.labels import Labels
from ..data.reading import Keys
from ..errors import CaceError
from ..files import check_input
from .batching import batches, shuffled, split
from .config import Config, TrainingSection
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

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """The structures of an epoch; by seed and epoch alone, so that a resumed run repeats it."""
        return shuffled(self.structures, seed, epoch)

    def graphs(self, training: TrainingSection) -> Iterator[tuple[Graph, Labels]]:
        """Graphs and labels of the structures in batches, by the rule of ``training``."""
        for batch in batches(self.structures, self.store, training):
            yield self.store.batch(batch)

    def elements(self) -> list[str]:
        """Symbols of all elements that occur, by atomic number."""
        found = set().union(*(set(self.store.species_of(k).tolist()) for k in self.structures))
        return [chemical_symbols[z] for z in sorted(found)]


def keys_of(config: Config) -> Keys:
    """Label names for ``data.reading``."""
    outputs = config.model.outputs if config.model else {}  # fine-tuning takes its parent's
    labels = {name: settings.key or name for name, settings in outputs.items()}
    return Keys(**config.data.keys.model_dump(), outputs=labels)


def store_opener(
    config: Config, cutoff: float, processes: Processes
) -> Callable[[tuple[pathlib.Path, ...], Keys], GraphStore]:
    """(files, names of labels) → their store, which the first process makes if it is not there."""
    phases = config.training.phases
    require = ["energy"] if any(phase.energy_weight for phase in phases) else []
    if any(phase.force_weight for phase in phases):
        require.append("forces")
    cache = config.data.cache or config.folder / "neighbors"

    def open_store(files: tuple[pathlib.Path, ...], keys: Keys) -> GraphStore:
        arguments = (files, keys, cutoff, cache, require)
        processes.let_the_first(lambda: open_or_build(*arguments))
        return open_or_build(*arguments)

    return open_store


def load_data(
    config: Config, cutoff: float, processes: Processes, watcher: Watcher
) -> dict[str, Part]:
    """Parts "train", "valid" and, if given, "test", with neighbour lists up to ``cutoff`` in Å.

    Raises CaceError for files and frames that cannot be used.
    """
    files, phases = config.data.files, config.training.phases
    isolated = (config.data.isolated_atoms,) if config.data.isolated_atoms else ()
    for path in (*sum(files.values(), ()), *isolated):
        check_input(path)
    open_store = store_opener(config, cutoff, processes)
    watcher.say("reading data and building neighbour lists")
    whole = {}
    for name, paths in files.items():
        store = open_store(paths, keys_of(config))
        whole[name] = Part(store, np.arange(len(store)), paths)
    parts = {name: _set_aside(name, part, config, watcher) for name, part in whole.items()}
    weigh_config_types(parts, config)
    if "valid" not in files:
        parts = _split(parts, config)
    for name, part in parts.items():
        watcher.say(f"{name}: {part.size()}")
    for name in whole:
        for text in _remarks(parts[name], name):
            watcher.say(f"{name}: {text}")
    _check_neighbors(parts["train"], cutoff)
    _check_names(parts["train"], config)
    _say_weights(parts["train"], watcher)
    if any(phase.stress_weight for phase in phases):
        _check_stress(parts["train"], config, watcher)
    elif sentence := unused_stress(parts["train"], config):
        watcher.say(sentence)
    return parts


def _set_aside(name: str, part: Part, config: Config, watcher: Watcher) -> Part:
    """``part`` without atoms that have no neighbours: their energies are E0, and nothing else is to be
    learned from them. Raises CaceError for one that is called isolated and sees its images."""
    store, single = part.store, np.flatnonzero(part.store.n_atoms == 1)
    for k in single[store.n_edges[single] > 0]:
        if (store.config_types[k] or "").lower().startswith("isolated"):
            raise CaceError(
                f"{part.name_of(k)}: expected an isolated atom because of its config_type, "
                f"{store.config_types[k]}, found a {chemical_symbols[store.species_of(k)[0]]} atom "
                f"that sees its own periodic images within the cutoff, {config.model.cutoff:g} Å; "
                "make its cell larger, take pbc off, or call it something else if it is a crystal"
            )
    isolated = store.isolated_atoms()
    if not len(isolated):
        return part
    symbols = sorted({chemical_symbols[store.species_of(k)[0]] for k in isolated})
    use = (
        "their energies are E0"
        if config.data.E0 == "isolated" and name == "train"
        else "data.E0: isolated would take E0 from them"
        if name == "train"
        else "they would say nothing of the model"
    )
    watcher.say(
        f"{name}: {len(isolated)} isolated atom(s) set aside ({' '.join(symbols)}; first: "
        f"{part.name_of(isolated[0])}); {use}"
    )
    rest = np.setdiff1d(part.structures, isolated)
    if not len(rest):
        raise CaceError(
            f"{name} data ({_names(part.files)}): expected structures of several atoms, found isolated "
            "atoms alone"
        )
    return Part(store, rest, part.files)


def _remarks(part: Part, name: str) -> Iterator[str]:
    for text, (count, first) in part.store.remarks.items():
        yield f"{count} structure(s) (first: {part.name_of(first)}): {text}"
    without = part.store.without_forces(part.structures)
    if len(without):
        yield (
            f"{len(without)} of {len(part.structures)} structures have no forces (first: "
            f"{part.name_of(without[0])}); they contribute their energies"
        )


def weigh_config_types(parts: dict[str, Part], config: Config) -> None:
    """Multiply weights by ``data.config_type_weights``.

    Raises CaceError if a type is named that no training structure has.
    """
    given = config.data.config_type_weights
    if not given:
        return
    default = next((weight for name, weight in given.items() if name.lower() == "default"), 1.0)
    train = parts["train"]
    there = {train.store.config_types[k] for k in train.structures} - {None}
    unknown = [name for name in given if name not in there and name.lower() != "default"]
    if unknown:
        raise CaceError(
            f"data.config_type_weights: expected types of the training data "
            f"({', '.join(sorted(there)) or 'none has a config_type'}), found "
            f"{', '.join(unknown)}; correct the names, or see data.keys.config_type"
        )
    for store in {id(part.store): part.store for part in parts.values()}.values():
        store.weights *= [given.get(kind, default) for kind in store.config_types]


def _say_weights(train: Part, watcher: Watcher) -> None:
    weights = train.store.weights[train.structures]
    if not (weights != 1.0).any():
        return
    kinds = np.array([train.store.config_types[k] or "" for k in train.structures])
    listed = []
    for weight in np.unique(weights)[::-1]:
        names = sorted(set(kinds[weights == weight]) - {""})
        of = f" ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})" if names else ""
        listed.append(f"{weight:g} for {(weights == weight).sum()}{of}")
    shown = "; ".join(listed[:8]) + (f"; {len(listed) - 8} others" if len(listed) > 8 else "")
    watcher.say(f"train: weights of structures in the loss: {shown}")
    if not weights.any():
        raise CaceError("training data: expected a weight above 0, found 0 for all structures")


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


def _split(parts: dict[str, Part], config: Config) -> dict[str, Part]:
    """With a share of the training structures for validation."""
    whole = parts["train"]
    if len(whole.structures) < 2:
        raise CaceError(
            f"expected at least 2 structures to split into training and validation, found "
            f"{len(whole.structures)} in {_names(config.data.train)}"
        )
    train, valid = split(len(whole.structures), config.data.valid, config.training.seed)
    drawn = {
        "train": Part(whole.store, whole.structures[train], whole.files),
        "valid": Part(whole.store, whole.structures[valid], whole.files),
    }
    return drawn | {name: part for name, part in parts.items() if name != "train"}


def _check_neighbors(train: Part, cutoff: float) -> None:
    if train.store.n_edges[train.structures].sum() == 0:
        raise CaceError(
            f"training data ({_names(train.files)}): expected atoms closer to each other than "
            f"model.cutoff, {cutoff:g} Å, found none; cutoff and positions are in Å"
        )


def _check_names(train: Part, config: Config) -> None:
    """Raise CaceError for a name that the config gives and no structure has."""
    keys, usual = keys_of(config), Keys()
    store, chosen = train.store, train.structures
    if keys.weight not in (usual.weight, None) and (store.weights[chosen] == 1.0).all():
        raise CaceError(
            f"data.keys.weight: expected weights under '{keys.weight}', found none other than 1 in the "
            f"training data ({_names(train.files)}); correct the name, or leave it out"
        )
    missing = {
        "stress": not len(store.with_stress(chosen)) and (keys.stress, usual.stress),
        "forces": len(store.without_forces(chosen)) == len(chosen) and (keys.forces, usual.forces),
        "energy": not np.isfinite(store.energies(chosen)).any() and (keys.energy, usual.energy),
    }
    for label, names in missing.items():
        if names and names[0] not in (names[1], None):
            raise CaceError(
                f"data.keys.{label}: expected the label '{names[0]}' in the training data "
                f"({_names(train.files)}), found it in no structure; correct the name, or leave it out"
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
