"""From the outermost part of a published file to its one representation and its one readout."""

from __future__ import annotations

from typing import NamedTuple

from ase.data import chemical_symbols

from ..errors import CaceError
from .inert import Record, piece_of
from .published_parts import WRAPPED, expect, is_a, number, refuse_what_is_missing_here

_CHARGES = ("charge", "spin")


class Potential(NamedTuple):
    representation: Record
    readout: Record
    E0: dict[str, float]  # eV by element, if the file has them
    notes: tuple[str, ...]  # what a user should know


def potential_in(root: Record) -> Potential:
    """The potential in ``root``, without the wrappers around it.

    Raises CaceError if there is more than one, or one that computes what pair_cace does not.
    """
    if root.piece.startswith("cace.tasks."):
        raise CaceError(
            f"it is a whole training ({root.name}), not a model; with the original, save the model "
            "alone: task.save_model(path), or torch.save(task.model, path)"
        )
    refuse_what_is_missing_here(root)
    notes: list[str] = []
    E0: dict[str, float] = {}
    keys: dict | None = None
    while not is_a(root, "NeuralNetworkPotential"):
        E0 = E0 or _energies_of_elements(root)
        if root.name in WRAPPED:
            if root.name == "AveragedModel":
                notes.append("its weights are averages over the training (AveragedModel)")
            inside = root.get(WRAPPED[root.name])
            if not isinstance(inside, Record):
                raise CaceError(f"its {root.name} is empty")
            root = inside
        elif is_a(root, "CombinePotential"):
            root, keys = _only_potential(root)
        else:
            raise CaceError(
                f"expected NeuralNetworkPotential as its outermost part, found {root.piece}"
            )
    E0 = E0 or _energies_of_elements(root)
    representation = expect(root.get("representation"), "Cace", "representation")
    _refuse_processing(root)
    readout = _only_readout(root, keys)
    keys_of_others = ("per_atom_output_key", "descriptor_output_key")
    further = [str(readout.get(name)) for name in keys_of_others if readout.get(name)]
    if further:
        notes.append(
            f"besides the energy it has the output(s) {', '.join(further)}, which the checkpoint "
            "does not name"
        )
    return Potential(representation, readout, E0, tuple(notes))


def _outputs(potential: object) -> str:
    """Names of what a potential gives, for messages."""
    if not is_a(potential, "NeuralNetworkPotential"):
        return piece_of(potential)
    named = [part.get("output_key") for part in potential.get("output_modules").children()]
    return ", ".join(str(name) for name in named if name) or "no output"


def _only_potential(combined: Record) -> tuple[Record, dict]:
    """The one potential of a CombinePotential, and the names under which it gives its outputs."""
    potentials = combined.get("models").children()
    keys = combined.get("potential_keys", [])
    if len(potentials) != 1 or len(keys) != 1:
        found = "; ".join(_outputs(potential) for potential in potentials)
        raise CaceError(
            f"it combines {len(potentials)} potentials (CombinePotential of {found}), pair_cace "
            "has one only"
        )
    operation = combined.get("operation")
    if operation is not None and not piece_of(operation).endswith(".default_operation"):
        raise CaceError(
            f"its CombinePotential combines by {piece_of(operation)}, pair_cace knows the sum only"
        )
    if number(keys[0].get("weight", 1.0), "weight in CombinePotential") != 1.0:
        raise CaceError(
            f"its CombinePotential multiplies energies by {keys[0]['weight']}, which pair_cace "
            "does not have"
        )
    if not isinstance(potentials[0], Record):
        raise CaceError("its CombinePotential is empty")
    return potentials[0], keys[0]


def _refuse_processing(potential: Record) -> None:
    """Only what prepares strains (Preprocess) may stand before the representation."""
    for place, allowed in (("input_modules", ("Preprocess",)), ("postprocessors", ())):
        modules = potential.get(place)
        for module in modules.children() if isinstance(modules, Record) else ():
            if not isinstance(module, Record) or module.name not in allowed:
                what = f"{place} ({piece_of(module)})"
                raise CaceError(f"it has {what}, which pair_cace does not have")


def _only_readout(potential: Record, keys: dict | None) -> Record:
    """The readout of the energy. Raises CaceError if there are others."""
    outputs = potential.get("output_modules").children()
    readouts = [part for part in outputs if is_a(part, "Atomwise")]
    others = [part for part in outputs if not is_a(part, "Atomwise") and not is_a(part, "Forces")]
    if others or len(readouts) != 1:
        found = ", ".join(
            f"{piece_of(part)} ({part.get('output_key')})"
            if is_a(part, "Atomwise")
            else piece_of(part)
            for part in outputs
        )
        raise CaceError(f"expected one Atomwise readout and Forces as outputs, found {found}")
    readout = readouts[0]
    energy = readout.get("output_key")
    for forces in outputs:
        if is_a(forces, "Forces") and energy and forces.get("energy_key", energy) != energy:
            raise CaceError(
                f"its forces are those of '{forces.get('energy_key')}', but its readout gives "
                f"'{energy}'"
            )
    if keys is not None and energy and energy not in keys.values():
        raise CaceError(f"its CombinePotential does not give the energy '{energy}' of its readout")
    _check_readout(readout)
    return readout


def _check_readout(readout: Record) -> None:
    features = readout.get("feature_key", "node_feats")
    if features not in (None, "node_feats", ["node_feats"], ("node_feats",)):
        names = [features] if isinstance(features, str) else list(features)
        of_charges = any(word in str(name).lower() for name in names for word in _CHARGES)
        raise CaceError(
            ("it depends on charge states or spins: " if of_charges else "")
            + f"its readout has feature_key={features}, pair_cace has node_feats only"
        )
    for setting, expected in (
        ("n_out", 1),
        ("residual", False),
        ("use_batchnorm", False),
        ("aggregation_mode", "sum"),
        ("post_process", None),
    ):
        found = readout.get(setting, expected)
        if found != expected:
            shown = found if isinstance(found, (bool, int, str)) else piece_of(found)
            outputs = f" (outputs '{readout.get('output_key')}')" if setting == "n_out" else ""
            raise CaceError(
                f"its readout has {setting}={shown}{outputs}, pair_cace has {expected} only"
            )


def _energies_of_elements(record: Record) -> dict[str, float]:
    """E0 by element, eV, if someone left them with the model; the original does not use them."""
    found = record.get("atomic_energies")
    if not found:
        return {}
    if not isinstance(found, dict):
        raise CaceError(
            f"expected energies by element as the atomic_energies of its {record.name}, found "
            f"{piece_of(found)}"
        )
    energies = {}
    for element, energy in found.items():
        symbol = element if isinstance(element, str) else chemical_symbols[int(element)]
        energies[symbol] = number(energy, f"energy of {symbol} in atomic_energies")
    return energies
