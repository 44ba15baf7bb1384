"""Every key of a config in words: type, default, unit and a sentence, from the schema."""

from __future__ import annotations

import pathlib
import textwrap
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from ..registry import Registry
from .config import Config

WIDTH = 96  # columns
KIND_COLUMN = 44  # where types stand, if what is before them is not longer


@dataclass(frozen=True)
class Key:
    """One key of a config, for people."""

    name: str  # with the sections that it is in: "model.cutoff"; N counts phases from 0
    kind: str  # "number above 0", "one of fit, isolated"
    default: str | None  # as YAML; None: must be given
    unit: str | None
    sentence: str


@dataclass(frozen=True)
class Section:
    """Keys that stand together."""

    name: str  # "" for those outside all sections
    sentence: str
    keys: tuple[Key, ...]


def sections_of(schema: type[BaseModel] = Config, name: str = "") -> Iterator[Section]:
    """The keys of ``schema``, which is called ``name``, and then the sections within it."""
    prefix = f"{name}." if name else ""
    inner = {key: section_in(field) for key, field in schema.model_fields.items()}
    keys = tuple(
        _key(prefix + key, field)
        for key, field in schema.model_fields.items()
        if inner[key] is None
    )
    yield Section(name, sentence_of(schema), keys)
    for key, section in inner.items():
        if section is not None:
            listed = is_list(schema.model_fields[key])
            yield from sections_of(section, prefix + key + (".N" if listed else ""))
    for key, field in schema.model_fields.items():
        for kind, settings in _kinds_in(field).items():
            section = next(sections_of(settings, f"{prefix}{key}.NAME"))
            yield replace(section, sentence=f"of the kind {kind}: {section.sentence}")


def section_in(field: FieldInfo) -> type[BaseModel] | None:
    """The schema of what is under a key: a section, or each of a list of them; None otherwise."""
    if is_list(field):
        return next(filter(_is_schema, get_args(field.annotation)), None)
    return next(filter(_is_schema, _alternatives(field.annotation)), None)


def _kinds_in(field: FieldInfo) -> dict[str, type[BaseModel]]:
    """Schemas by kind, of the settings that a key holds by name; empty if it holds something else."""
    if get_origin(field.annotation) is not dict:
        return {}
    registries = [one for one in field.metadata if isinstance(one, Registry)]
    return {kind: registry[kind].Settings for registry in registries for kind in registry}


def is_list(field: FieldInfo) -> bool:
    """Whether a key holds several values."""
    return get_origin(field.annotation) in (tuple, list)


def sentence_of(schema: type[BaseModel]) -> str:
    """What a section is, from its docstring."""
    return (schema.__doc__ or "").strip().partition("\n")[0]


def unit_of(field: FieldInfo) -> str | None:
    """What ``nn.hyperparameters.unit`` has put there."""
    extra = field.json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) and "unit" in extra else None


def keys_text() -> str:
    """What ``cace train --keys`` prints."""
    lines = [
        "Keys of a config. On the command line: cace train config.yaml model.cutoff=5.0",
        "N is the number of a phase, from 0, NAME one of yours. `null` stands for no value.",
    ]
    for section in sections_of():
        if not section.keys:
            continue
        lines += ["", *_wrapped(f"{section.name or 'config'}: {section.sentence}", ""), ""]
        for key in section.keys:
            given = "(must be given)" if key.default is None else f"= {key.default}"
            kind = f"{key.kind}; {key.unit}" if key.unit else key.kind
            first = f"  {key.name} {given}".ljust(KIND_COLUMN - 2) + "  "
            if len(first) + len(kind) > WIDTH:
                lines += [first.rstrip(), *_wrapped(kind, " " * KIND_COLUMN)]
            else:
                lines.append(first + kind)
            lines += _wrapped(key.sentence, "      ")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _key(name: str, field: FieldInfo) -> Key:
    default = None if field.is_required() else as_yaml(field.get_default(call_default_factory=True))
    kind = kind_in_words(field.annotation, field.metadata)
    return Key(name, kind, default, unit_of(field), field.description or "")


def as_yaml(value: Any) -> str:
    """A value in one line of YAML."""
    plain = to_jsonable_python(value)
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.strip().removesuffix("...").strip()


# ---- types -------------------------------------------------------------------------------------


def kind_in_words(annotation: Any, limits: Sequence[Any] = ()) -> str:
    """A type of the schema as a user would say it; ``limits`` are those of pydantic."""
    if get_origin(annotation) is Annotated:
        inner, *given = get_args(annotation)
        limits = [one for limit in given for one in getattr(limit, "metadata", [limit])]
        return kind_in_words(inner, limits)
    for names in limits:
        if isinstance(names, Registry) and get_origin(annotation) is not dict:
            return f"one of {', '.join(names)}"
    kinds = [kind for kind in _alternatives(annotation) if kind is not type(None)]
    words = " or ".join(_one_kind(kind) for kind in kinds)
    return " ".join([words, *_bounds(limits)])


_WORDS = {float: "number", int: "integer", bool: "true or false", str: "text", pathlib.Path: "path"}


def _one_kind(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return kind_in_words(kind)
    if origin is Literal:
        choices = ", ".join(map(str, arguments))
        return f"one of {choices}" if len(arguments) > 1 else choices
    if origin in (tuple, list):
        items = [kind_in_words(item) for item in arguments if item is not Ellipsis]
        if items[0] == "path":
            return "file or list of files"
        if Ellipsis in arguments or origin is list:
            return f"list, each {items[0]}"
        return f"list of {len(items)}, each {items[0]}"
    if origin is dict:
        return f"{{name: {kind_in_words(arguments[1])}, …}}"
    return "settings" if _is_schema(kind) else _WORDS[kind]


def _bounds(limits: Sequence[Any]) -> list[str]:
    said = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = {
        name: f"{getattr(limit, name):g}"
        for limit in limits
        for name in said
        if getattr(limit, name, None) is not None
    }
    if found.keys() == {"ge", "le"}:
        return [f"from {found['ge']} to {found['le']}"]
    return [" and ".join(f"{said[name]} {value}" for name, value in found.items())] if found else []


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _is_schema(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
