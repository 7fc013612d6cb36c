"""Run config as YAML text, with the place of each path so that an editor can mark it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from podgraph.definition.values import NotJsonError, to_json

__all__ = ["MOST_TEXT", "Place", "YamlConfig", "dump", "read"]

MOST_TEXT = 262_144
"""The maximum length of run config, in characters."""
_DEEPEST = 100
_MOST_VALUES = 30_000
_MOST_DIGITS = 1_000
_DIGITS = frozenset("0123456789abcdefABCDEFx_:+-.")

Place = tuple[int, int]
"""A range of the text, in characters."""


@dataclass
class YamlConfig:
    """The value of a text. If the text is invalid, `error` is a message and `error_at` its place."""

    value: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    error: str = ""
    error_at: Place = (0, 0)

    def place(self, path: str) -> Place:
        """Return the place of a path such as `ops.add.config.n`, or of its nearest existing parent.

        >>> read("ops:\\n  add: {}").place("ops.add.config")
        (7, 10)
        """
        while path and path not in self.places:
            cut = max(path.rfind("."), path.rfind("["))
            path = path[: max(cut, 0)]
        return self.places.get(path, (0, 0))


def read(text: str) -> YamlConfig:
    """Read run config; blank text means none.

    >>> read("a: 1\\na: 2").error
    "'a' is set twice; set it once"
    """
    if len(text) > MOST_TEXT:
        return YamlConfig(error=f"run config has {len(text):,} characters; at most {MOST_TEXT:,} are allowed")
    found = YamlConfig()
    try:
        if problem := _refused(text):
            return _wrong(*problem, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return found
        if problem := _walk(node, "", found.places, 0):
            return _wrong(*problem, text)
        loader = yaml.SafeLoader("")
        value = loader.construct_document(node)
        found.places = {path: place for path, place in found.places.items() if path}
    except yaml.MarkedYAMLError as error:
        why = " ".join(part for part in (error.context, error.problem) if part)
        return _wrong(f"this is not valid YAML: {why}", error.problem_mark or error.context_mark, text)
    except (yaml.YAMLError, ValueError) as error:
        return YamlConfig(error=f"this is not valid YAML: {' '.join(str(error).split())[:300]}")
    except RecursionError:
        return YamlConfig(error="this is nested too deeply")
    if value is None:
        return found
    if not isinstance(value, dict):
        return YamlConfig(error="run config must be a mapping, such as ops: {}", error_at=(0, len(text)))
    try:
        to_json(value)
    except NotJsonError as error:
        return YamlConfig(error=f"run config must consist of JSON values, not {error}", error_at=(0, len(text)))
    found.value = value
    return found


def dump(value: Any) -> str:
    """Return a value as YAML, "" for an empty value."""
    if not value:
        return ""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def _refused(text: str) -> tuple[str, Any] | None:
    """Return what no run config needs and what PyYAML would work on for minutes, with its mark; None when it has none.

    The text is parsed no further than to there. A tag can make what is no JSON, and errors that are none of YAML's.
    """
    depth = count = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            return "aliases (*name) are not allowed here; write the value itself", event.start_mark
        tag = getattr(event, "tag", None)
        if tag is not None:
            return f"tags ({tag[:80]}) are not allowed here; write the value without it", event.start_mark
        if _is_long_number(event):
            return f"a number has more than {_MOST_DIGITS:,} characters", event.start_mark
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return f"this is nested deeper than {_DEEPEST} levels", event.start_mark
        count += isinstance(event, yaml.NodeEvent)
        if count > _MOST_VALUES:
            return f"run config has more than {_MOST_VALUES:,} keys and values", event.start_mark
    return None


def _is_long_number(event: Any) -> bool:
    """Whether a text may be a number that takes long to read: YAML has some to the base of 60."""
    plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
    return plain and len(event.value) > _MOST_DIGITS and _DIGITS.issuperset(event.value)


def _walk(node: Any, path: str, places: dict[str, Place], depth: int) -> tuple[str, Any] | None:
    """Record the place of each path below a node; return the first error with its mark."""
    if depth > _DEEPEST:
        return f"this is nested deeper than {_DEEPEST} levels", node.start_mark
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = str(getattr(key, "value", ""))
            if not isinstance(key, yaml.ScalarNode):
                return "a key must be a plain scalar", key.start_mark
            if name in seen:
                return f"{name!r} is set twice; set it once", key.start_mark
            seen.add(name)
            inner = f"{path}.{name}" if path else name
            places[inner] = (key.start_mark.index, key.end_mark.index)
            if problem := _walk(value, inner, places, depth + 1):
                return problem
    elif isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            inner = f"{path}[{at}]"
            places[inner] = (item.start_mark.index, item.end_mark.index)
            if problem := _walk(item, inner, places, depth + 1):
                return problem
    return None


def _wrong(message: str, mark: Any, text: str) -> YamlConfig:
    start = min(mark.index, len(text)) if mark is not None else 0
    end = text.find("\n", start)
    return YamlConfig(error=message, error_at=(start, end if end > start else min(start + 1, len(text))))
