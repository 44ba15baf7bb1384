"""Kinds of structures, by which errors are told apart: their config_type, or their elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols

from .dataset import GraphStore

UNNAMED = "(no config_type)"


def groups_of(store: GraphStore, structures: Sequence[int]) -> list[str]:
    """The group of each of some structures.

    Their config_type if it tells any of them apart, else their elements by atomic number, as "H-O".
    """
    named = [store.config_types[k] for k in structures]
    if len(set(named)) > 1:
        return [name or UNNAMED for name in named]
    elements = (np.unique(store.species_of(k)) for k in structures)
    return ["-".join(chemical_symbols[z] for z in of_structure) for of_structure in elements]


def members(groups: Sequence[str], structures: Sequence[int]) -> dict[str, list[int]]:
    """The structures of every group, the largest group first; ``groups`` names that of each."""
    found: dict[str, list[int]] = {}
    for group, structure in zip(groups, structures, strict=True):
        found.setdefault(group, []).append(int(structure))
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def dealt(groups: dict[str, list[int]], n_parts: int) -> list[list[str]]:
    """Names of groups in at most ``n_parts`` parts of about as many structures, none divided."""
    parts: list[list[str]] = [[] for _ in range(min(n_parts, len(groups)))]
    sizes = [0] * len(parts)
    for group, structures in groups.items():
        smallest = sizes.index(min(sizes))
        parts[smallest].append(group)
        sizes[smallest] += len(structures)
    return parts
