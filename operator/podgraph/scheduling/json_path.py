"""Dotted paths into a JSON value: `status.phase`, `items[0].name`, `metadata.labels['a.b/c']`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError

__all__ = ["read_path", "text_at"]

_PART = re.compile(r"\.?([A-Za-z0-9_$@/-]+)|\[(\d{1,6})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")

_SHOWN = 100  # characters in a message

Path = tuple[str | int, ...]


def read_path(text: str) -> Path:
    """Return the parts of a path. Raises DefinitionError (`InvalidPath`).

    >>> read_path("metadata.labels['a.b/c'][0]")
    ('metadata', 'labels', 'a.b/c', 0)
    """
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or (found[1] is not None and (at > 0) != text[at].startswith(".")):
            raise DefinitionError(
                "InvalidPath",
                f"{text[:_SHOWN]!r} is not a valid path at {text[at : at + _SHOWN]!r}; "
                "for example: status.phase, items[0].name, data['a.b']",
            )
        name, number, single, double = found.groups()
        parts.append(int(number) if number is not None else next(x for x in (name, single, double) if x is not None))
        at = found.end()
    return tuple(parts)


def text_at(value: Any, path: Path) -> str | None:
    """Return the value at a path: a string unchanged, any other value as JSON; None if it is absent or null.

    >>> text_at({"a": [{"b": True}]}, ("a", 0, "b"))
    'true'
    """
    for part in path:
        named = isinstance(part, str) and isinstance(value, Mapping) and part in value
        counted = isinstance(part, int) and isinstance(value, list) and part < len(value)
        if not (named or counted):
            return None
        value = value[part]
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
