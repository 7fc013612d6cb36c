"""When which step is to be looked at again though nothing was heard of it."""

from __future__ import annotations

import heapq

__all__ = ["Timers"]


class Timers:
    """At most one time for each name; a heap, so that thousands of waiting steps cost nothing at each pass.

    >>> timers = Timers()
    >>> timers.set("a", 5), timers.set("b", 3), timers.set("a", 4), timers.clear("b")
    (None, None, None, None)
    >>> timers.next(), timers.pop_due(4), timers.next()
    (4, ['a'], None)
    """

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, name: str, time: float) -> None:
        """Look at `name` at `time`, and at no other time set before."""
        if self._times.get(name) != time:
            self._times[name] = time
            heapq.heappush(self._heap, (time, name))

    def clear(self, name: str) -> None:
        """Do not look at `name`."""
        self._times.pop(name, None)

    def next(self) -> float | None:
        """The earliest time, None when there is none."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[str]:
        """Take the names whose time has come, the earliest first."""
        due: list[str] = []
        while (time := self.next()) is not None and time <= now:
            name = heapq.heappop(self._heap)[1]
            del self._times[name]
            due.append(name)
        return due
