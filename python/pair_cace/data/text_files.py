"""Lines of text files, compressed or not, with an error that says where they are no text."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pathlib
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..errors import CaceError

_COMPRESSIONS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_NOT_READ = {
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "a file compressed with zstd",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
_MARK = b"\xef\xbb\xbf"  # some editors begin UTF-8 with it


def read_lines(
    path: pathlib.Path, place: Callable[[], str] | None = None, errors: str = "strict"
) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of a text file in UTF-8, plain, gzip, bzip2 or xz.

    place    says where in the file reading is, for errors; default: the name of the file
    errors   as in ``bytes.decode``

    What a file is compressed with is seen from its content, whatever its name ends in.
    Raises CaceError for anything that is not UTF-8 and for archives that are damaged.
    """
    place = place or (lambda: str(path))
    number = 0
    try:
        with _opened(path) as stream:
            for number, line in enumerate(stream, start=1):
                if number == 1:
                    line = line.removeprefix(_MARK)
                yield number, line.decode("utf-8", errors).rstrip("\r\n")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        if b"\0" in error.object:
            raise CaceError(
                f"{place()}, line {number}: expected text, found binary data; the file may be of "
                "another format than was taken from its name or --format"
            ) from None
        raise CaceError(
            f"{place()}, line {number}: expected text in UTF-8, found the byte 0x{byte:02x} as other "
            "encodings have it; convert the file, for example with: iconv -f latin1 -t utf-8"
        ) from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, OSError) as error:
        raise CaceError(
            f"{place()}: cannot be read behind line {number} ({error}); the file is damaged or was "
            "cut short: copy it again"
        ) from error


def _opened(path: pathlib.Path) -> BinaryIO:
    with open(path, "rb") as stream:
        start = stream.read(8)
    for mark, what in _NOT_READ.items():
        if start.startswith(mark):
            raise CaceError(
                f"{path}: expected text in UTF-8, found {what}; unpack or convert it first"
            )
    for mark, opener in _COMPRESSIONS.items():
        if start.startswith(mark):
            return opener(path, "rb")
    return open(path, "rb")
