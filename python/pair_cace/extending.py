"""Terms of your own, each one file: message terms, radial bases, losses, outputs.

A file defines a class or a function, and one line registers it:

    from pair_cace.extending import RADIAL_BASES, RadialBasis

    @RADIAL_BASES.register("gaussian")
    class Gaussians(RadialBasis): ...

``cace --with FILE.py train config.yaml`` reads it; then a config can have ``model: {radial: gaussian}``.
The model trains in plain torch, and its export runs in LAMMPS without the file. Whatever else reads a
checkpoint of it needs the file as well, as ``cace --with FILE.py export`` does; Python code imports it.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys

from .errors import CaceError
from .nn.angular import triples_up_to
from .nn.atomic_basis import degree_of_each_triple, mix_radial, sum_over_neighbors
from .nn.edges import Atoms, Edges
from .nn.heads import ATOM_OUTPUTS, AtomOutput, OutputSettings
from .nn.invariants import number_of_invariants
from .nn.messages import MESSAGES, MessageTerm
from .nn.radial import RADIAL_BASES, RadialBasis
from .training.losses import LOSSES

__all__ = [
    "ATOM_OUTPUTS",
    "LOSSES",
    "MESSAGES",
    "RADIAL_BASES",
    "AtomOutput",
    "Atoms",
    "Edges",
    "MessageTerm",
    "OutputSettings",
    "RadialBasis",
    "degree_of_each_triple",
    "load_terms",
    "mix_radial",
    "number_of_invariants",
    "sum_over_neighbors",
    "triples_up_to",
]


def load_terms(path: pathlib.Path) -> None:
    """Run a Python file that registers terms.

    Raises CaceError if it cannot be read or run.
    """
    path = path.resolve()
    if not path.is_file() or path.suffix != ".py":
        raise CaceError(f"expected a Python file that registers terms, found none at {path}")
    name = f"cace_terms_{path.stem}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # TorchScript looks there for the names that a class uses
    try:
        spec.loader.exec_module(module)
    except CaceError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise CaceError(
            f"the file {path} cannot be run: {type(error).__name__}: {error}; it should register message "
            "terms, radial bases, losses or outputs, see pair_cace.extending"
        ) from error
