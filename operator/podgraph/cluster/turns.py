"""Waiting lines that take turns: first the groups (namespaces), then in each the keys (Jobs), then who came first."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

__all__ = ["Turns"]

T = TypeVar("T")


class Turns(Generic[T]):
    """Things that wait. However many one group has, one of each other group comes between two of its own."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, deque[T]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, group: str, key: str, item: T) -> None:
        """Let an item wait."""
        self._groups.setdefault(group, {}).setdefault(key, deque()).append(item)
        self._count += 1

    def groups(self) -> Collection[str]:
        """Return the groups of which something waits, that whose turn it is first."""
        return self._groups.keys()

    def pop(self, group: str | None = None) -> T:
        """Take out the item whose turn it is, of all or of one group."""
        if group is None:
            group = next(iter(self._groups))
        keys = self._groups.pop(group)
        key = next(iter(keys))
        line = keys.pop(key)
        item = line.popleft()
        if line:
            keys[key] = line  # behind the others of its group
        if keys:
            self._groups[group] = keys  # behind all other groups
        self._count -= 1
        return item
