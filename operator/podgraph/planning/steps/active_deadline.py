"""When a Job is out of time (`spec.activeDeadlineSeconds`)."""

from __future__ import annotations

from podgraph.planning.model.status import seconds_of

__all__ = ["deadline_of"]


def deadline_of(started: str | None, seconds: int | None) -> float | None:
    """Return when a Job that began at `started` is out of time, None for never.

    The time in which it is suspended counts, for its running steps go on; a Job that was made suspended has not begun.
    """
    return None if started is None or seconds is None else seconds_of(started) + seconds
