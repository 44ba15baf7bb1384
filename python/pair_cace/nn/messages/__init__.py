"""Message passing: one file a term. ``MESSAGES`` has them by name; ``layer`` adds them up."""

from .ar import ArMessage
from .bchi import BchiMessage
from .memory import MemoryMessage
from .tensors import ScalarMessage, VectorMessage
from .term import MESSAGES, MessageTerm

MESSAGES.register("M")(MemoryMessage)
MESSAGES.register("Ar")(ArMessage)
MESSAGES.register("Bchi")(BchiMessage)
MESSAGES.register("scalars")(ScalarMessage)
MESSAGES.register("vectors")(VectorMessage)

__all__ = ["MESSAGES", "MessageTerm"]
