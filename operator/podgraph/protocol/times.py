"""Times in the format of the Kubernetes API."""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["utc"]


def utc(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC with microseconds (a MicroTime in Kubernetes).

    >>> utc(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
