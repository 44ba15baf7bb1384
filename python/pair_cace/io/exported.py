"""Exported models: TorchScript with plain-text metadata, for `pair_style cace` and for Python.

The format is described in src/pair_cace/exported/model_format.h.
"""

from __future__ import annotations

import contextlib
import copy
import json
import pathlib
import warnings
from collections.abc import Iterator

import torch

from .. import _core
from ..errors import CaceError
from ..files import written_whole
from ..nn import CACE, Hyperparameters
from ..nn.derivatives import predict
from ..registry import ANY_TERMS
from .exported_model import ExportedModel
from .kinds import expect_kind
from .model_info import ModelInfo
from .probe import probe_structure
from .training_extent import TrainingExtent

_TEXT = (
    "format_version", "cutoff", "elements", "n_layers", "values_per_ghost", "n_descriptors",
    "portable", "has_kernels", "dtype",
    "length_unit", "energy_unit",
)  # fmt: skip
_JSON = ("E0", "hyperparameters", "provenance")
# JSON, lines for the pair style, and a line "NAME UNIT", or "NAME" alone, for every output; absent if
# there is nothing to say.
_MORE = ("training", "training_extent", "outputs")

# Largest deviation of an export from its checkpoint in float64, relative to the largest value.
AGREEMENT = {"float64": 1e-10, "float32": 1e-3}


def export_model(
    model: CACE, info: ModelInfo, path: pathlib.Path, dtype: str, portable: bool = False
) -> dict[str, float]:
    """Write ``model`` as TorchScript in precision ``dtype``; see the module's docstring.

    A portable one calls no compiled operations of ours: plain torch loads and runs it, slowly.

    The file is read back and compared with the checkpoint in float64 before it gets its name.
    Returns the relative deviations of energies, forces and outputs that were found.
    Raises CaceError if they exceed ``AGREEMENT``; then no file is left.
    """
    reference = copy.deepcopy(model).to(torch.float64)
    model = copy.deepcopy(model).eval().requires_grad_(False).to(getattr(torch, dtype))
    reference.choose(compiled=False)
    model.choose(compiled=True, portable=portable)
    model.radial.before_export()
    with written_whole(path) as temporary:
        with _quiet():
            torch.jit.script(model).save(
                str(temporary), _extra_files=_metadata(info, dtype, portable)
            )
        written, _ = load_exported(temporary)
        deviations = _deviations(written, reference, info)
        for quantity, deviation in deviations.items():
            if not deviation <= AGREEMENT[dtype]:
                raise CaceError(
                    f"expected the exported model to agree with its checkpoint to "
                    f"{AGREEMENT[dtype]:g}, got a relative deviation of {deviation:.1e} in the "
                    f"{quantity}; no file was written. "
                    + (
                        "The model may be too stiff for single precision: try --dtype float64"
                        if dtype == "float32"
                        else "Please report this with the checkpoint"
                    )
                )
    return deviations


def load_exported(path: pathlib.Path) -> tuple[ExportedModel, ModelInfo]:
    """Read an exported model. Raises CaceError if ``path`` is none, or of another format."""
    expect_kind(path, "exported")
    metadata = dict.fromkeys(_TEXT + _JSON + _MORE, "")
    try:
        with _quiet():
            model = torch.jit.load(str(path), map_location="cpu", _extra_files=metadata)
    except (RuntimeError, OSError, ValueError) as error:
        raise CaceError(
            f"the exported model {path} cannot be read by torch {torch.__version__} ({error}); copy "
            "it again, or export it again with this version"
        ) from error
    metadata = {key: _text(value) for key, value in metadata.items()}
    if metadata["format_version"] != str(_core.model_format_version):
        raise CaceError(
            f"expected format {_core.model_format_version} in {path}, got format "
            f"{metadata['format_version']}; export it with this version of pair_cace, or update"
        )
    training = json.loads(metadata["training"] or "{}")
    extent = training.get("extent")
    info = ModelInfo(
        kind="exported model",
        format_version=_core.model_format_version,
        hyperparameters=Hyperparameters.model_validate_json(
            metadata["hyperparameters"], context=ANY_TERMS
        ),
        E0=json.loads(metadata["E0"]),
        dtype=metadata["dtype"],
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        provenance=json.loads(metadata["provenance"]),
        portable=metadata["portable"] == "yes",
        trained_on=TrainingExtent.model_validate(extent) if extent else None,
        errors=training.get("errors", {}),
    )
    has_kernels = not info.portable and metadata["has_kernels"] != "no"  # older files do not say
    return ExportedModel(model.eval(), has_kernels), info


def _metadata(info: ModelInfo, dtype: str, portable: bool) -> dict[str, str]:
    settings = info.hyperparameters
    return {
        "format_version": str(_core.model_format_version),
        "cutoff": repr(settings.cutoff),
        "elements": " ".join(settings.elements),
        "n_layers": str(settings.n_layers),
        "values_per_ghost": str(settings.values_per_ghost),
        "n_descriptors": str(settings.n_descriptors),
        "portable": "yes" if portable else "no",
        "has_kernels": "yes" if settings.has_kernels else "no",
        "dtype": dtype,
        "length_unit": "angstrom",
        "energy_unit": "eV",
        "E0": json.dumps(info.E0),
        "hyperparameters": settings.model_dump_json(),
        "provenance": json.dumps(info.provenance | {"exported_by": _exported_by()}),
    } | _more(info)


def _more(info: ModelInfo) -> dict[str, str]:
    extent, outputs = info.trained_on, info.hyperparameters.outputs
    files = {}
    if outputs:
        lines = [f"{name} {output.unit}".strip() for name, output in outputs.items()]
        files["outputs"] = "\n".join(lines) + "\n"
    if extent:
        files["training_extent"] = extent.text()
    if extent or info.errors:
        content = {"extent": extent and extent.model_dump(mode="json"), "errors": info.errors}
        files["training"] = json.dumps(content)
    return files


def _exported_by() -> str:
    return f"pair_cace {_core.version}, torch {torch.__version__}"


def _deviations(exported: ExportedModel, reference: CACE, info: ModelInfo) -> dict[str, float]:
    graph = probe_structure(info.hyperparameters)
    expected, found = predict(reference, graph), predict(exported, graph)
    E0 = reference.elements.reference_energies(reference.elements(graph.species))
    return {
        "energies": _relative(found.atom_energies - E0, expected.atom_energies - E0),
        "forces": _relative(found.forces, expected.forces),
    } | {name: _relative(found.outputs[name], values) for name, values in expected.outputs.items()}


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    scale = max(float(expected.abs().max()), 1e-6)
    return float((found - expected).abs().max()) / scale


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TorchScript announces its retirement at every call; libtorch in LAMMPS has nothing else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        yield
