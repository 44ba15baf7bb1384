"""Numbers of numpy in a pickle, rebuilt from their bytes without the functions that it names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..errors import CaceError
from .inert import Record

_PLAIN_NUMBER = re.compile("b1|[iu][1248]|f[248]")  # letter and size


class NumberType(Record):
    """A ``numpy.dtype`` of plain numbers."""

    __slots__ = ("order", "plain")
    piece = "numpy.dtype"

    def __new__(cls, *arguments: Any):
        record = super().__new__(cls, *arguments)
        record.order, record.plain = "<", True
        return record

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subarray, names, fields, size, alignment, flags)
        self.order = ">" if state[1] == ">" else "<"
        self.plain = all(part is None for part in state[2:5])

    @property
    def code(self) -> str:
        """Letter and size, such as f8."""
        code = self.arguments[0] if self.arguments else "nothing"
        return code if isinstance(code, str) and self.plain else "structured"

    def numbers(self, content: Any, count: int) -> tuple:
        """``count`` values from their bytes. Raises CaceError if they are no numbers."""
        if not _PLAIN_NUMBER.fullmatch(self.code) or not isinstance(content, bytes):
            raise CaceError(f"it holds a numpy value of type '{self.code}', which is not a number")
        number_type = np.dtype(self.order + self.code)
        if count < 0 or count * number_type.itemsize != len(content):
            raise ValueError(f"{len(content)} bytes for {count} numbers of type {self.code}")
        return tuple(np.frombuffer(content, number_type).tolist())


class NumberArray(Record):
    """A ``numpy.ndarray`` of plain numbers."""

    __slots__ = ("shape", "values")
    piece = "numpy.ndarray"

    def __new__(cls, *arguments: Any):
        array = super().__new__(cls)
        array.shape, array.values = (0,), ()
        return array

    def __setstate__(self, state: Any) -> None:
        _, shape, number_type, _, content = state
        count = 1
        for length in shape:
            count *= length
        self.values = _expect_type(number_type).numbers(content, count)
        self.shape = shape


def scalar(number_type: Any, content: Any = b"") -> int | float | bool | str:
    """A numpy scalar as the Python value that equals it."""
    kind = _expect_type(number_type)
    if kind.code.startswith("U") and isinstance(content, bytes):
        text = content.decode("utf-32-be" if kind.order == ">" else "utf-32-le")
        return text.rstrip("\0")
    return kind.numbers(content, 1)[0]


def _expect_type(number_type: Any) -> NumberType:
    if not isinstance(number_type, NumberType):
        raise ValueError("a numpy value without its type")
    return number_type
