"""Reading labelled structures from extended XYZ and whatever else ASE reads."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import ase
import ase.io
import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress

from ..errors import CaceError
from ..files import check_input
from .checks import check_structure


@dataclass(frozen=True)
class Keys:
    """Names of the labels in the file. Units: eV, eV/Å, eV/Å³ (tension positive, as in ASE)."""

    energy: str = "energy"
    forces: str = "forces"
    stress: str = "stress"
    weight: str = "config_weight"  # of a configuration in the loss; 1 where it is missing
    virial: str = "virial"  # eV, −stress × volume, as QUIP writes it; where there is no stress
    config_type: str = "config_type"  # the group that a frame belongs to, any word


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
    file_format, index   as in ``ase.io.iread``; frames are counted from 0 among those taken
    naming    where a user says what a label is called, for the error if it is missing

    Raises CaceError, naming file and frame, for a missing or malformed label, NaN, an unknown
    element, or a structure that makes no sense (see ``checks.check_structure``).
    """
    path = pathlib.Path(path)
    n_frames = 0
    for name, atoms in _structures(path, file_format, index):
        frame = _frame(atoms, name, keys)
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
    if (file_format or path.suffix.lstrip(".")) in ("xyz", "extxyz"):
        _check_blank_lines(path)
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


def _check_blank_lines(path: pathlib.Path) -> None:
    """Raise CaceError if frames follow a blank line, at which ASE takes extended XYZ to end."""
    n_frames = 0
    with open(path, errors="replace") as lines:
        for line in lines:
            if not line.strip():
                if any(later.strip() for later in lines):
                    raise CaceError(
                        f"{path}: expected frame {n_frames}, found a blank line with more behind "
                        "it; take it out (ASE would end there)"
                    )
                return
            if not line.strip().isdigit():
                return  # whatever this is, ASE says it better
            for _ in range(int(line) + 1):
                next(lines, None)
            n_frames += 1


def _frame(atoms: ase.Atoms, name: str, keys: Keys) -> Frame:
    energy = _label(atoms, keys.energy)
    forces = _label(atoms, keys.forces)
    stress = _label(atoms, keys.stress)
    if stress is not None:
        stress = _shaped(stress, (3, 3), name, keys.stress)
    elif (virial := _label(atoms, keys.virial)) is not None and atoms.cell.rank == 3:
        stress = -_shaped(virial, (3, 3), name, keys.virial) / atoms.cell.volume
    return Frame(
        name=name,
        atoms=atoms,
        energy=None if energy is None else float(_shaped(energy, (), name, keys.energy)),
        forces=None if forces is None else _shaped(forces, (len(atoms), 3), name, keys.forces),
        stress=stress if atoms.cell.rank == 3 else None,
        weight=_weight(atoms, name, keys.weight),
        config_type=str(atoms.info[keys.config_type]) if keys.config_type in atoms.info else None,
    )


def _weight(atoms: ase.Atoms, name: str, key: str) -> float:
    given = _label(atoms, key)
    weight = 1.0 if given is None else float(_shaped(given, (), name, key))
    if weight < 0:
        raise CaceError(f"{name}: expected a weight of at least 0 for '{key}', found {weight}")
    return weight


def _label(atoms: ase.Atoms, key: str):
    # ASE moves labels with its own names to a calculator, and leaves all others where they are.
    for place in (atoms.calc.results if atoms.calc else {}, atoms.info, atoms.arrays):
        if key in place:
            return place[key]
    return None


def _shaped(value, shape: tuple[int, ...], name: str, key: str) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise CaceError(f"{name}: expected numbers for '{key}', found {value!r}") from None
    if shape == (3, 3) and array.shape == (6,):
        array = voigt_6_to_full_3x3_stress(array)
    if array.size == int(np.prod(shape)) and array.shape != shape:
        array = array.reshape(shape)
    if array.shape != shape:
        raise CaceError(f"{name}: expected shape {shape} for '{key}', found {array.shape}")
    if not np.isfinite(array).all():
        raise CaceError(f"{name}: expected finite numbers for '{key}', found NaN or infinity")
    return array


def labels_in(frame: Frame) -> str:
    """Names of everything that may be a label, for people."""
    results = frame.atoms.calc.results if frame.atoms.calc else {}
    arrays = set(frame.atoms.arrays) - {"numbers", "positions"}
    return ", ".join(sorted(set(results) | set(frame.atoms.info) | arrays)) or "no labels at all"


def missing_label(frame: Frame, label: str, keys: Keys, naming: str) -> str:
    """The error of a frame without a label that it must have; ``naming`` as in ``iter_frames``."""
    listed = labels_in(frame)
    if label == "stress" and frame.atoms.cell.rank < 3:
        return f"{frame.name}: expected a stress, which needs a cell of three vectors, found none"
    return (
        f"{frame.name}: expected the label '{getattr(keys, label)}' ({label}), found {listed}; "
        f"name it with {naming.format(label=label)}, or leave out frames that have none"
    )
