"""How much work one check of run config may be, whoever wrote the schema and the value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podgraph.run_config.patterns import InvalidPattern, Search, compiled

__all__ = ["Budget", "TooMuch", "is_deeper"]

MOST_STEPS = 100_000
"""About a second's work."""
PROBLEM_STEPS = 10
"""What it takes to write of one problem."""
MOST_HINTS = 20
"""Names of which the nearest one is looked for: a message shows few problems."""
_EXAMPLE_STEPS = 2_000
_COMPILE_STEPS = 20


class TooMuch(Exception):
    """The work is more than the budget allows."""


class Budget:
    """The whole schema, in which references are looked up, and how many steps are left of the check against it."""

    def __init__(self, schema: Any, steps: int = MOST_STEPS) -> None:
        self.schema = schema
        self.left = steps
        self.hints = MOST_HINTS
        self._searches: dict[str, Search | str] = {}
        self._frozen: dict[int, tuple[Any, frozenset[Any]]] = {}

    def spend(self, steps: int = 1) -> None:
        """Take steps. Raises TooMuch when there are none left."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch

    def part(self) -> Budget:
        """Return a budget of its own for an example, which is paid for here. Raises TooMuch."""
        self.spend(_EXAMPLE_STEPS // 20)
        made = Budget(self.schema, _EXAMPLE_STEPS)
        made._searches, made._frozen = self._searches, self._frozen
        return made

    def wants_hint(self) -> bool:
        """Whether one more hint is worth its time."""
        self.hints -= 1
        return self.hints >= 0

    def search(self, pattern: str, text: str) -> bool | None:
        """Return whether a pattern is found in a text, None when nobody can say that here. Raises InvalidPattern."""
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
        """Whether JSON calls one of the values equal to `value`."""
        known = self._frozen.get(id(values))
        if known is None:  # the list is kept with it, so that its id stays its own
            known = self._frozen[id(values)] = values, frozenset(map(self.frozen, values))
        return self.frozen(value) in known[1]

    def frozen(self, value: Any) -> Any:
        """Return what is equal, and equally hashed, for values that JSON calls equal."""
        self.spend()
        if isinstance(value, Mapping):
            return frozenset((key, self.frozen(item)) for key, item in value.items())
        if isinstance(value, (list, tuple)):
            return tuple(map(self.frozen, value))
        if isinstance(value, bool):
            return (bool, value)
        return value if isinstance(value, (str, int, float, type(None))) else repr(value)


def is_deeper(value: Any, levels: int) -> bool:
    """Whether mappings and lists are nested in more levels than these; it takes a step for each of them.

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
