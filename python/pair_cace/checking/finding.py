"""What a check found: in words for people, and as a code for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know of the data.

    code      a short word that does not change: "energy-unit", "force-sign", "large-force" …
    severity  "warning": probably a mistake; "note": unusual, and possibly meant
    text      what was found, what is probably wrong, and what to do
    frames    names of the frames that it is about; empty if it is about all
    """

    code: str
    severity: Literal["warning", "note"]
    text: str
    frames: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(n: int) -> str:
    """ "1 frame", "2 frames"."""
    return "1 frame" if n == 1 else f"{n} frames"
