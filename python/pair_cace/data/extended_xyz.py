"""Extended XYZ, frame by frame: split and checked here, read by ASE.

ASE takes what it knows and lets the rest pass: a `lattice` in lower case becomes a label, a key
without a value becomes True, columns too many are dropped, atom labels become other elements, a blank
line ends the file. Here such a thing is read as it is meant, or is an error that names file, frame and
line.
"""

from __future__ import annotations

import io
import itertools
import pathlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ase
import numpy as np
from ase.data import chemical_symbols
from ase.io.extxyz import escape, key_val_str_to_dict, parse_properties, read_xyz
from ase.stress import voigt_6_to_full_3x3_stress

from ..errors import CaceError
from .text_files import read_lines

SUFFIXES = (".xyz", ".extxyz", ".exyz")
COMPRESSED = (".gz", ".bz2", ".xz")

_PLAIN = "species:S:1:pos:R:3"  # Properties of a file that has none
# Names, as ASE has them.
_STRUCTURE = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
_NO_LATTICE = {
    "cell", "box", "unit_cell", "unitcell", "cell_vectors", "lattice_vectors", "latticevectors",
    "lattice_parameters", "cellpar",
}  # fmt: skip
_NO_PBC = {"periodic", "periodicity", "periodic_boundary", "boundary"}
_KINDS = {"R": "a real number", "I": "an integer", "L": "T or F", "S": "a word"}

# A key, and behind an equals sign its value: quoted, in brackets, or up to the next space.
_PAIR = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.)*"|[^\s=]+)
        (?:\s*(?P<equals>=)\s*
           (?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|\{[^}]*\}|\[.*?\](?=\s|$)|[^\s]*))?""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Text:
    """The lines of one frame."""

    name: str  # "train.xyz, frame 3", counted from 0
    first_line: int  # number of the line with the number of atoms, from 1
    lines: list[str]  # that one, the comment line, and a line for every atom


def is_extended_xyz(path: pathlib.Path) -> bool:
    """Whether a file is XYZ, by its name or else by its content."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    if suffixes and suffixes[-1] in SUFFIXES:
        return True
    try:
        lines = read_lines(path, errors="replace")
        written = itertools.dropwhile(lambda line: not line[1].strip(), lines)
        start = [line for _, line in itertools.islice(written, 3)]
    except CaceError:
        return False  # an archive; ASE may know it
    if len(start) < 3 or not re.fullmatch(r"\s*\d+\s*", start[0]):
        return False
    words = start[2].split()
    return "Properties=" in start[1] or (
        len(words) >= 4 and words[0].isalpha() and all(map(_is_number, words[1:4]))
    )


def frames_in(path: pathlib.Path) -> Iterator[Text]:
    """The frames of a file as text. Blank lines between them are skipped.

    Raises CaceError where a number of atoms is expected and something else found, and at the end of
    a file that was cut short.
    """
    n_frames = 0
    lines = read_lines(path, lambda: f"{path}, frame {n_frames}")
    pending: tuple[int, str] | None = None
    while True:
        number, line = pending or next(lines, (0, ""))
        pending = None
        if number == 0:
            return
        if not line.strip():
            continue
        name = f"{path}, frame {n_frames}"
        if not re.fullmatch(r"\s*\d+\s*", line):
            before = "" if n_frames == 0 else "; the frame before may have more atoms than it says"
            raise CaceError(
                f"{name}, line {number}: expected the number of atoms of a frame, found "
                f"'{_short(line)}'{before}"
            )
        n_atoms = int(line)
        found = [line] + [text for _, (_, text) in zip(range(n_atoms + 1), lines)]
        if len(found) < n_atoms + 2:
            raise CaceError(
                f"{name}, line {number}: expected {n_atoms} atoms, found {max(0, len(found) - 2)} "
                "and the end of the file; it was cut short, or the number is wrong"
            )
        for pending in lines:  # cell vectors, as the Amsterdam modelling suite writes them
            if not pending[1].startswith("VEC"):
                break
            found.append(pending[1])
            pending = None
        yield Text(name, number, found)
        n_frames += 1


def read_frame(text: Text) -> ase.Atoms:
    """One frame, by ASE, with labels where ASE puts them.

    A stress or virial of six numbers is in Voigt's order (xx yy zz yz xz xy).
    Raises CaceError for everything in the frame that is not as the format has it.
    """
    pairs = _pairs(text)
    columns = _columns(text, dict(pairs).get("Properties", _PLAIN))
    _check_atom_lines(text, columns)
    content = "\n".join(text.lines) + "\n"
    try:
        (atoms,) = read_xyz(
            io.StringIO(content), slice(0, 1), properties_parser=lambda line: _info(text, pairs)
        )
    except CaceError:
        raise
    except Exception as error:  # ASE's readers raise whatever comes up
        _find_wrong_word(text, columns)
        raise CaceError(
            f"{text.name}: ASE could not read this frame of extended XYZ "
            f"({type(error).__name__}: {error})"
        ) from error
    # Not True, as ASE has it: it writes a label that is None so.
    atoms.info.update({key: None for key, value in pairs if value is None})
    return atoms


# ---- the comment line ----------------------------------------------------------------------------


def _pairs(text: Text) -> list[tuple[str, str | None]]:
    """Keys and values of the comment line, None without a value; keys of the structure as ASE has
    them."""
    place = f"{text.name}, line {text.first_line + 1}"
    matches = list(_PAIR.finditer(text.lines[1]))
    if not any(match["equals"] for match in matches):
        return []  # free text
    found: dict[str, str | None] = {}
    for match in matches:
        key = _unquoted(match["key"])
        key = _STRUCTURE.get(key.lower(), key)
        value = _unquoted(match["value"]) if match["equals"] else None
        if value is not None and key in found and found[key] is not None:
            raise CaceError(f"{place}: expected '{key}' once, found it twice; keep one")
        if value is None and key in found:
            continue  # words of a free text
        found[key] = value
    pairs = {key for key, value in found.items() if value is not None}
    for key in sorted(pairs):
        if key.lower() in _NO_LATTICE and "Lattice" not in found:
            raise CaceError(
                f'{place}: expected the cell as Lattice="ax ay az bx by bz cx cy cz" in Å, found '
                f"'{key}', which extended XYZ does not have; rename it"
            )
        if key.lower() in _NO_PBC and "pbc" not in found:
            raise CaceError(
                f"{place}: expected periodic directions as pbc=\"T T T\", found '{key}', which "
                "extended XYZ does not have; rename it"
            )
    for key in ("Lattice", "Properties", "pbc"):
        if key in found and not found[key]:
            raise CaceError(f"{place}: expected a value for '{key}', found none")
    if "pbc" in pairs and {"T", "F"} & (found.keys() - pairs):
        raise CaceError(
            f"{place}: expected one word behind 'pbc', found more; put them in quotes: pbc=\"T T F\""
        )
    return list(found.items())


def _unquoted(word: str) -> str:
    if word[:1] == '"' and word[-1:] == '"' and len(word) > 1:
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    if word[:1] + word[-1:] in ("''", "{}", "[]") and len(word) > 1:
        return word[1:-1]
    return word


def _info(text: Text, pairs: Sequence[tuple[str, str | None]]) -> dict[str, object]:
    """What ASE is to know of the comment line."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if value is None:
            continue
        if key == "Lattice":
            found[key] = _lattice(text, value)
        elif key == "pbc":
            found[key] = _pbc(text, value)
        elif key in ("stress", "virial"):
            found[key] = tensor(value, text.name, key)
        elif key in ("Properties", "uid"):
            found[key] = value
        else:
            quoted = escape(value.replace("\\", "\\\\"))
            (found[key],) = key_val_str_to_dict(f"x={quoted}").values()
    return found


def _lattice(text: Text, value: str) -> np.ndarray:
    numbers = _numbers(value, text.name, "Lattice")
    if len(numbers) != 9:
        raise CaceError(
            f"{text.name}, line {text.first_line + 1}: expected nine numbers in quotes for Lattice, "
            f"three lattice vectors in Å, found '{_short(value)}'"
        )
    return numbers.reshape(3, 3).T  # ASE transposes it


def _pbc(text: Text, value: str) -> list[bool]:
    meanings = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
    words = re.findall(r"[^\s,]+", value.lower())
    if len(words) not in (1, 3) or not all(word in meanings for word in words):
        raise CaceError(
            f'{text.name}, line {text.first_line + 1}: expected pbc="T T T", or F where it is not '
            f"periodic, found '{_short(value)}'"
        )
    return [meanings[word] for word in (words if len(words) == 3 else 3 * words)]


def tensor(value: str, name: str, key: str) -> np.ndarray:
    """(3, 3) from nine numbers or from six in Voigt's order. Raises CaceError for anything else."""
    numbers = _numbers(value, name, key)
    if len(numbers) == 6:
        return voigt_6_to_full_3x3_stress(numbers)
    if len(numbers) != 9:
        raise CaceError(
            f"{name}: expected nine numbers for '{key}', or six in Voigt's order (xx yy zz yz xz "
            f"xy), found {len(numbers)}"
        )
    return symmetric(numbers.reshape(3, 3), name, key)


def symmetric(values: np.ndarray, name: str, key: str) -> np.ndarray:
    """``values`` (3, 3), averaged with its transpose. Raises CaceError if they differ by much."""
    difference = np.abs(values - values.T).max()
    if difference > 0.1 * np.abs(values).max():
        raise CaceError(
            f"{name}: expected a symmetric tensor for '{key}' (xx xy xz yx yy yz zx zy zz), found "
            f"{values.ravel().tolist()}"
        )
    return 0.5 * (values + values.T)


def _numbers(value: str, name: str, key: str) -> np.ndarray:
    words = re.findall(r"[^\s,\[\]]+", value)
    for word in words:
        if not _is_number(word):
            raise CaceError(
                f"{name}: expected numbers for '{key}', found '{_short(word)}'{advice(word)}"
            )
    return np.array(words, dtype=np.float64)


def advice(word: str) -> str:
    """What to do about a word that should have been a number, as the end of a sentence."""
    if re.fullmatch(r"[-+]?[\d.]+[dD][-+]?\d+", word):
        return "; that is Fortran's exponent: write E instead of D"
    if "*" in word:
        return "; a program had too little room for the number, which is lost: write it anew"
    return ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


# ---- the lines of the atoms ----------------------------------------------------------------------


def _columns(text: Text, properties: str) -> list[tuple[str, str]]:
    """(name, R, I, S or L) of every column."""
    place = f"{text.name}, line {text.first_line + 1}"
    fields = properties.split(":")
    triples = list(zip(fields[::3], fields[1::3], fields[2::3]))
    try:
        parse_properties(properties)
        columns = [(name, kind) for name, kind, n in triples for _ in range(int(n))]
    except Exception:
        columns = []
    if not columns or len(fields) % 3:
        raise CaceError(
            f"{place}: expected Properties of the form name:type:columns:…, such as {_PLAIN}, found "
            f"'{_short(properties)}'"
        )
    names = [name for name, _, _ in triples]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CaceError(f"{place}: expected '{twice[0]}' once in Properties, found it twice")
    if not {"pos", "positions"} & set(names) or not {"species", "symbols", "Z", "numbers"} & set(
        names
    ):
        raise CaceError(
            f"{place}: expected 'species' (or Z) and 'pos' in Properties, found {', '.join(names)}"
        )
    return columns


def _check_atom_lines(text: Text, columns: list[tuple[str, str]]) -> None:
    names = [name for name, _ in columns]
    species = next((names.index(name) for name in ("species", "symbols") if name in names), None)
    for k, line in enumerate(text.lines[2 : 2 + int(text.lines[0])]):
        words = line.split()
        if len(words) != len(columns):
            raise CaceError(_wrong_number_of_columns(text, k, words, columns))
        if species is not None and words[species] not in _SYMBOLS:
            raise CaceError(
                f"{_place(text, k)}: expected a chemical symbol for atom {k}, found "
                f"'{_short(words[species])}'{_advice_on_symbol(words[species])}"
            )


_SYMBOLS = frozenset(chemical_symbols)


def _place(text: Text, atom: int) -> str:
    return f"{text.name}, line {text.first_line + 2 + atom}"


def _wrong_number_of_columns(
    text: Text, atom: int, words: list[str], columns: list[tuple[str, str]]
) -> str:
    listed = ", ".join(dict.fromkeys(name for name, _ in columns))
    if not words:
        found = "a blank line"
    elif len(words) == 1 and words[0].isdigit():
        found = f"'{words[0]}', as if the next frame began here; the number of atoms is wrong"
    elif "Properties" not in text.lines[1] and len(words) > len(columns):
        found = (
            f"{len(words)}; say what the others are in the comment line, as in "
            f"Properties={_PLAIN}:forces:R:3"
        )
    else:
        found = f"{len(words)} in '{_short(' '.join(words))}'"
    return f"{_place(text, atom)}: expected {len(columns)} columns ({listed}), found {found}"


def _advice_on_symbol(word: str) -> str:
    if word in ("D", "T"):
        return (
            "; hydrogen's isotopes have the potential of hydrogen: write H, and set masses where "
            "molecular dynamics is run"
        )
    if word.isdigit() and 0 < int(word) < len(chemical_symbols):
        return f"; write {chemical_symbols[int(word)]}, or name the column Z:I:1 in Properties"
    for length in (2, 1):
        symbol = word[:length].capitalize()
        if symbol in _SYMBOLS and (length == 1 or len(word) == 2):
            return f"; if it is {symbol}, write {symbol}"
    return ""


def _find_wrong_word(text: Text, columns: list[tuple[str, str]]) -> None:
    """Raise CaceError for the first word of the atoms that is not what its column holds."""
    fits = {
        "R": _is_number,
        "I": lambda word: re.fullmatch(r"[-+]?\d+", word) is not None,
        "L": lambda word: word in ("T", "F", "True", "False"),
        "S": lambda word: True,
    }
    for k, line in enumerate(text.lines[2 : 2 + int(text.lines[0])]):
        for word, (name, kind) in zip(line.split(), columns):
            if not fits[kind](word):
                raise CaceError(
                    f"{_place(text, k)}: expected {_KINDS[kind]} for '{name}' of atom {k}, found "
                    f"'{_short(word)}'{advice(word)}"
                )
