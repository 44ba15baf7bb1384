"""Frames of the first training that fine-tuning goes through again, so that they are not forgotten."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.reading import Keys
from ..errors import CaceError
from ..files import check_input, sha256_of
from .batching import shuffled
from .config import Config
from .data import Part, keys_of
from .dataset import GraphStore
from .groups import groups_of, members
from .joined_store import JoinedStore

MOST_FOR_VALIDATION = 50  # frames, unless more are replayed

OpenStore = Callable[[tuple[pathlib.Path, ...], Keys], GraphStore]
Sources = list[tuple[tuple[pathlib.Path, ...], Keys]]  # files, and the names of labels in them


@dataclass(frozen=True)
class Mixture(Part):
    """New structures and replayed ones; of an epoch, ``share`` are replayed ones."""

    n_new: int  # of ``structures``, the first
    share: float

    @classmethod
    def of(cls, new: Part, old: Part, share: float) -> "Mixture":
        store = JoinedStore([new.store, old.store])
        structures = np.concatenate([new.structures, old.structures + len(new.store)])
        return cls(store, structures, new.files + old.files, len(new.structures), share)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """The structures of an epoch: all of them, the new or the old ones several times."""
        new, old = self.structures[: self.n_new], self.structures[self.n_new :]
        total = max(len(new) / (1.0 - self.share), len(old) / self.share)
        n_old = max(len(old), round(self.share * total))
        n_new = max(len(new), round((1.0 - self.share) * total))
        chosen = np.concatenate(
            [_repeated(new, n_new, seed, epoch), _repeated(old, n_old, seed, epoch)]
        )
        return shuffled(chosen, seed, epoch)


def _repeated(structures: np.ndarray, n: int, seed: int, epoch: int) -> np.ndarray:
    """``n`` of some structures, each as often as any other, up to one."""
    whole, rest = divmod(n, len(structures))
    return np.concatenate([np.tile(structures, whole), shuffled(structures, seed, epoch)[:rest]])


def replay_sources(config: Config, provenance: dict[str, Any]) -> Sources:
    """Files that frames are replayed from, and the names of labels in them; empty if none are.

    provenance   of the model to start from, which names its data
    Raises CaceError if the files are not there or are not what they were.
    """
    replay = config.fine_tune.replay
    if replay.frames is None:
        return []
    if not replay.data:
        return _named_in(provenance, config)
    for path in replay.data:
        check_input(path)
    keys = keys_of(config)
    if replay.keys:
        keys = Keys(**replay.keys.model_dump(), outputs=keys.outputs)
    return [(replay.data, keys)]


def load_replay(config: Config, sources: Sources, open_store: OpenStore) -> dict[str, Part]:
    """Parts "replay", to train on, and "replay, valid", which are other frames, from ``sources``."""
    replay = config.fine_tune.replay
    if not sources:
        return {}
    stores = [open_store(files, keys) for files, keys in sources]
    store = stores[0] if len(stores) == 1 else JoinedStore(stores)
    usable = np.flatnonzero((store.n_atoms > 1) | (store.n_edges > 0))
    if len(usable) < 2:
        raise CaceError(
            f"fine_tune.replay: expected at least 2 structures, found {len(usable)} in "
            f"{', '.join(str(path) for files, _ in sources for path in files)}"
        )
    order = spread(store, usable, config.training.seed)
    fraction = config.data.valid if isinstance(config.data.valid, float) else 0.1
    n = len(order) if replay.frames == "all" else min(replay.frames, len(order))
    rest = len(order) - n
    n_valid = max(1, round(fraction * n), min(rest, MOST_FOR_VALIDATION))
    chosen = order[: n + n_valid]  # both spread over the groups
    is_valid = np.zeros(len(chosen), bool)
    is_valid[np.linspace(0, len(chosen) - 1, n_valid).round().astype(int)] = True
    files = tuple(path for paths, _ in sources for path in paths)
    return {
        "replay": Part(store, chosen[~is_valid], files),
        "replay, valid": Part(store, chosen[is_valid], files),
    }


def spread(store: GraphStore, structures: np.ndarray, seed: int) -> np.ndarray:
    """Structures in an order by ``seed`` in which the first ones are of as many groups as possible."""
    drawn = np.random.default_rng([seed, 4]).permutation(structures)
    turn = {
        k: n
        for group in members(groups_of(store, drawn), drawn).values()
        for n, k in enumerate(group)
    }
    return np.array(sorted(drawn.tolist(), key=turn.__getitem__))


def _named_in(provenance: dict[str, Any], config: Config) -> Sources:
    """Files that the first training read, and the names of labels in them."""
    parent = config.fine_tune.init_from
    advice = "give the file(s) with fine_tune.replay.data"
    data = provenance.get("data")
    if not isinstance(data, dict) or "train" not in data:
        raise CaceError(f"fine_tune.replay: {parent} does not say what it was trained on; {advice}")
    found = []
    for part in (data["train"], data.get("replay")):
        for n, name in enumerate(part["files"] if part else ()):
            path, keys = pathlib.Path(name), keys_of(config)
            if not path.is_file():
                raise CaceError(
                    f"fine_tune.replay: {parent} was trained on {path}, which is not there any more; {advice}"
                )
            if "sha256" in part and sha256_of(path) != part["sha256"][n]:
                raise CaceError(
                    f"fine_tune.replay: {path} has changed since {parent} was trained on it; {advice}"
                )
            if "keys" in part:
                keys = Keys(**{"outputs": keys.outputs} | part["keys"][n])
            found.append(((path,), keys))
    return found
