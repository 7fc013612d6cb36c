"""When the pods of one Job are tried again after the API server had no room for one, and how many at once."""

from __future__ import annotations

from collections.abc import Callable

from podgraph.backoff import ExponentialBackoff

__all__ = ["ROOM_BACKOFF", "Room"]

ROOM_BACKOFF = ExponentialBackoff(1.0, 15.0, jitter=(0.75, 1.0))
_PLENTY = 64


class Room:
    """The room that a Job found for its pods.

    After a refusal one pod is tried, then twice as many after each that was created, until there is plenty. So a Job
    with a thousand steps that wait sends one request at a time to find out whether there is room.
    """

    def __init__(self) -> None:
        self.reason = self.message = ""
        self.due = 0.0
        self._failures = 0
        self._most: int | None = None

    @property
    def trouble(self) -> str:
        """Why pods wait, "" when none does."""
        return f"{self.reason}: {self.message}" if self.reason else ""

    def most(self, now: float) -> int | None:
        """Return how many pods may be created now, None for any number."""
        return 0 if now < self.due else self._most

    def next(self, now: float) -> float | None:
        """Return when pods are tried again, None when none waits for that."""
        return self.due if self.reason and now < self.due else None

    def refused(self, reason: str, message: str, now: float, chance: Callable[[], float]) -> None:
        """Take in that there is no room."""
        self.reason, self.message = reason, message
        if now < self.due:  # the pod was requested together with the one that was refused before
            return
        self.due = now + ROOM_BACKOFF.seconds(self._failures, chance())
        self._failures += 1
        self._most = 1

    def created(self) -> None:
        """Take in that a pod was created."""
        self._failures = 0
        if self._most is not None:
            self._most *= 2
            if self._most > _PLENTY:
                self.clear()

    def clear(self) -> None:
        """Take in that no pod waits any more."""
        self.reason = self.message = ""
        self.due, self._failures, self._most = 0.0, 0, None

    def made(self, now: float) -> None:
        """Take in that another pod made room: try again at once."""
        self.due, self._failures = min(self.due, now), 0
