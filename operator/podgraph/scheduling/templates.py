"""`{{ name }}` in a Job's template: a few names that stand for texts, and no language beside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError, nearest

__all__ = ["render"]

_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)


def render(value: Any, names: Mapping[str, str], where: str) -> Any:
    """Return a JSON value with each `{{ name }}` in its texts replaced; `where` is its place, for a message.

    Raises DefinitionError (`UnknownName`) for a name that is not in `names`.

    >>> render({"day": ["{{ tick.date }}", 1]}, {"tick.date": "2026-11-24"}, "runConfig")
    {'day': ['2026-11-24', 1]}
    """
    if isinstance(value, Mapping):
        return {key: render(item, names, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, names, f"{where}[{at}]") for at, item in enumerate(value)]
    if not isinstance(value, str) or "{{" not in value:
        return value

    def put(found: re.Match[str]) -> str:
        name = found[1]
        if name not in names:
            raise DefinitionError(
                "UnknownName", f"{where} has {{{{ {name} }}}}, which is unknown{nearest(name, names)}"
            )
        return names[name]

    return _PLACE.sub(put, value)
