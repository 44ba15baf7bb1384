"""Reading labelled structures from extended XYZ and whatever else ASE reads."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import ase
import ase.io
import numpy as np
from ase.io.formats import string2index
from ase.stress import voigt_6_to_full_3x3_stress

from ..errors import CaceError
from ..files import check_input
from ..quantities import OF_ENERGY
from . import label_names
from .checks import check_structure
from .extended_xyz import advice, frames_in, is_extended_xyz, read_frame, symmetric

LABELS = tuple(quantity.label for quantity in OF_ENERGY)


@dataclass(frozen=True)
class Keys:
    """Names of the labels in the file. Units: eV, eV/Å, eV/Å³ (tension positive, as in ASE).

    None (or "none") does without a label. The usual names are found in other cases, too (`Energy`),
    and so are `force` and `virials`.
    """

    energy: str | None = "energy"
    forces: str | None = "forces"
    stress: str | None = "stress"
    weight: str | None = "config_weight"  # of a configuration in the loss; 1 where it is missing
    virial: str | None = "virial"  # eV, −stress × volume, as in QUIP; where there is no stress
    config_type: str | None = "config_type"  # the group that a frame belongs to, any word
    outputs: Mapping[str, str] = field(default_factory=dict)  # of a model, and their labels

    @property
    def of_frames(self) -> dict[str, str | None]:
        """All but those of outputs."""
        return {name: key for name, key in vars(self).items() if name != "outputs"}

    def __post_init__(self):
        for name, key in self.of_frames.items():
            if key is not None and key.lower() == "none":
                object.__setattr__(self, name, None)
            elif key is not None and name in LABELS and (worth := label_names.foreign_unit(key)):
                raise CaceError(
                    f"the name '{key}' of the {name} says that they are not in eV and Å; convert "
                    f"them ({worth}) and give them another name"
                )


@dataclass(frozen=True)
class Frame:
    """One structure with its labels; a label that the file does not have is None."""

    name: str  # "train.xyz, frame 3", counted from 0
    atoms: ase.Atoms
    energy: float | None  # eV
    forces: np.ndarray | None  # (N, 3) eV/Å
    stress: np.ndarray | None  # (3, 3) eV/Å³; None without a cell of three vectors
    weight: float  # of the configuration in the loss
    config_type: str | None = None  # the group of frames that it belongs to
    outputs: Mapping[str, np.ndarray | None] = field(default_factory=dict)  # (N,) by name
    remarks: tuple[str, ...] = ()  # what a user should know of how it was read


def read_frames(
    path: str | pathlib.Path,
    keys: Keys = Keys(),
    require: Collection[str] = ("energy", "forces"),
    elements: Collection[str] | None = None,
    naming: str = "--{label}-key",
) -> list[Frame]:
    """All frames of a file, checked; arguments and errors as ``iter_frames``."""
    return list(iter_frames(path, keys, require, elements, naming=naming))


def iter_frames(
    path: str | pathlib.Path,
    keys: Keys = Keys(),
    require: Collection[str] = ("energy", "forces"),
    elements: Collection[str] | None = None,
    file_format: str | None = None,
    index: str = ":",
    naming: str = "--{label}-key",
) -> Iterator[Frame]:
    """One frame of a file after the other, checked.

    require   labels ("energy", "forces", "stress") that every frame must have
    elements  if given, the only elements allowed
    file_format, index   as in ``ase.io.iread``; of extended XYZ frames are counted from 0 in the file,
              of other formats among those taken
    naming    where a user says what a label is called, for the error if it is missing

    Raises CaceError, naming file and frame, for a missing or malformed label, one that may have
    another name or another unit, NaN, an unknown element, or a structure that makes no sense (see
    ``checks.check_structure``).
    """
    path = pathlib.Path(path)
    n_frames = 0
    for name, atoms in _structures(path, file_format, index):
        frame = _frame(atoms, name, keys, naming)
        check_structure(frame.atoms, frame.name, elements)
        for label in require:
            if getattr(frame, label) is None:
                raise CaceError(missing_label(frame, label, keys, naming))
        n_frames += 1
        yield frame
    if n_frames == 0:
        raise CaceError(
            f"{path}: expected structures, found none"
            + (f" at the index '{index}'" if index != ":" else "")
            + "; if there are some, ASE took the file for another format: rename extended XYZ to "
            "*.xyz, or tell `cace eval` with --format, for instance --format lammps-data"
        )


def _structures(
    path: pathlib.Path, file_format: str | None, index: str
) -> Iterator[tuple[str, ase.Atoms]]:
    check_input(path)
    if file_format in ("xyz", "extxyz") or (file_format is None and is_extended_xyz(path)):
        for text in _chosen(frames_in(path), index):
            yield text.name, read_frame(text)
        return
    n_read = 0
    try:
        frames = ase.io.iread(path, index, file_format, do_not_split_by_at_sign=True)
        for atoms in frames:
            yield f"{path}, frame {n_read}", atoms
            n_read += 1
    except CaceError:
        raise
    except Exception as error:  # ASE's readers raise whatever their format makes them
        raise CaceError(
            f"{path}: ASE could not read frame {n_read} ({type(error).__name__}: {error}); "
            "expected extended XYZ or another format that ASE knows"
        ) from error


def _chosen(frames: Iterator, index: str) -> Iterator:
    if index == ":":
        return frames
    chosen = string2index(index)
    frames = list(frames)
    if isinstance(chosen, slice):
        return iter(frames[chosen])
    return iter([frames[chosen]] if -len(frames) <= chosen < len(frames) else [])


def _frame(atoms: ase.Atoms, name: str, keys: Keys, naming: str) -> Frame:
    _check_units(atoms, name)
    has_cell = atoms.cell.rank == 3
    config_type = atoms.info.get(keys.config_type)
    there = _names_in(atoms)
    energy = _label(there, name, keys.energy, "energy")
    forces = _label(there, name, keys.forces, "forces")
    stress = _label(there, name, keys.stress, "stress")
    virial = _label(there, name, keys.virial, "virial") if stress is None and has_cell else None
    if stress is not None:
        stress = _tensor(stress, name, keys.stress)
    elif virial is not None:
        stress = -_tensor(virial, name, keys.virial) / atoms.cell.volume
    frame = Frame(
        name=name,
        atoms=atoms,
        energy=None if energy is None else float(_shaped(energy, (), name, keys.energy)),
        forces=None if forces is None else _shaped(forces, (len(atoms), 3), name, keys.forces),
        stress=stress if has_cell else None,
        weight=_weight(there, name, keys.weight),
        config_type=None if config_type is None else str(config_type),
        outputs={
            output: _of_atoms(there, len(atoms), name, key, output)
            for output, key in keys.outputs.items()
        },
        remarks=tuple(_remarks(there, keys)),
    )
    for label in LABELS:
        _check_not_missed(frame, there, label, keys, naming)
    return frame


# ---- labels under their names --------------------------------------------------------------------


def _names_in(atoms: ase.Atoms) -> dict[str, object]:
    """Everything that may be a label. ASE moves labels with its own names to a calculator."""
    results = atoms.calc.results if atoms.calc else {}
    arrays = {key: x for key, x in atoms.arrays.items() if key not in ("numbers", "positions")}
    return arrays | atoms.info | results


def _label(there: dict[str, object], name: str, key: str | None, usual: str):
    """The value called ``key``; of the ``usual`` name, written in another way, too. None if missing.

    there   everything that may be a label, see ``_names_in``
    Raises CaceError if the name is there without a value, or written in two ways.
    """
    if key is None:
        return None
    found = key if key in there else None
    if found is None and key == usual:
        others = [other for other in there if label_names.same_label(other, usual)]
        if len(others) > 1:
            raise CaceError(
                f"{name}: expected one label '{usual}', found {' and '.join(sorted(others))}; keep one"
            )
        found = others[0] if others else None
    if found is None:
        return None
    if there[found] is None:
        raise CaceError(
            f"{name}: expected a value for '{found}', found the name alone, as programs write a "
            "label that is None; give it a value, or take the name out"
        )
    return there[found]


def _weight(there: dict[str, object], name: str, key: str | None) -> float:
    given = _label(there, name, key, "config_weight")
    weight = 1.0 if given is None else float(_shaped(given, (), name, key))
    if weight < 0:
        raise CaceError(f"{name}: expected a weight of at least 0 for '{key}', found {weight}")
    return weight


def _of_atoms(
    there: dict[str, object], n_atoms: int, name: str, key: str, output: str
) -> np.ndarray | None:
    """(N,) labels of an output, or None."""
    # A number in the comment line, such as the charge of a molecule, is no label of atoms.
    value = _label({k: x for k, x in there.items() if np.ndim(x)}, name, key, key)
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.shape not in ((n_atoms,), (n_atoms, 1)):
        found = f"shape {array.shape}" if array.dtype.kind in "iuf" else f"{value!r}"
        raise CaceError(
            f"{name}: expected a number for each of the {n_atoms} atoms under '{key}' (the output {output}), "
            f"found {found}; correct the file, or name other labels with model.outputs.{output}.key"
        )
    if not np.isfinite(array).all():
        raise CaceError(
            f"{name}: expected finite numbers for '{key}' (the output {output}), found NaN or infinity for "
            f"{(~np.isfinite(array)).sum()} of {n_atoms} atoms; correct the file, or leave '{key}' out of "
            "this frame"
        )
    return array.reshape(n_atoms).astype(np.float64)


def _shaped(value, shape: tuple[int, ...], name: str, key: str) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise CaceError(
            f"{name}: expected {'numbers' if shape else 'a number'} for '{key}', found "
            f"{value!r}{advice(str(value))}"
        )
    array = array.astype(np.float64)
    if array.size == int(np.prod(shape)) and array.shape != shape:
        array = array.reshape(shape)
    if array.shape != shape:
        raise CaceError(f"{name}: expected shape {shape} for '{key}', found {array.shape}")
    if not np.isfinite(array).all():
        raise CaceError(f"{name}: expected finite numbers for '{key}', found NaN or infinity")
    return array


def _tensor(value, name: str, key: str) -> np.ndarray:
    if np.size(value) == 6:
        return voigt_6_to_full_3x3_stress(_shaped(value, (6,), name, key))
    return symmetric(_shaped(value, (3, 3), name, key), name, key)


# ---- what must not pass in silence ---------------------------------------------------------------


def _check_units(atoms: ase.Atoms, name: str) -> None:
    declared = label_names.wrong_units(list(atoms.info.items()))
    if declared:
        key, value, ours, worth = declared
        raise CaceError(
            f"{name}: expected {ours}, found {key}={value}; convert the file"
            + (f" ({worth})" if worth else "")
            + f", and take '{key}' out or set it to {ours}"
        )


def _check_not_missed(
    frame: Frame, there: dict[str, object], label: str, keys: Keys, naming: str
) -> None:
    """Raise CaceError if a label is missing where another name looks like it."""
    if getattr(frame, label) is not None or getattr(keys, label) is None:
        return
    if label == "stress" and (frame.atoms.cell.rank < 3 or keys.virial is None):
        return
    similar = _similar(there, len(frame.atoms), label)
    if similar:
        key, option = getattr(keys, label), naming.format(label=label)
        raise CaceError(
            f"{frame.name}: expected the label '{key}' ({label}), found {', '.join(similar)} instead; "
            f"say what it is called with {option}, or do without it: {option} none"
        )


def _similar(there: dict[str, object], n_atoms: int, label: str) -> list[str]:
    """Names of what may be this label, and has the shape of it."""
    sizes = {"energy": (1,), "forces": (3 * n_atoms,), "stress": (6, 9)}[label]
    found = []
    for name, value in there.items():
        array = np.asarray(value)
        if label_names.may_be(name, label) and array.dtype.kind in "iuf" and array.size in sizes:
            found.append(name)
    return sorted(found)


def _remarks(there: dict[str, object], keys: Keys) -> Iterator[str]:
    energy, free_energy = there.get("energy"), there.get("free_energy")
    if keys.energy == "energy" and energy is not None and free_energy is not None:
        if abs(energy - free_energy) > 1e-6:
            yield (
                "the energy is 'energy' as ASE has it (of VASP: extrapolated to σ → 0), and differs from "
                "'free_energy', the one that forces and stress are derivatives of; name that one to learn "
                "or compare it"
            )
        else:
            yield "the energy is the free energy, the one that forces are derivatives of"
    read = {key for key in keys.of_frames.values() if key} | {"free_energy"}
    usual = read & set(Keys().of_frames.values())
    read |= set(keys.outputs.values())
    unread = sorted(
        name
        for name in there
        if name not in read
        and not any(label_names.same_label(name, key) for key in usual)
        and any(label_names.may_be(name, kind) for kind in (*LABELS, "weight"))
    )
    if unread:
        yield f"not read: {', '.join(unread)}"


def labels_in(frame: Frame) -> str:
    """Names of everything that may be a label, for people."""
    return ", ".join(sorted(_names_in(frame.atoms))) or "no labels at all"


def missing_label(frame: Frame, label: str, keys: Keys, naming: str) -> str:
    """The error of a frame without a label that it must have; ``naming`` as in ``iter_frames``."""
    listed = labels_in(frame)
    if label == "stress" and frame.atoms.cell.rank < 3:
        return f"{frame.name}: expected a stress, which needs a cell of three vectors, found none"
    return (
        f"{frame.name}: expected the label '{getattr(keys, label)}' ({label}), found {listed}; "
        f"name it with {naming.format(label=label)}, or leave out frames that have none"
    )


def count_remarks(counts: dict[str, tuple[int, str]], frame: Frame) -> None:
    """Add those of a frame to ``counts``: how many frames have a remark, and the name of the first."""
    for remark in frame.remarks:
        n, first = counts.get(remark, (0, frame.name))
        counts[remark] = n + 1, first


def remark_notes(counts: dict[str, tuple[int, str]], n_frames: int) -> Iterator[str]:
    """What ``count_remarks`` has found among ``n_frames`` frames, for people."""
    for remark, (n, first) in counts.items():
        yield f"note: {n} of {n_frames} frames (first: {first}): {remark}"
