"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from .errors import CaceError


@contextlib.contextmanager
def written_whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary name beside ``path``; renames it to ``path`` if the block succeeds.

    Raises CaceError if the folder does not exist or cannot be written to.
    """
    folder = path.resolve().parent
    if not folder.is_dir():
        raise CaceError(f"cannot write {path}: the folder {folder} does not exist; create it first")
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise CaceError(f"cannot write {path}: {error.strerror} in {folder}") from error
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
