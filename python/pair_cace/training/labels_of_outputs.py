"""What the labels of outputs are like: what heads start from, and what errors are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from ase.data import atomic_numbers

from ..errors import CaceError
from ..nn import CACE
from ..quantities import Quantity
from ..spread import about_means
from .config import Config
from .data import Part
from .watcher import Watcher


def check_weights(config: Config) -> None:
    """Raise CaceError for the weight of an output that the model does not have."""
    outputs = config.model.outputs
    for number, phase in enumerate(config.training.phases):
        unknown = sorted(set(phase.output_weights) - set(outputs))
        if unknown:
            raise CaceError(
                f"training.phases.{number}.output_weights: expected names of model.outputs "
                f"({', '.join(outputs) or 'none'}), found {', '.join(unknown)}; correct or remove them"
            )


def check_outputs(parts: dict[str, Part], config: Config, watcher: Watcher) -> None:
    """Say how many labels outputs have.

    Raises CaceError for an output to be learned that has none in the training data.
    """
    phases, outputs = config.training.phases, config.model.outputs
    for name, settings in outputs.items():
        key, train = settings.key or name, parts["train"]
        counts = {part: _n_labelled(parts[part], name) for part in ("train", "valid")}
        if not counts["train"]:
            if any(phase.weight_of(name) for phase in phases):
                raise CaceError(
                    f"model.outputs.{name}: expected labels '{key}', a number for every atom, in the "
                    f"training data ({', '.join(map(str, train.files))}), found none in "
                    f"{len(train.structures)} structures; name them with model.outputs.{name}.key, take "
                    f"the output out, or set training.phases.N.output_weights.{name} to 0"
                )
            continue
        numbers = [f"{n} of {len(parts[part].structures)} ({part})" for part, n in counts.items()]
        watcher.say(f"structures with a label '{key}' for the output {name}: {', '.join(numbers)}")
        if not counts["valid"]:
            watcher.say(
                f"warning: errors of {name} do not count in the choice of the best model, since no "
                "structure for validation has such labels"
            )


def with_scales(quantities: Sequence[Quantity], train: Part) -> tuple[Quantity, ...]:
    """``quantities`` with the scales of outputs in the loss: the spread of their training labels about
    the means of elements, so that weights need not know of units."""
    return tuple(
        replace(quantity, loss_scale=about_means(*labels_of(train, quantity.name))[1])
        if quantity.is_output
        else quantity
        for quantity in quantities
    )


def start_outputs(model: CACE, elements: Sequence[str], train: Part) -> None:
    """Let the outputs of a new model for ``elements`` start from the training labels."""
    for name, output in model.outputs.items():
        means, spread = about_means(*labels_of(train, name))
        rest = float(np.mean(list(means.values()))) if means else 0.0  # of elements without labels
        of_elements = [means.get(atomic_numbers[symbol], rest) for symbol in elements]
        output.start_from(torch.tensor(of_elements, dtype=torch.float64), spread)


def labels_of(part: Part, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and labels of all atoms that have a label of an output."""
    store = part.store
    species = np.concatenate([store.species_of(k) for k in part.structures])
    values = np.concatenate([store.output_of(name, k) for k in part.structures])
    known = np.isfinite(values)
    return species[known], values[known]


def _n_labelled(part: Part, name: str) -> int:
    labels = (part.store.output_of(name, k) for k in part.structures)
    return sum(bool(np.isfinite(one).all()) for one in labels)
