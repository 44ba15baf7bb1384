"""Checkpoints: a model with its settings and its history, to train on, convert and export.

A zip archive of torch.save with tensors, numbers and text only; read without running any code.
"""

from __future__ import annotations

import pathlib
import pickle

import torch

from .. import _core
from ..errors import CaceError
from ..files import written_whole
from ..nn import CACE, Hyperparameters
from .model_info import ModelInfo

KIND = "pair_cace checkpoint"


def dtype_name(dtype: torch.dtype) -> str:
    """``float32`` for torch.float32."""
    return str(dtype).removeprefix("torch.")


def E0_of(model: CACE, settings: Hyperparameters) -> dict[str, float]:
    """Reference energy of every element, eV."""
    return dict(zip(settings.elements, model.elements.E0.tolist()))


def save_checkpoint(
    path: pathlib.Path, model: CACE, settings: Hyperparameters, provenance: dict
) -> None:
    """Write a checkpoint, whole or not at all. Raises CaceError if that is not possible."""
    content = {
        "kind": KIND,
        "format_version": _core.model_format_version,
        "hyperparameters": settings.model_dump(mode="json"),
        "dtype": dtype_name(model.dtype),
        "state": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
        "provenance": provenance,
    }
    with written_whole(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: pathlib.Path) -> tuple[CACE, ModelInfo]:
    """Read a checkpoint; the model comes in the precision that it was saved in.

    Raises CaceError if ``path`` is not a checkpoint, is damaged, or is of another format.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise CaceError(
            f"expected a checkpoint of `cace train` or `cace convert`, but {path} is not one or is "
            "damaged. A model published with the original implementation is read by "
            f"`cace convert {path} -o model.cace.pt`; a file cut short must be copied again"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise CaceError(
            f"expected a checkpoint of `cace train` or `cace convert`, but {path} is another torch "
            "file; a model published with the original implementation is read by `cace convert`"
        )
    version = content["format_version"]
    if version != _core.model_format_version:
        raise CaceError(
            f"expected format {_core.model_format_version} in {path}, got format {version}; use the "
            "version of pair_cace that wrote it, or update pair_cace"
        )
    settings = Hyperparameters.model_validate(content["hyperparameters"])
    model = CACE(settings).to(getattr(torch, content["dtype"]))
    model.load_state_dict(content["state"])
    info = ModelInfo(
        kind="checkpoint",
        format_version=version,
        hyperparameters=settings,
        E0=E0_of(model, settings),
        dtype=content["dtype"],
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        provenance=content["provenance"],
    )
    return model.eval(), info
