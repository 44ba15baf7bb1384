"""What models predict from the invariants: the energy, and outputs, one file a kind.

``ATOM_OUTPUTS`` has the kinds of outputs by name.
"""

from .energy import Readout
from .output import ATOM_OUTPUTS, AtomOutput, OutputSettings
from .scalar import ScalarOutput

ATOM_OUTPUTS.register("scalar")(ScalarOutput)

__all__ = ["ATOM_OUTPUTS", "AtomOutput", "OutputSettings", "Readout"]
