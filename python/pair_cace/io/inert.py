"""What pickled objects become here: records that keep what the file says, and no behaviour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Record:
    """An object of the file: the name of its class, and its attributes.

    Everything that pickle can do to an object (make, call, fill, change) only stores values.
    """

    __slots__ = ("arguments", "attributes", "contents")
    piece = ""

    def __new__(cls, *arguments: Any, **named: Any):
        record = super().__new__(cls)
        record.arguments = arguments
        record.attributes = {}
        record.contents = []
        return record

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.attributes.update(part)
            elif part is not None:
                self.contents.append(part)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.contents.append((key, value))

    def append(self, value: Any) -> None:
        self.contents.append(value)

    def extend(self, values: Any) -> None:
        self.contents.extend(values)

    add = append

    @property
    def name(self) -> str:
        """Name of the class, without where it is from."""
        return self.piece.rpartition(".")[2]

    def _part_of_module(self, place: str) -> dict[str, Any]:
        found = self.attributes.get(place)
        return found if isinstance(found, dict) else {}

    @property
    def modules(self) -> dict[str, Any]:
        """Submodules by name; those switched off are None."""
        return self._part_of_module("_modules")

    @property
    def parameters(self) -> dict[str, Any]:
        return self._part_of_module("_parameters")

    @property
    def buffers(self) -> dict[str, Any]:
        return self._part_of_module("_buffers")

    def get(self, name: str, default: Any = None) -> Any:
        """Parameter, buffer, submodule or plain attribute called ``name``."""
        for place in (self.parameters, self.buffers, self.modules, self.attributes):
            if name in place:
                return place[name]
        return default

    def children(self) -> list[Any]:
        """Entries of a module list or sequence, in order; those switched off are None."""
        return list(self.modules.values())


def inert_class(full_name: str) -> type[Record]:
    """Stands for whatever the file calls ``full_name``, a class or a function."""
    return type("Record", (Record,), {"piece": full_name, "__slots__": ()})


def piece_of(value: Any) -> str:
    """The name of what ``value`` stands for: of its class, or of a class or function itself."""
    return getattr(value, "piece", type(value).__name__)


class Guarded:
    """A function of ours that the file may call but not change."""

    __slots__ = ("function", "full_name")

    def __init__(self, full_name: str, function: Callable):
        self.full_name = full_name
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError(f"attributes of {self.full_name}, which is a function")
