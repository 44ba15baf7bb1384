"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import pathlib
import re
import shlex
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from .errors import CaceError


def check_output(path: pathlib.Path, inputs: Iterable[pathlib.Path]) -> None:
    """Raise CaceError now, before the work, if ``path`` cannot be written or is an input."""
    if path.is_dir():
        raise CaceError(f"cannot write {path}: it is a folder; give the name of a file")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise CaceError(f"cannot write {path}: the folder {folder} does not exist; create it first")
    for given in inputs:
        if path.resolve() == given.resolve():
            raise CaceError(f"cannot write {path}: it is read by this command; give another name")


def check_input(path: pathlib.Path) -> None:
    """Raise CaceError if ``path`` is not a file."""
    if path.is_dir():
        raise CaceError(f"expected a file, but {path} is a folder")
    if not path.is_file():
        raise CaceError(f"cannot open {path}: there is no such file")


def typed(path: pathlib.Path | str) -> str:
    """``path`` as it is typed in a shell: in quotes, if it has spaces or the like."""
    return shlex.quote(str(path))


def in_lammps(path: pathlib.Path | str) -> str:
    """``path`` as it is typed in an input script of LAMMPS."""
    return f'"{path}"' if re.search(r"[\s#$&]", str(path)) else str(path)


@contextlib.contextmanager
def written_whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary name beside ``path``; renames it to ``path`` if the block succeeds.

    Raises CaceError if the folder does not exist or cannot be written to.
    """
    check_output(path, ())
    folder = path.resolve().parent
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise CaceError(f"cannot write {path}: {error.strerror} in {folder}") from error
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: pathlib.Path, content: Any, allow_nan: bool = True) -> None:
    """Write ``content`` as JSON, whole or not at all; ValueError for NaN if that is not allowed."""
    with written_whole(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=allow_nan)
        temporary.write_text(text + "\n", encoding="utf-8")


def or_null(value: float) -> float | None:
    """``value`` as JSON has it: null for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def read_json(path: pathlib.Path, absent: Any = None) -> Any:
    """The content of a JSON file; ``absent`` if there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else absent


def sha256_of(path: pathlib.Path) -> str:
    """Of the content of a file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_archive(path: pathlib.Path) -> None:
    """Raise CaceError if ``path`` is a zip archive, as models are, with damaged content.

    torch does not look at the checksums, and would load flipped bits as weights.
    """
    if not zipfile.is_zipfile(path):
        return  # not a model; whoever reads it says so
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:
        raise CaceError(f"{path} is damaged ({error}); copy it again") from error
    if damaged:
        raise CaceError(f"{path} is damaged: wrong checksum of {damaged}; copy it again")


def umask() -> int:
    """Permissions that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
