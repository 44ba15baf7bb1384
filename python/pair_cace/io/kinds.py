"""What kind of model a file holds, by its names alone, and what to do with the wrong kind."""

from __future__ import annotations

import pathlib
import zipfile

from ..errors import CaceError
from ..files import check_archive, check_input

CHECKPOINT_MARK = "pair_cace checkpoint"

_SAVE_WHOLE = (
    "with the original, build that model, load the weights into it (model.load_state_dict) and "
    "save it whole (torch.save(model, path)), then `cace convert` reads it"
)

# kind: (what the file is, what to do with it)
_KINDS = {
    "checkpoint": (
        "is a checkpoint",
        "`cace export {path} -o model.pt` makes a model for LAMMPS of it",
    ),
    "exported": (
        "is an exported model",
        "it is used as it is, by `cace eval`, `cace info`, ASE and LAMMPS",
    ),
    "published": (
        "is a model pickled by the original implementation",
        "`cace convert {path} -o model.cace.pt` makes a checkpoint of it",
    ),
    "representation": (
        "is a representation alone, pickled by the original implementation: the readout that makes "
        "energies of it is missing",
        "with the original, save the whole potential (torch.save(model, path), with the "
        "NeuralNetworkPotential as model), then `cace convert` reads it",
    ),
    "state_dict": (
        "is a state_dict of the original implementation: weights, without the settings of the "
        "model that they belong to (cutoff function, l_max, messages)",
        _SAVE_WHOLE,
    ),
    "training": (
        "is the state of a training (weights and optimizer), without the settings of the model "
        "that they belong to (cutoff function, l_max, messages)",
        _SAVE_WHOLE,
    ),
    "legacy": (
        "is in the format that torch wrote before version 1.6, which is not read here",
        "if you trust whoever made it, load it with the original and save it again "
        "(torch.save(model, path)) with a newer torch",
    ),
    "pickle": (
        "is a pickle that torch.save did not write",
        "with the original, save the model itself: torch.save(model, path)",
    ),
    "torchscript": ("is TorchScript of something else", "give another file"),
    "torch": ("is a torch file without a model that is known here", "give another file"),
    "none": ("is not a model file, or was cut short", "check the name, or copy it again"),
}

# Kinds of the original implementation that lack what makes a model of them.
UNUSABLE = ("representation", "state_dict", "training")

_LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
# Keys of what trainers save: the original's, and that of Lightning.
_OF_A_TRAINING = (b"optimizer_state", b"scheduler_state_dict", b"lr_schedulers")


def kind_of(path: pathlib.Path) -> str:
    """One of the kinds above. Raises CaceError if ``path`` is not there or is damaged."""
    check_input(path)
    check_archive(path)
    if not zipfile.is_zipfile(path):
        return _kind_without_archive(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            exported = any(name.endswith("/extra/format_version") for name in names)
            return "exported" if exported else "torchscript"
        pickles = [name for name in names if name.endswith("data.pkl")]
        content = archive.read(pickles[0]) if pickles else b""
    if CHECKPOINT_MARK.encode() in content:
        return "checkpoint"
    if any(key in content for key in _OF_A_TRAINING) and b"cace.tasks." not in content:
        return "training"
    if b"cace." in content:
        if b"cace.representations." in content and not any(
            name in content for name in (b"cace.models.", b"cace.tasks.")
        ):
            return "representation"
        return "published"
    if b"node_embedding_sender." in content:
        return "state_dict"
    return "torch" if content else "none"


def _kind_without_archive(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    if _LEGACY_MAGIC in start:
        return "legacy"
    # Protocol 2 or later; what text or an archive cut short does not begin with.
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    return "none"


def wrong_kind(path: pathlib.Path, kind: str, *wanted: str) -> CaceError:
    """The error for a file of ``kind`` where another one is wanted, with what to do."""
    expected = " or ".join(_KINDS[one][0].removeprefix("is ") for one in wanted)
    what, advice = _KINDS[kind]
    return CaceError(f"expected {expected}, but {path} {what}; {advice.format(path=path)}")


def expect_kind(path: pathlib.Path, *wanted: str) -> str:
    """The kind of ``path``. Raises CaceError, with the next command to type, if it is another."""
    kind = kind_of(path)
    if kind not in wanted:
        # The others say nothing, or are wanted only to be looked at.
        named = [one for one in wanted if one in ("checkpoint", "exported", "published")]
        raise wrong_kind(path, kind, *named)
    return kind
