"""What a published representation computes beyond its numbers: is it what pair_cace computes?"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import CaceError
from ..nn.angular import triples_up_to
from ..nn.invariants import invariants_of_order
from .inert import Record
from .numpy_values import NumberArray
from .published_parts import is_a


def atomic_numbers(representation: Record) -> list[int]:
    """In the order of the embedding tables. Raises CaceError if elements are coded otherwise."""
    numbers = _integers(representation.get("zs"))
    encoder = representation.get("node_onehot")
    if is_a(encoder, "NodeEncoder") and isinstance(encoder.get("index_map"), Tensor):
        index_map = encoder.get("index_map").tolist()
        places = [index_map[z] if 0 <= z < len(index_map) else None for z in numbers]
        if places != list(range(len(numbers))):
            raise CaceError("its node encoder has other elements, or in another order, than its zs")
    if is_a(encoder, "NodeEncoder_with_interpolation"):
        if _integers(encoder.get("zs")) != numbers or numbers != sorted(numbers):
            raise CaceError(
                "its node encoder interpolates between other elements than its zs, or between "
                "elements that are not sorted by atomic number"
            )
    return numbers


def _integers(values: Any) -> list[int]:
    if isinstance(values, NumberArray):
        values = values.values
    if isinstance(values, Tensor):
        values = values.tolist()
    return [int(value) for value in values]


def check_edges(representation: Record) -> None:
    """Raise CaceError unless edges know sender from receiver."""
    if not representation.get("edge_coding", None):
        return
    if not representation.get("edge_coding").get("directed", True):
        raise CaceError(
            "its edges are undirected (EdgeEncoder, directed=False), pair_cace has directed ones"
        )


def check_invariants(representation: Record, l_max: int, nu_max: int) -> None:
    """Raise CaceError unless the stored table of invariants is that of the paper, in our order."""
    angular, symmetrizer = representation.get("angular_basis"), representation.get("symmetrizer")
    if angular is not None and angular.get("lxlylz_list") is not None:
        monomials = [_triple(entry) for entry in angular.get("lxlylz_list")]
    else:
        monomials = triples_up_to(l_max)
    ours = triples_up_to(l_max)
    if sorted(monomials, key=ours.index) != ours or monomials[0] != ours[0]:
        raise CaceError(f"its angular basis is not that of l_max={l_max}")
    table = symmetrizer.get("indice_dict_allnu") if symmetrizer is not None else None
    if not table or nu_max == 1:
        return
    position = [ours.index(monomial) for monomial in monomials]
    for nu in range(2, nu_max + 1):
        theirs = [_terms(entries, position) for entries in table[nu].values()]
        if theirs != [dict(terms) for terms in invariants_of_order(nu, l_max)]:
            raise CaceError(
                f"its invariants of {nu} factors are not those of the CACE paper, or in another "
                "order, which pair_cace does not have"
            )


def _triple(entry: Any) -> tuple[int, ...]:
    powers = entry.split("_") if isinstance(entry, str) else entry
    return tuple(int(power) for power in powers)


def _terms(entries: Any, position: list[int]) -> dict[tuple[int, ...], int]:
    """{sorted indices of the A that are multiplied: coefficient}, with our indices."""
    terms: dict[tuple[int, ...], int] = {}
    for entry in entries:
        factors = tuple(sorted(position[index] for index in entry[0]))
        terms[factors] = terms.get(factors, 0) + int(entry[-1])
    return terms
