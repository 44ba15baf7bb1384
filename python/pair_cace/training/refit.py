"""The linear part of the readout by least squares, after training.

Energies, forces and stresses are linear in the weights of the linear readout. The invariants are many
and alike, so that the steps of an optimizer find the best such weights very slowly; least squares find
them at once: ``normal_equations``. How far they may move is found in ``ridge_search``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from ..data.graph import packed
from ..nn import CACE
from ..quantities import OF_ENERGY
from .batching import share
from .config import Config
from .data import Part
from .dataset import GraphStore
from .distributed import Processes
from .groups import dealt, groups_of, members
from .normal_equations import NormalEquations
from .ridge_search import Errors, Found, search
from .watcher import Watcher, duration

ROWS_PER_WEIGHT = 12  # directions of forces, as many for every weight; more tell little more
FEWEST_DIRECTIONS = 8  # per structure; where that makes too many rows, some structures are taken
ATOMS = 256  # of structures that are worked on at once, or one larger structure
MOST_PARTS = 10  # of the training data, for the search
MEMORY = 2**30  # bytes for the equations of all parts, at most
FEW = 5  # structures; groups with fewer say nothing


def refit_readout(
    model: CACE,
    config: Config,
    train: Part,
    valid: Part,
    errors_of: Callable[[GraphStore, dict[str, list[int]]], Errors],
    processes: Processes,
    watcher: Watcher,
) -> Found:
    """Least squares for the linear readout of ``model``, in place, where they do better.

    errors_of   (store, structures of groups) → errors of groups, of ``model`` as it is
    """
    started = time.monotonic()
    phase, store = config.training.phases[-1], train.store
    n_features = model.readout.linear.in_features
    chosen, n_directions = _sample(train.structures, n_features, config.training.seed)
    parts = parts_of(store, chosen, n_features)
    watcher.say(
        f"least squares for the {n_features} weights of the linear readout: {len(chosen)} structures "
        f"in {len(parts)} part(s), at most {n_directions} directions in the forces of each"
    )
    equations = _equations(model, config, store, parts, n_directions, processes, watcher)
    groups = members(groups_of(valid.store, valid.structures), valid.structures)
    judged = {"all": [int(k) for k in valid.structures]}
    if len(groups) > 1:
        judged |= {name: group for name, group in groups.items() if len(group) >= FEW}
    rng = np.random.default_rng([config.training.seed, 2])
    n_tried = max(FEW, -(-len(valid.structures) // len(parts)))
    tried = [rng.permutation(part)[:n_tried].tolist() for part in parts]
    found = search(
        model,
        equations,
        phase,
        lambda: errors_of(valid.store, judged),
        lambda k: errors_of(store, {"part": tried[k]})["part"],
        lambda done, total: watcher.progress("choosing the ridge of the readout", done, total),
    )
    for line in described(found):
        watcher.say(line)
    watcher.say(f"the least squares took {duration(time.monotonic() - started)}")
    return found


def parts_of(store: GraphStore, structures: Sequence[int], n_features: int) -> list[list[int]]:
    """Structures in parts that differ, by their groups.

    There is one part alone if all are of one group, or too few, or if there are too many weights to
    solve for several times. Then validation data alone tell what a solution does: for one molecule they
    do, at higher temperatures than those of the training, too.
    """
    possible = MEMORY // (8 * (n_features + 1) ** 2)
    most = min(MOST_PARTS, possible, len(structures) // FEW)
    groups = members(groups_of(store, structures), structures)
    if most < 2 or len(groups) == 1:
        return [[int(k) for k in structures]]
    return [sum((groups[name] for name in names), []) for names in dealt(groups, most)]


def described(found: Found) -> Iterator[str]:
    """Errors of the validation data before and after, for people."""
    if found.ridge is None:
        yield f"kept the readout that training found: {found.reason}"
        return
    yield f"took the solution with ridge {found.ridge:g}; validation data, RMSE:"
    for group in found.before:
        parts = []
        for quantity in OF_ENERGY:
            name, (unit, factor) = quantity.name, quantity.scales[0]
            before, after = (
                factor * errors[group][name].rmse for errors in (found.before, found.after)
            )
            if before == before:  # NaN without labels
                parts.append(f"{name} {before:.3f} → {after:.3f} {unit}")
        yield f"  {group}: {', '.join(parts)}"


def _sample(structures: np.ndarray, n_features: int, seed: int) -> tuple[np.ndarray, int]:
    """Structures that are enough, and how many directions in the forces of each."""
    rows = ROWS_PER_WEIGHT * n_features
    most = max(1, rows // FEWEST_DIRECTIONS)
    if len(structures) > most:
        drawn = np.random.default_rng([seed, 3]).choice(structures, most, replace=False)
        structures = np.sort(drawn)
    return structures, -(-rows // len(structures))


def _equations(
    model: CACE,
    config: Config,
    store: GraphStore,
    parts: Sequence[Sequence[int]],
    n_directions: int,
    processes: Processes,
    watcher: Watcher,
) -> NormalEquations:
    phase, device = config.training.phases[-1], next(model.parameters()).device
    weights = torch.tensor([phase.energy_weight, phase.force_weight, phase.stress_weight])
    counts = torch.from_numpy(store.label_counts(np.concatenate(parts))).clamp(min=1)
    equations = NormalEquations(
        model.readout.linear.in_features, len(parts), weights.double() / counts, config.loss, device
    )
    generator = torch.Generator().manual_seed(config.training.seed)
    size = store.n_atoms.__getitem__
    work = []
    for k, part in enumerate(parts):
        mine = sorted(share(part, processes.rank, processes.count), key=size)
        work += [(k, batch) for batch in packed(mine, size, ATOMS)]  # of structures of like size
    started = time.monotonic()
    n_atoms = sum(int(store.n_atoms[batch].sum()) for _, batch in work)
    done = 0
    for step, (k, batch) in enumerate(work, start=1):
        graph, labels = store.batch(batch)
        equations.add(k, model, graph.to(device), labels.to(device), n_directions, generator)
        done += int(store.n_atoms[batch].sum())
        if step == 1:
            left = (time.monotonic() - started) * (n_atoms - done) / done
            watcher.say(f"their equations will take about {duration(left)}")
        watcher.progress("equations of the readout", step, len(work))
    equations.matrices = processes.add(equations.matrices)
    equations.vectors = processes.add(equations.vectors)
    return equations
