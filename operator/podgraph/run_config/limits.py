"""Limits on the number of concurrent steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podgraph.run_config.execution import TagLimit

__all__ = ["Limits"]


class Limits:
    """Counts running steps against a total limit and against limits for tags.

    >>> limits = Limits(2, [TagLimit("db", 1)])
    >>> [limits.take(name, {"db": "x"}) for name in ("one", "two")], limits.take("three", {})
    ([True, False], True)
    """

    def __init__(self, max_concurrent: int, tag_limits: Sequence[TagLimit] = ()) -> None:
        self._most = max_concurrent
        self._tag_limits = tag_limits
        self._running: dict[str, tuple[tuple[int, str], ...]] = {}
        self._used: dict[tuple[int, str], int] = {}

    @property
    def is_full(self) -> bool:
        """Whether the total limit is reached."""
        return len(self._running) >= self._most

    def slots(self, tags: Mapping[str, str]) -> tuple[tuple[int, str], ...]:
        """Return the slots that a step with these tags uses under the tag limits; equal slots count together."""
        return tuple(s for at, limit in enumerate(self._tag_limits) if (s := _slot(at, limit, tags)) is not None)

    def has_room(self, slots: tuple[tuple[int, str], ...]) -> bool:
        """Return whether the tag limits allow one more step with these slots."""
        return all(self._used.get(slot, 0) < self._tag_limits[slot[0]].limit for slot in slots)

    def take(self, name: str, tags: Mapping[str, str]) -> bool:
        """Count the step `name` as running if the limits allow it. Returns whether they do."""
        if self.is_full or not self.has_room(self.slots(tags)):
            return False
        self.hold(name, tags)
        return True

    def hold(self, name: str, tags: Mapping[str, str]) -> None:
        """Count the step `name` as running, once, regardless of the limits."""
        self.hold_slots(name, self.slots(tags))

    def hold_slots(self, name: str, slots: tuple[tuple[int, str], ...]) -> None:
        """Count the step `name` as running under these slots, once, regardless of the limits."""
        if name not in self._running:
            self._running[name] = slots
            for slot in self._running[name]:
                self._used[slot] = self._used.get(slot, 0) + 1

    def give(self, name: str) -> None:
        """Stop counting a step. A step that was not counted is ignored."""
        for slot in self._running.pop(name, ()):
            self._used[slot] -= 1


def _slot(at: int, limit: TagLimit, tags: Mapping[str, str]) -> tuple[int, str] | None:
    """Return the slot of a step with these tags under a limit, None if the limit does not apply to it."""
    value = tags.get(limit.key)
    if value is None or (limit.value is not None and limit.value != value):
        return None
    return at, value if limit.per_value else ""
