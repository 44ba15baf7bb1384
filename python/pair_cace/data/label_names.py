"""What names in data files mean: labels under similar names, and units other than ours.

A file may call a label otherwise than we expect it, or hold it in other units. Neither may pass in
silence: a name that means the same is read, one that may mean it is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# Another word for the same label, in lower case. ASE reads a column `charge` as `charges`.
_SYNONYMS = {
    "forces": {"force"}, "virial": {"virials"}, "charge": {"charges"}, "charges": {"charge"},
}  # fmt: skip

# Parts of names, in lower case, of what may be a label of this kind.
_SIMILAR = {
    "energy": ("energ", "toten", "e_dft", "e_ref", "dft_e", "ref_e"),
    "forces": ("forc", "gradient", "f_dft", "f_ref", "dft_f", "ref_f"),
    "stress": ("stress", "virial"),
    "weight": ("weight",),
}

_OURS = {
    "energy": {"ev", "electronvolt", "electronvolts"},
    "length": {"a", "å", "ang", "angs", "angstrom", "angstroms", "ångström"},
}
_OURS["forces"] = {f"ev/{length}" for length in _OURS["length"]}
_OURS["stress"] = {
    f"ev/{length}{cube}" for length in _OURS["length"] for cube in ("^3", "**3", "3", "³")
}
_OURS["virial"] = _OURS["energy"]

# What units that others use are worth; for the error, which says by what to multiply.
_FACTORS = {
    "hartree": "1 hartree = 27.211386 eV", "ha": "1 hartree = 27.211386 eV",
    "hartrees": "1 hartree = 27.211386 eV", "eh": "1 hartree = 27.211386 eV",
    "au": "1 hartree = 27.211386 eV, 1 bohr = 0.52917721 Å",
    "ry": "1 rydberg = 13.605693 eV", "rydberg": "1 rydberg = 13.605693 eV",
    "rydbergs": "1 rydberg = 13.605693 eV",
    "kcal": "1 kcal/mol = 0.043364104 eV", "kj": "1 kJ/mol = 0.010364270 eV",
    "mev": "1 meV = 0.001 eV", "kev": "1 keV = 1000 eV",
    "bohr": "1 bohr = 0.52917721 Å", "bohrs": "1 bohr = 0.52917721 Å", "a0": "1 bohr = 0.52917721 Å",
    "nm": "1 nm = 10 Å", "pm": "1 pm = 0.01 Å",
    "gpa": "1 GPa = 0.0062415091 eV/Å³", "mpa": "1 MPa = 6.2415091e-6 eV/Å³",
    "kbar": "1 kbar = 6.2415091e-4 eV/Å³", "kb": "1 kbar = 6.2415091e-4 eV/Å³",
    "bar": "1 bar = 6.2415091e-7 eV/Å³", "atm": "1 atm = 6.3242091e-7 eV/Å³",
    "pa": "1 Pa = 6.2415091e-12 eV/Å³",
}  # fmt: skip

# What a declared unit is of: parts of names, in lower case, and ours.
_QUANTITIES = {
    "energy": (("energ",), "eV"),
    "forces": (("forc", "gradient"), "eV/Å"),
    "stress": (("stress", "pressure"), "eV/Å³"),
    "virial": (("virial",), "eV"),
    "length": (("pos", "coord", "length", "distance", "cell", "lattice"), "Å"),
}


def same_label(name: str, label: str) -> bool:
    """Whether ``name`` is another way to write the usual name ``label``."""
    lower = name.lower()
    return lower == label.lower() or lower in _SYNONYMS.get(label.lower(), ())


def may_be(name: str, kind: str) -> bool:
    """Whether ``name`` may be a label of the kind energy, forces, stress or weight."""
    lower = name.lower()
    return any(part in lower for part in _SIMILAR[kind]) and not _is_unit_name(lower)


def foreign_unit(name: str) -> str | None:
    """What a unit other than ours in the name of a label, such as energy_Ha, is worth in ours."""
    for word in re.split(r"[^A-Za-z0-9]+", name)[1:]:
        if word.lower() in _FACTORS and word != "Au":  # gold
            return _FACTORS[word.lower()]
    return None


def wrong_units(declared: Collection[tuple[str, object]]) -> tuple[str, str, str, str] | None:
    """The first of (name, value) that declares another unit than ours, such as energy-unit=Ha.

    Returns name, value, our unit, and what theirs is worth in ours (or nothing); None if all are ours.
    Units of what is not read here (time, charge, …) do not matter.
    """
    for name, value in declared:
        lower = name.lower()
        if not _is_unit_name(lower):
            continue
        found = str(value).strip()
        for quantity, (parts, ours) in _QUANTITIES.items():
            if any(part in lower for part in parts):
                if _plain(found) not in _OURS[quantity]:
                    return name, found, ours, _worth(found)
                break
        else:  # `units=…` for everything
            if re.fullmatch(r"units?", lower) and (_worth(found) or not _is_ours(found)):
                return name, found, "eV and Å", _worth(found)
    return None


def _is_unit_name(lower: str) -> bool:
    return re.search(r"(^|[_\-.])units?$", lower) is not None


def _plain(unit: str) -> str:
    return re.sub(r"[\s()]", "", unit.lower())


def _is_ours(units: str) -> bool:
    words = [word for word in re.split(r"[\s,;:]+", units.lower()) if word]
    known = set().union(*_OURS.values()) | {"metal", "ase"}  # metal: LAMMPS
    return all(word in known or word in ("energy", "length", "forces", "and") for word in words)


def _worth(unit: str) -> str:
    words = re.split(r"[^a-z0-9]+", unit.lower())
    return "; ".join(dict.fromkeys(_FACTORS[word] for word in words if word in _FACTORS))
