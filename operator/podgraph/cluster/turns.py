"""Fair queues: round-robin by group (namespace), then by key (Job), then first in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

__all__ = ["Turns"]

T = TypeVar("T")


class Turns(Generic[T]):
    """Waiting items. Between two items of one group, every other group gets a turn."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, deque[T]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, group: str, key: str, item: T) -> None:
        """Add an item."""
        self._groups.setdefault(group, {}).setdefault(key, deque()).append(item)
        self._count += 1

    def groups(self) -> Collection[str]:
        """Return the groups with waiting items, the next one first."""
        return self._groups.keys()

    def pop(self, group: str | None = None) -> T:
        """Remove and return the next item, of all groups or of one."""
        if group is None:
            group = next(iter(self._groups))
        keys = self._groups.pop(group)
        key = next(iter(keys))
        line = keys.pop(key)
        item = line.popleft()
        if line:
            keys[key] = line  # after the others of its group
        if keys:
            self._groups[group] = keys  # after all other groups
        self._count -= 1
        return item
