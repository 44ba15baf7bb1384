"""One door for every model file that can be evaluated."""

from __future__ import annotations

import pathlib
import warnings

import torch
from torch import nn

from ..errors import CaceError
from ..operations import has_cuda_kernels
from .checkpoint import load_checkpoint
from .exported import load_exported
from .kinds import expect_kind
from .model_info import ModelInfo


def load_model(path: str | pathlib.Path, device: str = "cpu") -> tuple[nn.Module, ModelInfo]:
    """Read an exported model or a checkpoint, whichever ``path`` is.

    Returns the model, ready to be called, and what its file says about it.
    Raises CaceError if the file is neither, and if ``device`` is not there.
    """
    path = pathlib.Path(path)
    where = checked_device(device)
    if where.type == "cuda" and not has_cuda_kernels():
        warnings.warn(
            "pair_cace was built without nvcc: models run on a GPU as plain torch, many times slower "
            "than they could; install it again with nvcc on the PATH"
        )
    kind = expect_kind(path, "checkpoint", "exported")
    load = load_exported if kind == "exported" else load_checkpoint
    model, info = load(path)
    return model.to(where), info


def checked_device(device: str) -> torch.device:
    """The torch device called ``device``; CaceError if there is none."""
    try:
        where = torch.device(device)
    except RuntimeError:
        where = None
    if where is None or where.type not in ("cpu", "cuda"):
        raise CaceError(f"expected the device cpu or cuda, got '{device}'")
    if where.type == "cuda" and not torch.cuda.is_available():
        raise CaceError(f"expected a CUDA device for '{device}', but torch sees none; use 'cpu'")
    return where
