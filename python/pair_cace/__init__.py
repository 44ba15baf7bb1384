"""CACE machine-learning potentials: train in Python, run in LAMMPS.

Importing this package does not import torch: LAMMPS asks it for the plugin folder at every start.
"""

import pathlib

try:
    from . import _core
except ImportError as error:
    raise ImportError(
        "pair_cace is not built: expected the compiled module pair_cace._core; run `pip install .` "
        f"in the source folder ({error})"
    ) from error

__version__ = _core.version
__all__ = ["CACECalculator", "load_model", "plugin_dir", "__version__"]


def plugin_dir() -> str:
    """Folder of caceplugin.so; LAMMPS finds it through the entry-point group ``lammps.plugins``."""
    return str(pathlib.Path(_core.__file__).parent)


def __getattr__(name: str):
    if name == "CACECalculator":
        from .calculator import CACECalculator

        return CACECalculator
    if name == "load_model":
        from .io.loading import load_model

        return load_model
    raise AttributeError(f"module 'pair_cace' has no attribute '{name}'")
