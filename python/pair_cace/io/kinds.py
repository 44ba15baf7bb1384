"""What kind of model a file holds, seen from its names alone, and what to do with the wrong kind."""

from __future__ import annotations

import pathlib
import zipfile

from ..errors import CaceError
from ..files import check_archive, check_input

CHECKPOINT_MARK = "pair_cace checkpoint"

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
    "torchscript": ("is TorchScript of something else", "give another file"),
    "torch": ("is a torch file without a model that is known here", "give another file"),
    "none": ("is not a model file, or was cut short", "check the name, or copy it again"),
}


def kind_of(path: pathlib.Path) -> str:
    """One of the kinds above. Raises CaceError if ``path`` is not there or is damaged."""
    check_input(path)
    check_archive(path)
    if not zipfile.is_zipfile(path):
        return "none"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            exported = any(name.endswith("/extra/format_version") for name in names)
            return "exported" if exported else "torchscript"
        pickles = [name for name in names if name.endswith("data.pkl")]
        content = archive.read(pickles[0]) if pickles else b""
    if CHECKPOINT_MARK.encode() in content:
        return "checkpoint"
    if b"cace." in content:
        return "published"
    return "torch" if content else "none"


def expect_kind(path: pathlib.Path, *wanted: str) -> str:
    """The kind of ``path``. Raises CaceError, with the next command to type, if it is not wanted."""
    kind = kind_of(path)
    if kind not in wanted:
        named = [one for one in wanted if one != "torch"]  # which says nothing
        expected = " or ".join(_KINDS[one][0].removeprefix("is ") for one in named)
        what, advice = _KINDS[kind]
        raise CaceError(f"expected {expected}, but {path} {what}; {advice.format(path=path)}")
    return kind
