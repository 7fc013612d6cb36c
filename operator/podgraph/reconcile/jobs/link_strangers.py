"""Connections that have not yet proved which pod they belong to.

Any process in the cluster can connect, so their number is bounded, in all and for each address. At a bound the oldest
one is closed: a pod identifies itself at once, so a silent connection cannot keep pods out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["MOST", "MOST_OF_ONE", "Strangers"]

MOST = 512
MOST_OF_ONE = 64
"""The bound for one address. A network may hide the pods of a node behind one address."""

T = TypeVar("T")


class Strangers(Generic[T]):
    """The connections by address, oldest first.

    >>> strangers = Strangers(most=3, of_one=2)
    >>> [list(strangers.add(n, "a")) for n in (1, 2, 3)], list(strangers.add(4, "b")), list(strangers.add(5, "b"))
    ([[], [], [1]], [], [2])
    """

    def __init__(self, most: int = MOST, of_one: int = MOST_OF_ONE) -> None:
        self._most, self._of_one = most, of_one
        self._sources: dict[T, str] = {}
        self._by_source: dict[str, dict[T, None]] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def add(self, item: T, source: str) -> Iterator[T]:
        """Add a connection; return those that must be closed for it, which are removed."""
        self._sources[item] = source
        same = self._by_source.setdefault(source, {})
        same[item] = None
        gone: list[T] = []
        if len(same) > self._of_one:
            gone.append(next(iter(same)))
        elif len(self._sources) > self._most:
            largest = max(self._by_source, key=lambda name: len(self._by_source[name]))
            gone.append(next(iter(self._by_source[largest])))
        for other in gone:
            self.remove(other)
        return iter(gone)

    def remove(self, item: T) -> None:
        """Remove a connection."""
        source = self._sources.pop(item, None)
        if source is None:
            return
        same = self._by_source[source]
        del same[item]
        if not same:
            del self._by_source[source]
