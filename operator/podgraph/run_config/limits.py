"""How many steps may run at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podgraph.run_config.execution import TagLimit

__all__ = ["Limits"]


class Limits:
    """Counts running steps against a number of all of them and against limits for tags.

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
        """Whether no step at all can start now."""
        return len(self._running) >= self._most

    def slots(self, tags: Mapping[str, str]) -> tuple[tuple[int, str], ...]:
        """Return what a step with these tags counts as under the tag limits: steps of equal slots count alike."""
        return tuple(s for at, limit in enumerate(self._tag_limits) if (s := _slot(at, limit, tags)) is not None)

    def has_room(self, slots: tuple[tuple[int, str], ...]) -> bool:
        """Whether the tag limits let one more step with these slots run."""
        return all(self._used.get(slot, 0) < self._tag_limits[slot[0]].limit for slot in slots)

    def take(self, name: str, tags: Mapping[str, str]) -> bool:
        """Count the step `name` as running if the limits let it; return whether they do."""
        if self.is_full or not self.has_room(self.slots(tags)):
            return False
        self.hold(name, tags)
        return True

    def hold(self, name: str, tags: Mapping[str, str]) -> None:
        """Count the step `name` as running, once, whatever the limits say."""
        self.hold_slots(name, self.slots(tags))

    def hold_slots(self, name: str, slots: tuple[tuple[int, str], ...]) -> None:
        """Do the same for what counts under these slots."""
        if name not in self._running:
            self._running[name] = slots
            for slot in self._running[name]:
                self._used[slot] = self._used.get(slot, 0) + 1

    def give(self, name: str) -> None:
        """Say that a step runs no more; one that was not counted does not matter."""
        for slot in self._running.pop(name, ()):
            self._used[slot] -= 1


def _slot(at: int, limit: TagLimit, tags: Mapping[str, str]) -> tuple[int, str] | None:
    """Return what a step with these tags is counted as under a limit, None when the limit is not about it."""
    value = tags.get(limit.key)
    if value is None or (limit.value is not None and limit.value != value):
        return None
    return at, value if limit.per_value else ""
