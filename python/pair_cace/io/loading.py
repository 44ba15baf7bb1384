"""One door for every model file that can be evaluated."""

from __future__ import annotations

import pathlib
import zipfile

import torch
from torch import nn

from ..errors import CaceError
from .checkpoint import load_checkpoint
from .exported import load_exported
from .model_info import ModelInfo


def load_model(path: str | pathlib.Path, device: str = "cpu") -> tuple[nn.Module, ModelInfo]:
    """Read an exported model or a checkpoint, whichever ``path`` is.

    Returns the model, ready to be called, and what its file says about it.
    Raises CaceError if the file is neither, and if ``device`` is not there.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise CaceError(f"cannot open the model file {path}: there is no such file")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise CaceError(f"expected a CUDA device for '{device}', but torch sees none; use 'cpu'")
    load = load_exported if _is_torchscript(path) else load_checkpoint
    model, info = load(path)
    return model.to(device), info


def _is_torchscript(path: pathlib.Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())
