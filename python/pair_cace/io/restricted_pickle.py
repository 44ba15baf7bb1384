"""Reads pickled torch modules as data, without running what the file asks for.

Unpickling calls whatever a file names. Here a file can name tensors, a few containers and the
classes listed below; of the latter it gets inert records that keep their attributes. Any other
name is refused before it is looked up, so no code of the file's choosing ever runs.
"""

from __future__ import annotations

import collections
import pathlib
import pickle
import types
from typing import Any

import torch

from ..errors import CaceError
from .kinds import expect_kind

# Classes of models published with the original implementation that have a counterpart here.
KNOWN_PIECES = {
    "cace.models.atomistic.NeuralNetworkPotential",
    "cace.representations.cace_representation.Cace",
    "cace.modules.angular.AngularComponent",
    "cace.modules.atomwise.Atomwise",
    "cace.modules.blocks.Dense",
    "cace.modules.cutoff.PolynomialCutoff",
    "cace.modules.forces.Forces",
    "cace.modules.interaction.MessageAr",
    "cace.modules.interaction.MessageBchi",
    "cace.modules.interaction.NodeMemory",
    "cace.modules.radial.BesselRBF",
    "cace.modules.radial_transform.SharedRadialLinearTransform",
    "cace.modules.symmetrize_basis.Symmetrizer",
    "cace.modules.type.EdgeEncoder",
    "cace.modules.type.NodeEmbedding",
    "cace.modules.type.NodeEncoder",
    "torch.device",
    "torch.nn.functional.silu",
    "torch.nn.modules.container.ModuleList",
    "torch.nn.modules.container.ParameterList",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.linear.Identity",
    "torch.nn.modules.linear.Linear",
}


class Record:
    """An object of the file: the name of its class and its attributes, and no behaviour."""

    piece = ""

    def __init__(self, *arguments: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"{self.piece}: expected a dictionary of attributes")
        self.__dict__.update(state)

    def get(self, name: str, default: Any = None) -> Any:
        """Parameter, buffer, submodule or plain attribute called ``name``."""
        for place in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(place, {}):
                return self.__dict__[place][name]
        return self.__dict__.get(name, default)

    def children(self) -> list[Any]:
        """Entries of a module list or sequence, in order; those switched off are None."""
        return list(self.__dict__.get("_modules", {}).values())


class _Guarded:
    """A function that the file may call but not change."""

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("attributes of a function")


_CALLABLE = {
    "builtins.set": set,
    "collections.OrderedDict": collections.OrderedDict,
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    "torch._utils._rebuild_parameter": torch._utils._rebuild_parameter,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module.replace('__builtin__', 'builtins')}.{name}"
        if full_name in _CALLABLE:
            return _Guarded(_CALLABLE[full_name])
        if full_name in KNOWN_PIECES:
            return type(name, (Record,), {"piece": full_name})
        if full_name.startswith(("cace.", "torch.nn.")):
            raise CaceError(f"it needs '{full_name}', a piece that pair_cace does not have")
        raise CaceError(
            f"it asks to load '{full_name}', which no published model does; nothing of it was run. "
            "Do not open this file with other programs"
        )


def _is_torchscript(path: pathlib.Path) -> bool:
    # torch.load hands such an archive to torch.jit.load, past our unpickler. Ask the reader that
    # torch.load will use: on a crafted archive, another one may see other entries.
    try:
        return "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records()
    except RuntimeError:
        return False  # not an archive of torch; torch.load says so


def read_pickled_module(path: pathlib.Path) -> Record:
    """The pickled module in ``path`` as records.

    Raises CaceError if the file is damaged, asks for a name that is not listed, or holds no module.
    """
    expect_kind(path, "published", "torch")
    if _is_torchscript(path):
        raise CaceError(f"{path} is TorchScript in disguise, which is code and is not run here")
    reader = types.SimpleNamespace(Unpickler=_Unpickler, __name__=__name__)
    try:
        module = torch.load(path, map_location="cpu", pickle_module=reader, weights_only=False)
    except CaceError as error:
        raise CaceError(f"cannot convert {path}: {error}") from None
    except Exception as error:  # a hostile or damaged pickle fails in any way it likes
        raise CaceError(
            f"expected a model that torch.save wrote, but {path} is damaged "
            f"({type(error).__name__}: {error})"
        ) from error
    if not isinstance(module, Record):
        raise CaceError(
            f"expected a pickled model in {path}, found {type(module).__name__}; a state_dict alone "
            "does not say what model it belongs to"
        )
    return module
