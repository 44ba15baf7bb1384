"""Reads pickled torch modules as data, without running what the file asks for.

Unpickling calls whatever a file names. Here a file can name tensors, numbers of numpy and a few
containers, all rebuilt by functions of our own; everything else that it names becomes an inert
record (see ``inert``), so no code of the file's choosing ever runs. Names that a model has no use
for are refused at once.
"""

from __future__ import annotations

import collections
import math
import pathlib
import pickle
import re
import sys
import zipfile
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from ..errors import CaceError
from .inert import Guarded, Record, inert_class, piece_of
from .kinds import UNUSABLE, expect_kind, wrong_kind
from .numpy_values import NumberArray, NumberType, scalar

_STORAGES = {
    "BoolStorage": torch.bool, "ByteStorage": torch.uint8, "CharStorage": torch.int8,
    "ShortStorage": torch.int16, "IntStorage": torch.int32, "LongStorage": torch.int64,
    "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "UntypedStorage": torch.uint8,
}  # fmt: skip

# Of the standard library: values that trained modules may carry along. They become records too.
_HARMLESS = re.compile(
    r"(collections|datetime|decimal|enum|fractions|pathlib|typing|uuid)\.\w+"
    r"|argparse\.Namespace|copyreg\._reconstructor|functools\.partial|types\.SimpleNamespace"
    r"|builtins\.(bool|bytearray|bytes|complex|dict|float|frozenset|int|list|object|range|slice"
    r"|str|tuple)"
)
# Of torch and numpy: what describes modules and numbers, as opposed to what loads and runs things.
_DESCRIPTIVE = re.compile(
    r"torch\.(nn|optim)\.[\w.]+|torch\._C\._nn\.\w+|torch\._C\._VariableFunctionsClass"
    r"|torch\._dynamo\.eval_frame\.OptimizedModule|torch\._utils\._rebuild_\w+"
    r"|torch\.(Generator|Size|Tensor|device|dtype)|torch\.(storage\.)?\w*Storage"
    r"|torch\.(bool|b?float\d*|double|half|u?int\d*|long|complex\d*|contiguous_format|strided)"
    r"|numpy\.(_?core|random|dtypes)\.[\w.]+"
    r"|numpy\.(ndarray|generic|bool_?|(u?int|float|complex)\d*|str_|bytes_|longdouble)"
)


def _suspicious(full_name: str) -> NoReturn:
    raise CaceError(
        f"it asks to load '{full_name}', which no published model does; nothing of it was run. "
        "Do not open this file with other programs"
    )


def _is_suspicious(full_name: str, name: str) -> bool:
    """Whether ``full_name`` is something that no module of torch, cace or numpy has to name."""
    if any(part.startswith("__") for part in name.split(".")[1:]):
        return True
    package = full_name.partition(".")[0]
    if package in ("torch", "numpy"):
        makes_anything = full_name == "torch._utils._rebuild_from_type_v2"
        return makes_anything or not _DESCRIPTIVE.fullmatch(full_name)
    if package in sys.stdlib_module_names and package != "__main__":
        return not _HARMLESS.fullmatch(full_name)
    return False


class _Numbers:
    """A storage of the file: its numbers, one after another."""

    __slots__ = ("values",)

    def __init__(self, values: Tensor):
        self.values = values


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, _Numbers):
        raise ValueError("a tensor without numbers")
    # A tensor may be larger than what it repeats; not so much larger as to fill the memory.
    if math.prod(size) > max(storage.values.numel(), 2**20):
        raise ValueError("a tensor larger than its numbers")
    return storage.values.as_strided(size, stride, offset).clone()


def _parameter(data: Any, requires_grad: Any = False, *_: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise ValueError("a parameter that is no tensor")
    return data.requires_grad_(bool(requires_grad) and data.is_floating_point())


def _bytes(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("bytes in another spelling than pickle's")
    return text.encode("latin1")


def _attribute(owner: Any, name: Any) -> type[Record]:
    """Stands for a method of a record; torch's functions are spelled so as well."""
    inert = isinstance(owner, Record) or (isinstance(owner, type) and issubclass(owner, Record))
    if not inert or not isinstance(name, str) or not re.fullmatch(r"[A-Za-z]\w*", name):
        _suspicious("builtins.getattr")
    piece = piece_of(owner)
    return inert_class(
        f"torch.{name}" if piece == "torch._C._VariableFunctionsClass" else f"{piece}.{name}"
    )


_CALLABLE = {
    "_codecs.encode": _bytes,
    "builtins.getattr": _attribute,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "collections.OrderedDict": collections.OrderedDict,
    "collections.defaultdict": lambda *_: {},
    "numpy.core.multiarray.scalar": scalar,
    "numpy._core.multiarray.scalar": scalar,
    "numpy.core.multiarray._reconstruct": NumberArray,
    "numpy._core.multiarray._reconstruct": NumberArray,
    "numpy.dtype": NumberType,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, pickle_name: str):
        super().__init__(archive.open(pickle_name), encoding="utf-8")
        self.archive = archive
        self.folder = pickle_name.removesuffix("data.pkl")
        self.other_byte_order = self._byte_order() != sys.byteorder
        self.storages: dict[str, _Numbers] = {}
        self.strangers: list[str] = []  # what is neither of cace, torch, numpy nor Python

    def _byte_order(self) -> str:
        name = f"{self.folder}byteorder"
        known = name in self.archive.namelist()
        return self.archive.read(name).decode("ascii", "replace") if known else sys.byteorder

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module.replace('__builtin__', 'builtins')}.{name}"
        if full_name in _CALLABLE:
            return Guarded(full_name, _CALLABLE[full_name])
        if _is_suspicious(full_name, name):
            _suspicious(full_name)
        if full_name.partition(".")[0] not in {"cace", "torch", "numpy", *sys.stdlib_module_names}:
            self.strangers.append(full_name)
        return inert_class(full_name)

    def persistent_load(self, identity: Any) -> _Numbers:
        kind, storage_type, key, _, count = identity
        if kind != "storage" or not isinstance(key, str) or not isinstance(count, int):
            raise ValueError("numbers that are not stored as torch does")
        if key not in self.storages:
            dtype = _STORAGES[piece_of(storage_type).rpartition(".")[2]]
            content = bytearray(self.archive.read(f"{self.folder}data/{key}"))
            if len(content) != count * dtype.itemsize:
                raise ValueError(f"{len(content)} bytes for {count} numbers of type {dtype}")
            if self.other_byte_order and dtype.itemsize > 1:
                numbers = np.frombuffer(content, f"u{dtype.itemsize}").byteswap()
                content = bytearray(numbers.tobytes())
            values = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0).to(dtype)
            self.storages[key] = _Numbers(values)
        return self.storages[key]


def _name_of_pickle(archive: zipfile.ZipFile, path: pathlib.Path) -> str:
    names = archive.namelist()
    if any(pathlib.PurePosixPath(name).name == "constants.pkl" for name in names):
        raise CaceError(f"{path} is TorchScript in disguise, which is code and is not run here")
    pickles = [name for name in names if pathlib.PurePosixPath(name).name == "data.pkl"]
    if len(pickles) != 1 or len(set(names)) != len(names):
        raise CaceError(
            f"expected a model that torch.save wrote, but {path} is damaged: it holds "
            f"{len(pickles)} pickles, or two entries of one name; copy it again"
        )
    return pickles[0]


def read_pickled_module(path: pathlib.Path) -> Record:
    """The pickled module in ``path`` as records.

    Raises CaceError if the file is damaged, names what no model needs, or holds no module.
    """
    kind = expect_kind(path, "published", "torch", *UNUSABLE)
    with zipfile.ZipFile(path) as archive:
        unpickler = _Unpickler(archive, _name_of_pickle(archive, path))
        try:
            module = unpickler.load()
            if isinstance(module, Guarded):
                _suspicious(module.full_name)
        except CaceError as error:
            raise CaceError(f"cannot convert {path}: {error}") from None
        except Exception as error:  # a hostile or damaged pickle fails in any way it likes
            raise CaceError(
                f"expected a model that torch.save wrote, but {path} is damaged "
                f"({type(error).__name__}: {error})"
            ) from error
    if kind in ("state_dict", "training"):
        raise wrong_kind(path, kind, "published")
    if unpickler.strangers:
        raise CaceError(f"cannot convert {path}: {_of_a_stranger(unpickler.strangers[0])}")
    if kind == "representation":
        raise wrong_kind(path, kind, "published")
    if not isinstance(module, Record):
        raise CaceError(
            f"expected a pickled model in {path}, found {type(module).__name__}; a state_dict alone "
            "does not say what model it belongs to"
        )
    return module


def _of_a_stranger(full_name: str) -> str:
    package = full_name.partition(".")[0]
    if package == "les":
        return (
            f"it has a long-range part (latent Ewald summation, LES): it needs '{full_name}', a "
            "piece that pair_cace does not have"
        )
    if package == "__main__":
        where = "was defined in the script that trained the model"
    else:
        where = f"is of the package {package} and no part of CACE"
    return f"it needs '{full_name}', which {where}; nothing of it was run"
