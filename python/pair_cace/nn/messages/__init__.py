"""Message passing: one file a term. ``MESSAGES`` has them by name; ``layer`` adds them up."""

from .ar import ArMessage
from .bchi import BchiMessage
from .memory import MemoryMessage
from .term import MESSAGES, MessageTerm

MESSAGES.register("M")(MemoryMessage)
MESSAGES.register("Ar")(ArMessage)
MESSAGES.register("Bchi")(BchiMessage)

__all__ = ["MESSAGES", "MessageTerm"]
