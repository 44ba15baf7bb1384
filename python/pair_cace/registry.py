"""Terms by name: what a config can ask for, ours and those that users add (see ``extending``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, ValidationInfo

from .errors import CaceError

Term = TypeVar("Term")


class Registry(Generic[Term]):
    """Named terms of one kind, in the order in which they were registered."""

    def __init__(self, kind: str):
        self.kind = kind  # for people, such as "radial basis"
        self._terms: dict[str, Term] = {}

    def register(self, name: str) -> Callable[[Term], Term]:
        """A decorator that makes a class or function known as ``name``.

        Raises CaceError if another one has this name; the same one may come again.
        """

        def keep(term: Term) -> Term:
            known = self._terms.setdefault(name, term)
            if known is not term and _origin(known) != _origin(term):
                raise CaceError(
                    f"expected a new name for a {self.kind}, got '{name}', which "
                    f"{'.'.join(_origin(known))} has; choose another one"
                )
            self._terms[name] = term
            return term

        return keep

    def __getitem__(self, name: str) -> Term:
        """Raises CaceError if there is none of this name."""
        if name not in self._terms:
            raise CaceError(self.unknown(name))
        return self._terms[name]

    def __contains__(self, name: str) -> bool:
        return name in self._terms

    def __iter__(self) -> Iterator[str]:
        return iter(self._terms)

    def unknown(self, name: str) -> str:
        """The text of an error."""
        return (
            f"expected a {self.kind} of the names {', '.join(self)}, found '{name}'; if a file of yours "
            "defines it, say so: cace --with FILE.py ..."
        )


def _origin(term: object) -> tuple[str, str]:
    return term.__module__, term.__qualname__


# Context of a validation that takes names of terms that are not here: an export has their code within.
ANY_TERMS = {"any_terms": True}


def NameOf(registry: Registry) -> Any:
    """The type of a key of a config that names a term of ``registry``."""

    def known(name: str, info: ValidationInfo) -> str:
        if name not in registry and info.context != ANY_TERMS:
            raise ValueError(registry.unknown(name))
        return name

    return Annotated[str, AfterValidator(known), registry]
