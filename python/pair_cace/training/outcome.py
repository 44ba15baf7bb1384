"""What became of a run: how far its best model is from the labels of every part of the data."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..composition import compositions, systems
from ..error_table import Error, ErrorRow, error_rows
from ..evaluation import Evaluation, evaluate
from ..io.checkpoint import load_checkpoint
from ..io.model_info import ModelInfo
from ..quantities import Quantity
from ..spread import spreads_of
from .config import Config
from .data import Part
from .run_folder import RunFolder

SAMPLE = 1000  # training frames that are evaluated, at most
MANY_GROUPS = 12  # rows of a table


@dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Parts are called "train", "valid" and, if there is one, "test"; of a large training part, a
    random sample of SAMPLE frames is ``evaluated``, and the names of its frames are of the sample.
    """

    config: Config
    info: ModelInfo  # of the best model
    data: dict[str, Part]
    evaluated: dict[str, Part]
    found: dict[str, Evaluation]
    rows: list[dict[str, float]]  # metrics.csv

    @cached_property
    def errors(self) -> list[ErrorRow]:
        return error_rows(self.found, self.info.E0)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """That the model predicts."""
        return self.info.hyperparameters.quantities

    def error(self, quantity: str, part: str) -> Error | None:
        """Of "energy" (meV/atom), "force" (meV/Å), "stress" (GPa) or an output; None without labels."""
        rows = [row.errors.get(part) for row in self.errors if row.quantity == quantity]
        return rows[-1] if rows else None

    def spread_is_within_compositions(self, part: str) -> bool:
        """Whether energies of ``part`` are compared with those of their composition."""
        return spreads_of(self.found[part], self.info.E0).within_compositions

    def frame_name(self, part: str, number: int) -> str:
        """Where the frame of this number in ``found`` is from."""
        evaluated = self.evaluated[part]
        return evaluated.name_of(int(evaluated.structures[number]))

    @cached_property
    def grouping(self) -> tuple[str, dict[str, list[str]]] | None:
        """What frames are told apart by, and the group of every frame of every part.

        That is their config_type if there are several, else composition, or elements where there
        are too many compositions. None if all is one group.
        """
        types = {
            part: [one.store.config_types[k] or "no config_type" for k in one.structures]
            for part, one in self.evaluated.items()
        }
        for name, groups, most in (
            (self.config.data.keys.config_type, types, math.inf),
            ("composition", {p: compositions(one) for p, one in self.found.items()}, MANY_GROUPS),
            ("elements", {p: systems(one) for p, one in self.found.items()}, math.inf),
        ):
            if 1 < len(set().union(*groups.values())) <= most:
                return name, groups
        return None

    def by_group(self) -> dict[str, dict[str, Evaluation]]:
        """Evaluations by group and part; the smallest groups are joined if there are many."""
        if self.grouping is None:
            return {}
        _, names = self.grouping
        sizes = Counter(name for of_part in names.values() for name in of_part)
        kept = [name for name, _ in sizes.most_common()]
        if len(kept) > MANY_GROUPS:
            kept, joined = kept[: MANY_GROUPS - 1], len(kept) - MANY_GROUPS + 1
            rest = f"{joined} others"
            names = {
                part: [name if name in kept else rest for name in of_part]
                for part, of_part in names.items()
            }
            kept.append(rest)
        by_part = {part: self.found[part].by(of_part) for part, of_part in names.items()}
        return {
            name: {part: groups[name] for part, groups in by_part.items() if name in groups}
            for name in kept
        }


def outcome_of(folder: RunFolder, data: dict[str, Part], config: Config) -> Outcome:
    """Evaluate the best model of a run on its data."""
    model, info = load_checkpoint(folder.best)
    model = model.to(config.training.device)
    evaluated = {
        name: _sample(data[name], config) if name == "train" else data[name]
        for name in ("train", "valid", "test")
        if name in data
    }
    device, quantities = config.training.device, info.hyperparameters.quantities
    found = {
        name: evaluate(model, part.graphs(config.training), device, quantities=quantities)
        for name, part in evaluated.items()
    }
    return Outcome(config, info, data, evaluated, found, folder.rows())


def _sample(part: Part, config: Config) -> Part:
    if len(part.structures) <= SAMPLE:
        return part
    dice = np.random.default_rng([config.training.seed, 2])
    return replace(part, structures=np.sort(dice.choice(part.structures, SAMPLE, replace=False)))
