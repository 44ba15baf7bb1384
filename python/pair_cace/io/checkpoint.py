"""Checkpoints: a model with its settings and its history, to train on, convert and export.

A zip archive of torch.save with tensors, numbers and text only; read without running any code.
"""

from __future__ import annotations

import pathlib

import torch

from ..errors import CaceError
from ..files import written_whole
from ..nn import CACE, Hyperparameters
from .kinds import CHECKPOINT_MARK, expect_kind
from .model_info import ModelInfo
from .training_extent import TrainingExtent

FORMAT_VERSION = 1  # raised by one whenever older checkpoints cannot be read as they stand


def save_checkpoint(
    path: pathlib.Path,
    model: CACE,
    settings: Hyperparameters,
    provenance: dict,
    trained_on: TrainingExtent | None = None,
) -> None:
    """Write a checkpoint, whole or not at all. Raises CaceError if that is not possible."""
    content = {
        "kind": CHECKPOINT_MARK,
        "format_version": FORMAT_VERSION,
        "hyperparameters": settings.model_dump(mode="json"),
        "dtype": str(model.dtype).removeprefix("torch."),
        "state": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
        "provenance": provenance,
    }
    if trained_on:
        content["training_extent"] = trained_on.model_dump(mode="json")
    with written_whole(path) as temporary:
        torch.save(content, temporary)


def add_errors(path: pathlib.Path, errors: dict[str, dict[str, float]]) -> None:
    """Write the errors of ``ModelInfo`` into a checkpoint, which is replaced as a whole.

    Raises CaceError if ``path`` is not a checkpoint or cannot be written.
    """
    content = _content(path) | {"errors": errors}
    with written_whole(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: pathlib.Path) -> tuple[CACE, ModelInfo]:
    """Read a checkpoint; the model comes in the precision that it was saved in.

    Raises CaceError if ``path`` is not a checkpoint, is damaged, or is of another format.
    """
    content = _content(path)
    try:
        settings = Hyperparameters.model_validate(content["hyperparameters"])
        model = CACE(settings).to(getattr(torch, content["dtype"]))
        model.load_state_dict(content["state"])
        extent = content.get("training_extent")
        trained_on = TrainingExtent.model_validate(extent) if extent else None
    except Exception as error:
        raise CaceError(
            f"the checkpoint {path} is damaged or was changed by hand "
            f"({type(error).__name__}: {error}); use an intact copy"
        ) from error
    info = ModelInfo(
        kind="checkpoint",
        format_version=content["format_version"],
        hyperparameters=settings,
        E0=dict(zip(settings.elements, model.elements.E0.tolist())),
        dtype=content["dtype"],
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        provenance=content["provenance"],
        trained_on=trained_on,
        errors=content.get("errors", {}),
    )
    return model.eval(), info


def _content(path: pathlib.Path) -> dict:
    expect_kind(path, "checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content["format_version"]
    except Exception as error:
        raise CaceError(f"the checkpoint {path} is damaged ({error}); copy it again") from error
    if version != FORMAT_VERSION:
        raise CaceError(
            f"expected checkpoint format {FORMAT_VERSION} in {path}, got format {version}; use the "
            "version of pair_cace that wrote it, or update pair_cace"
        )
    return content
