"""Inputs that cannot work, each with the error that they must end in."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from boxes import Box
from models import Model
from potentials import Potential


@dataclass
class Parts:
    """A script before it is put together."""

    units: str
    before_box: list[str]
    after_box: list[str]
    box: Box
    potential: Potential
    events: list[str]
    ranks: int


Mistake = Callable[
    [random.Random, Parts, dict[str, Model]], str | None
]  # None: cannot be made here


def _change(parts: Parts, change: Callable[[list[str]], list[str]]) -> None:
    """Change the words of the first pair_coeff of cace."""
    commands = parts.potential.commands
    at = next(k for k, line in enumerate(commands) if ".pt " in line)
    commands[at] = " ".join(change(commands[at].split()))


def _with_model(parts: Parts, model: str) -> None:
    _change(parts, lambda words: [model if word.endswith(".pt") else word for word in words])


def _style(parts: Parts, words: str) -> None:
    commands = parts.potential.commands
    commands[0] = re.sub(r"cace( (device|neighbors) \w+)*", f"cace {words}", commands[0], count=1)


def unknown_element(rng, parts, models):
    wrong = rng.choice(["Xx", "U", "h", "1", "C6", "He", "null", "O/H", "*"])
    elements = parts.potential.terms[0].elements
    _change(parts, lambda words: words[: -len(elements)] + [wrong] * len(elements))
    return rf"expected one of the elements of \S+ \(H[\w ]+\) or NULL for atom type 1, got '{re.escape(wrong)}'"


def too_few_elements(rng, parts, models):
    n = parts.box.n_types
    _change(parts, lambda words: words[:-1])
    return rf"for each of {n} atom types, got {n - 1} after the file name"


def too_many_elements(rng, parts, models):
    n = parts.box.n_types
    _change(parts, lambda words: [*words, rng.choice(["O", "H", "NULL"])])
    return rf"for each of {n} atom types, got {n + 1} after the file name"


def no_elements_at_all(rng, parts, models):
    n = parts.box.n_types
    _change(parts, lambda words: words[:-n] + ["NULL"] * n)
    return "expected an element for at least one atom type, got NULL for all of them"


def no_file_name(rng, parts, models):
    n = parts.box.n_types
    _change(parts, lambda words: words[: -n - 1])
    return r"for each of \d atom types, got (no file name|\d+ after the file name)"


def wrong_keyword(rng, parts, models):
    word = rng.choice(["gpu", "cuda", "Device", "off", "devices"])
    _style(parts, word)
    return f"expected one of the keywords device, neighbors, extrapolate, outside, committee and deviation, got '{word}'"


def wrong_device(rng, parts, models):
    word = rng.choice(["tpu", "CPU", "cuda:x", "1"])
    _style(parts, f"device {word}")
    return f"expected cpu, cuda, cuda:N or auto after 'device', got '{word}'"


def missing_file(rng, parts, models):
    _with_model(parts, rng.choice(["absent.pt", "absent/absent.pt"]))
    return "cannot open the model file absent"


def not_a_model(rng, parts, models):
    _with_model(
        parts, rng.choice(["atoms.data", "in.lmp", "empty.pt", "short.pt", "noise.pt", "."])
    )
    return "is not a readable TorchScript file"


def wrong_units(rng, parts, models):
    parts.units = rng.choice(["lj", "si", "electron"])
    return f"expected 'units metal' or 'units real', got 'units {parts.units}'"


def newton_off(rng, parts, models):
    parts.before_box.append(rng.choice(["newton off", "newton off on"]))
    return "expected 'newton on', got newton off"


def no_atom_ids(rng, parts, models):
    if parts.box.atom_style == "full" or parts.box.n_atoms > 0:  # the data file has IDs
        return None
    parts.before_box.append("atom_modify id no")
    return "expected atom IDs, got 'atom_modify id no'"


def atoms_at_the_same_place(rng, parts, models):
    """Sometimes by a lattice vector, sometimes so close that the square of the distance is zero."""
    box, term = parts.box, parts.potential.terms[0]
    ours = [k for k in range(box.n_atoms) if term.elements[box.types[k] - 1]]
    if len(ours) < 2:
        return None
    one, other = rng.sample(ours, 2)
    box.positions -= box.low
    box.low[:] = 0.0
    box.positions[other] = box.positions[one]
    how = rng.choice(["equal", "almost", "image"])
    if how == "almost":
        box.positions[[one, other], 0] = [0.0, rng.choice([1e-170, 1e-300])]
    if how == "image" and box.periodic[0] and not box.skewed:
        box.positions[[one, other], 0] = [0.0, box.cell[0, 0]]
    parts.events.clear()
    return r"two atoms are at the same place \(atom IDs \d+ and \d+\)"


def bonds_that_hide_neighbors(rng, parts, models):
    if not parts.box.bonds or None in parts.potential.terms[0].elements:
        return None
    parts.after_box = [line for line in parts.after_box if "special_bonds" not in line]
    return "expected 'special_bonds lj/coul 1.0 1.0 1.0' for atoms with bonds"


def velocity_that_is_no_number(rng, parts, models):
    """With a neighbor: nobody sees where an atom without neighbors goes."""
    box, term = parts.box, parts.potential.terms[0]
    ours = [k for k in range(box.n_atoms) if term.elements[box.types[k] - 1]]
    if len(ours) < 2:
        return None
    one, other = rng.sample(ours, 2)
    inwards = box.low + box.cell.sum(axis=0) / 2 - box.positions[one]
    box.positions[other] = box.positions[one] + 0.3 * inwards / np.abs(inwards).max()
    parts.events[:] = [
        "variable bad atom exp(1000)-exp(1000)",
        f"set atom {one + 1} {rng.choice(['vx', 'vz'])} v_bad",
        "fix dynamics all nve",
        "run 3",
    ]
    return "expected finite energies, got -?nan|Non-numeric atom coords"


def position_that_is_no_number(rng, parts, models):
    if parts.box.n_atoms == 0:
        return None
    what = rng.choice(["exp(1000)-exp(1000)", "exp(1000)"])
    atom = rng.randint(1, parts.box.n_atoms)
    parts.events[:] = [
        f"variable bad atom {what}",
        f"set atom {atom} {rng.choice('xyz')} v_bad",
        "run 0",
    ]
    return "Non-numeric atom coords|expected finite energies, got -?nan"


def pair_coeff_before_the_box(rng, parts, models):
    parts.before_box += parts.potential.commands
    return "Pair_coeff command before simulation box is defined"


def pair_coeff_of_some_types(rng, parts, models):
    _change(parts, lambda words: ["pair_coeff", "1", "1", *words[3:]])
    return "Incorrect args for pair coefficients|pair_coeff"


def no_pair_coeff(rng, parts, models):
    parts.potential.commands[1:] = []
    return "All pair coeffs are not set|is not used"


def an_unsupported_command(rng, parts, models):
    if not parts.potential.commands[0].startswith("pair_style cace"):  # its partner may allow it
        return None
    command, error = rng.choice(
        [
            ("compute groups all group/group all", "does not support compute group/group"),
            ("compute pairs all pair/local eng", "does not support compute pair/local"),
            ("run_style respa 2 2 inner 1 1.0 2.0 outer 2", "does not support rRESPA inner"),
        ]
    )
    parts.events[:] = [command, "run 0"]
    return error


MISTAKES: list[Mistake] = [
    unknown_element, too_few_elements, too_many_elements, no_elements_at_all, no_file_name,
    wrong_keyword, wrong_device, missing_file, not_a_model, wrong_units, newton_off, no_atom_ids,
    atoms_at_the_same_place, atoms_at_the_same_place, bonds_that_hide_neighbors,
    velocity_that_is_no_number, velocity_that_is_no_number, position_that_is_no_number,
    pair_coeff_before_the_box, pair_coeff_of_some_types, no_pair_coeff, an_unsupported_command,
]  # fmt: skip


def make_a_mistake(rng: random.Random, parts: Parts, models: dict[str, Model]) -> str:
    """The error that ``parts`` must end in from now on, as a regular expression."""
    while True:
        error = rng.choice(MISTAKES)(rng, parts, models)
        if error is not None:
            return error
