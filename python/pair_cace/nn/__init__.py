"""The CACE model in plain torch: the readable reference for everything compiled.

Reading order is evaluation order: ``hyperparameters``, ``elements``, ``radial``, ``angular``,
``atomic_basis``, ``invariants``, ``messages``, ``heads``, ``model``, ``derivatives``.
"""

from .hyperparameters import Hyperparameters
from .model import CACE

__all__ = ["CACE", "Hyperparameters"]
