"""Tables as the commands print them, and the age of an object."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from podgraph.planning.model.status import duration, seconds_of

__all__ = ["age", "print_table"]


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of which is the head, in columns as wide as their longest text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def age(time: str) -> str:
    """Return how long ago a Kubernetes time is, as in `5m`."""
    return duration(datetime.now(UTC).timestamp() - seconds_of(time))
