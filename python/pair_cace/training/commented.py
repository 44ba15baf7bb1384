"""A config as YAML in which every key says what it is."""

from __future__ import annotations

import textwrap
from typing import Any

import yaml
from pydantic import BaseModel

from .config import Config
from .keys import WIDTH, is_list, section_in, sentence_of, unit_of


def commented_yaml(config: Config) -> str:
    """``config`` with all its defaults; the sentences of the schema stand above the keys."""
    return "\n".join(_lines(Config, config.model_dump(mode="json"), "")) + "\n"


def _lines(schema: type[BaseModel], values: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for name, field in schema.model_fields.items():
        inner, value = section_in(field), values[name]
        sentence = field.description or (sentence_of(inner) if inner else "")
        if unit := unit_of(field):
            sentence += f" ({unit})"
        if not indent and lines:
            lines.append("")
        lines += _comment(sentence, indent)
        if inner is None or value is None:
            lines += _plain(name, value, indent)
        elif is_list(field):
            lines.append(f"{indent}{name}:")
            lines += _list(inner, value, indent)
        else:
            lines.append(f"{indent}{name}:")
            lines += _lines(inner, value, indent + "  ")
    return lines


def _list(schema: type[BaseModel], values: list[dict[str, Any]], indent: str) -> list[str]:
    """Sections one after the other; what their keys are is said of the first alone."""
    lines = []
    for number, value in enumerate(values):
        entries = _lines(schema, value, indent + "  ")
        if number > 0:
            entries = [line for line in entries if not _is_comment(line)]
        first = next(k for k, line in enumerate(entries) if not _is_comment(line))
        entries[first] = f"{indent}- {entries[first].lstrip()}"
        lines += entries
    return lines


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _comment(sentence: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(sentence, WIDTH, initial_indent=start, subsequent_indent=start)


def _plain(name: str, value: Any, indent: str) -> list[str]:
    in_one_line = None if value and isinstance(value, (list, dict)) else False
    settings = dict(default_flow_style=in_one_line, allow_unicode=True, sort_keys=False)
    text = yaml.safe_dump({name: value}, width=10**6, **settings)
    return [indent + line for line in text.splitlines()]
