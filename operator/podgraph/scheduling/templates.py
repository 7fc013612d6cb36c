"""`{{ name }}` in the template of a Job: a few variables with string values, and no other syntax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError, nearest

__all__ = ["render"]

_DEEPEST = 100
_LONGEST = 100  # characters of a variable in a message


def render(value: Any, names: Mapping[str, str], where: str, levels: int = 0) -> Any:
    """Return a JSON value with each `{{ name }}` in its strings replaced; `where` is its place, for messages.

    Raises DefinitionError: `UnknownName` for a name that is not in `names`, `TooDeep` for a value with too many levels.

    >>> render({"day": ["{{ tick.date }}", 1]}, {"tick.date": "2026-11-24"}, "runConfig")
    {'day': ['2026-11-24', 1]}
    """
    if levels > _DEEPEST:
        raise DefinitionError("TooDeep", f"{where[:_LONGEST]}... is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return {key: render(item, names, f"{where}.{key[:_LONGEST]}", levels + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, names, f"{where}[{at}]", levels + 1) for at, item in enumerate(value)]
    if not isinstance(value, str) or "{{" not in value:
        return value

    return "".join(_pieces(value, names, where))


def _pieces(text: str, names: Mapping[str, str], where: str) -> Iterator[str]:
    """Yield the pieces of a string with its names replaced, in linear time."""
    at = 0
    while (begin := text.find("{{", at)) >= 0 and (end := text.find("}}", begin + 2)) >= 0:
        yield text[at:begin]
        name = text[begin + 2 : end].strip()
        if name not in names:
            shown = name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."
            raise DefinitionError(
                "UnknownName", f"{where} has {{{{ {shown} }}}}, which is unknown{nearest(name[:_LONGEST], names)}"
            )
        yield names[name]
        at = end + 2
    yield text[at:]
