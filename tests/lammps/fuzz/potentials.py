"""Random pair styles: cace alone, or beside lj/cut, zbl or itself in every kind of hybrid."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from models import Model


@dataclass
class Term:
    """A model, how much of it, and the element of every type (None: NULL)."""

    weight: float
    model: str
    elements: list[str | None]

    def arguments(self, models: dict[str, Model]) -> str:
        names = [element or "NULL" for element in self.elements]
        return " ".join([str(models[self.model].path), *names])


@dataclass
class Potential:
    """Commands, what they mean, and the commands of the partner of cace alone."""

    commands: list[str]
    terms: list[Term]
    partner: list[str] = field(default_factory=list)


def random_potential(rng: random.Random, models: dict[str, Model], n_types: int) -> Potential:
    kind = rng.choices(
        ["alone", "overlay", "scaled", "hybrid", "itself", "side by side"], [50, 15, 10, 10, 10, 5]
    )[0]
    term = _term(rng, models, n_types)
    if kind == "alone" or (kind == "side by side" and n_types < 2):
        return alone(term, models, rng)
    if kind == "itself":
        return _with_itself(rng, models, term, n_types)
    if kind == "side by side":
        return _side_by_side(rng, models, term, n_types)
    if n_types > 1 and (kind == "hybrid" or rng.random() < 0.5):
        term.elements[rng.randrange(n_types)] = None
    return _with_partner(rng, models, term, kind)


def alone(term: Term, models: dict[str, Model], rng: random.Random) -> Potential:
    device = rng.choice(["", "", " device cpu", " device auto", " device auto device cpu"])
    return Potential(
        [f"pair_style {_cace(rng)}{device}", f"pair_coeff * * {term.arguments(models)}"], [term]
    )


def _cace(rng: random.Random) -> str:
    return "cace" + rng.choice(["", " neighbors lammps", " neighbors own", " neighbors own"])


def _term(rng: random.Random, models: dict[str, Model], n_types: int) -> Term:
    model = rng.choice(list(models))
    return Term(1.0, model, [rng.choice(models[model].elements) for _ in range(n_types)])


def _with_partner(rng, models, term: Term, kind: str) -> Potential:
    name = rng.choice(["lj/cut", "zbl"])
    pairs = _pairs(len(term.elements))
    needed = [pair for pair in pairs if any(term.elements[t - 1] is None for t in pair)]
    if not needed and kind == "hybrid":  # of one type only: nothing is left to a partner
        kind = "overlay"
    if kind != "hybrid":
        needed = [pair for pair in pairs if pair in needed or rng.random() < 0.6] or pairs
    coefficients, cutoffs = _partner(rng, name, needed)
    ours, theirs = _cace(rng), f"{name} {cutoffs}"
    style = {"hybrid": "hybrid", "overlay": "hybrid/overlay", "scaled": "hybrid/scaled"}[kind]
    if kind == "scaled":
        term.weight = rng.choice([1.0, 0.25, -0.5, 2.0])
        weight = rng.choice([1.0, 0.75])
        ours, theirs = f"{term.weight} {ours}", f"{weight} {theirs}"
    order = [ours, theirs] if rng.random() < 0.5 else [theirs, ours]
    coeffs = [f"pair_coeff * * cace {term.arguments(models)}", *coefficients]
    if kind != "hybrid" and rng.random() < 0.5:
        coeffs.reverse()
    return Potential(
        [f"pair_style {style} {' '.join(order)}", *coeffs],
        [term],
        _alone_in_hybrid(style, theirs, pairs, needed, coefficients),
    )


def _with_itself(rng, models, term: Term, n_types: int) -> Potential:
    other = _term(rng, models, n_types)
    if n_types > 1 and rng.random() < 0.5:
        other.elements[rng.randrange(n_types)] = None
    style, ours, theirs = "hybrid/overlay", _cace(rng), _cace(rng)
    if rng.random() < 0.5:
        term.weight, other.weight = rng.choice([0.5, 2.0]), rng.choice([0.5, -0.25])
        style, ours, theirs = "hybrid/scaled", f"{term.weight} {ours}", f"{other.weight} {theirs}"
    return Potential(
        [
            f"pair_style {style} {ours} {theirs}",
            f"pair_coeff * * cace 1 {term.arguments(models)}",
            f"pair_coeff * * cace 2 {other.arguments(models)}",
        ],
        [term, other],
    )


def _side_by_side(rng, models, term: Term, n_types: int) -> Potential:
    """Two models for different types, with lj/cut or zbl in between."""
    other = _term(rng, models, n_types)
    cut = rng.randint(1, n_types - 1)
    term.elements[cut:] = [None] * (n_types - cut)
    other.elements[:cut] = [None] * cut
    pairs = _pairs(n_types)
    between = [(t, u) for t, u in pairs if t <= cut < u]
    name = rng.choice(["lj/cut", "zbl"])
    coefficients, cutoffs = _partner(rng, name, between)
    style = rng.choice(["hybrid", "hybrid/overlay"])
    return Potential(
        [
            f"pair_style {style} {_cace(rng)} {name} {cutoffs} {_cace(rng)}",
            f"pair_coeff * * cace 1 {term.arguments(models)}",
            f"pair_coeff * * cace 2 {other.arguments(models)}",
            *coefficients,
        ],
        [term, other],
        _alone_in_hybrid(style, f"{name} {cutoffs}", pairs, between, coefficients),
    )


def _pairs(n_types: int) -> list[tuple[int, int]]:
    return [(t, u) for t in range(1, n_types + 1) for u in range(t, n_types + 1)]


def _partner(rng, name: str, pairs) -> tuple[list[str], str]:
    """Its coefficients, and its cutoffs."""
    if name == "zbl":
        charges = {t: rng.randint(1, 3) for pair in pairs for t in pair}
        return [f"pair_coeff {t} {u} zbl {charges[t]} {charges[u]}" for t, u in pairs], "0.8 1.9"
    cutoff = rng.uniform(2.0, 5.5)
    return [
        f"pair_coeff {t} {u} lj/cut {rng.uniform(0, 0.01):.4f} 1.4" for t, u in pairs
    ], f"{cutoff:.3f}"


def _alone_in_hybrid(style: str, partner: str, pairs, needed, coefficients) -> list[str]:
    """The partner without cace, and the style zero for what it does not treat.

    Not `none`: hybrid gives a lone style these pairs, too, without coefficients.
    """
    others = [f"pair_coeff {t} {u} zero" for t, u in pairs if (t, u) not in needed]
    zero = "1.0 zero 1.0" if style == "hybrid/scaled" else "zero 1.0"
    return [f"pair_style {style} {partner} {zero if others else ''}", *others, *coefficients]
