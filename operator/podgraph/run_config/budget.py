"""Limits the work of one check of run config, whoever wrote the schema and the value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podgraph.run_config.patterns import InvalidPattern, Search, compiled

__all__ = ["Budget", "TooMuch", "is_deeper"]

MOST_STEPS = 100_000
"""Maximum number of steps; about one second."""
PROBLEM_STEPS = 10
"""Cost of the description of one problem, in steps."""
MOST_HINTS = 20
"""Maximum number of searches for a similar name: a message shows few problems."""
_EXAMPLE_STEPS = 2_000
_COMPILE_STEPS = 20


class TooMuch(Exception):
    """The work exceeds the budget."""


class Budget:
    """The whole schema, for the lookup of references, and the number of steps left for the check."""

    def __init__(self, schema: Any, steps: int = MOST_STEPS) -> None:
        self.schema = schema
        self.left = steps
        self.hints = MOST_HINTS
        self._searches: dict[str, Search | str] = {}
        self._frozen: dict[int, tuple[Any, frozenset[Any]]] = {}

    def spend(self, steps: int = 1) -> None:
        """Use up steps. Raises TooMuch if none are left."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch

    def part(self) -> Budget:
        """Return a separate budget for an example, and charge this budget for it. Raises TooMuch."""
        self.spend(_EXAMPLE_STEPS // 20)
        made = Budget(self.schema, _EXAMPLE_STEPS)
        made._searches, made._frozen = self._searches, self._frozen
        return made

    def wants_hint(self) -> bool:
        """Return whether the budget allows another hint."""
        self.hints -= 1
        return self.hints >= 0

    def search(self, pattern: str, text: str) -> bool | None:
        """Return whether a text matches a pattern, None if this engine cannot decide it. Raises InvalidPattern."""
        found = self._searches.get(pattern)
        if found is None:
            self.spend(_COMPILE_STEPS + len(pattern) // 8)
            try:
                found = compiled(pattern)
            except InvalidPattern as error:
                found = str(error)
            self._searches[pattern] = found
        if isinstance(found, str):
            raise InvalidPattern(found)
        self.spend(1 + len(text) // 64)
        return found(text)

    def one_of(self, values: list[Any], value: Any) -> bool:
        """Return whether one of the values equals `value` in JSON."""
        known = self._frozen.get(id(values))
        if known is None:  # keeps the list alive, so that Python does not reuse its id
            known = self._frozen[id(values)] = values, frozenset(map(self.frozen, values))
        return self.frozen(value) in known[1]

    def frozen(self, value: Any) -> Any:
        """Return a hashable value that is equal for values that are equal in JSON."""
        self.spend()
        if isinstance(value, Mapping):
            return frozenset((key, self.frozen(item)) for key, item in value.items())
        if isinstance(value, (list, tuple)):
            return tuple(map(self.frozen, value))
        if isinstance(value, bool):
            return (bool, value)
        return value if isinstance(value, (str, int, float, type(None))) else repr(value)


def is_deeper(value: Any, levels: int) -> bool:
    """Return whether mappings and lists are nested deeper than this number of levels.

    >>> is_deeper({"a": [1]}, 2), is_deeper({"a": [{}]}, 2)
    (False, True)
    """
    row = [value]
    while levels and row:
        inner: list[Any] = []
        for item in row:
            if isinstance(item, Mapping):
                inner += item.values()
            elif isinstance(item, (list, tuple)):
                inner += item
        row, levels = [item for item in inner if isinstance(item, (Mapping, list, tuple))], levels - 1
    return bool(row) and any(isinstance(item, (Mapping, list, tuple)) for item in row)
