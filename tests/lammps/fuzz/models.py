"""The models of the random scripts: every kind, two precisions, several cutoffs, two or four elements."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import torch
from helpers import random_model, settings_of
from pair_cace.io.exported import export_model, load_exported
from pair_cace.io.exported_model import ExportedModel
from pair_cace.io.model_info import ModelInfo

FOUR = ("H", "C", "O", "Si")

# name: kind of helpers.KINDS, changed settings, precision
MODELS = {
    "T0": ("T0", {}, "float64"),
    "T0-four": ("T0", dict(elements=FOUR, cutoff=4.5), "float64"),
    "T0-short": ("nu4", dict(cutoff=2.1), "float64"),
    "M": ("M", {}, "float64"),
    "Ar-four": ("Ar", dict(elements=FOUR), "float64"),
    "Bchi": ("Bchi", dict(cutoff=3.0), "float64"),
    "Bchi-hidden": ("Bchi-hidden", {}, "float64"),
    "T2": ("T2-all", {}, "float64"),
    "T2-four": ("T2-all", dict(elements=FOUR, cutoff=2.7), "float64"),
    "zbl": ("zbl", {}, "float64"),
    "tensors-four": ("tensors", dict(elements=FOUR), "float64"),
    "free-two-layers": ("T2-free", {}, "float64"),
    "tensors-single": ("tensors", {}, "float32"),
    "T0-single": ("T0", dict(elements=FOUR), "float32"),
    "T2-single": ("T2-all", {}, "float32"),
}


@dataclass
class Model:
    """An exported model."""

    path: pathlib.Path
    elements: tuple[str, ...]
    cutoff: float
    dtype: torch.dtype
    module: ExportedModel


def export_models(folder: pathlib.Path) -> dict[str, Model]:
    """Write all MODELS to ``folder``, and read them back."""
    return {name: _export(folder / f"{name}.pt", *of) for name, of in MODELS.items()}


def _export(path: pathlib.Path, kind: str, changes: dict, dtype: str) -> Model:
    settings = settings_of(kind, **changes)
    E0 = {symbol: -1.5 * (k + 1) for k, symbol in enumerate(settings.elements)}
    info = ModelInfo("checkpoint", 1, settings, E0, "float64", 0, {})
    export_model(random_model(settings), info, path, dtype)
    module, _ = load_exported(path)
    return Model(path, settings.elements, settings.cutoff, getattr(torch, dtype), module)
