"""Where a model comes from, as its files and the run folder say."""

from __future__ import annotations

import platform
from typing import Any

import ase
import numpy as np
import torch

from .. import __version__
from ..files import sha256_of
from .config import Config
from .data import Part, keys_of
from .replay import Sources


def provenance_of(
    config: Config, data: dict[str, Part], sources: Sources, parent: dict[str, Any] | None
) -> dict[str, Any]:
    """Where a model comes from: versions, seed, data.

    sources   files of replayed frames, and the names of labels in them
    parent    the same of the model that it starts from
    """
    read = config.data.files.items()
    files = {name: [(path, keys_of(config)) for path in paths] for name, paths in read}
    files["replay"] = [(path, keys) for paths, keys in sources for path in paths]
    found = {
        "trained_with": f"pair_cace {__version__}, torch {torch.__version__}, numpy "
        f"{np.__version__}, ase {ase.__version__}, Python {platform.python_version()}",
        "seed": config.training.seed,
        "data": {
            name: {
                "files": [str(path) for path, _ in listed],
                "hash": data[name].store.name,
                "sha256": [sha256_of(path) for path, _ in listed],
                "keys": [vars(keys) for _, keys in listed],
            }
            for name, listed in files.items()
            if listed
        },
    }
    if parent is not None:
        found["parent"] = {
            "file": str(config.fine_tune.init_from),
            "sha256": sha256_of(config.fine_tune.init_from),
            "provenance": parent,
        }
    return found
