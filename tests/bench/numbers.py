"""What many measured times come to."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["percentile", "summary"]


def percentile(values: Sequence[float], part: float) -> float:
    """Return the nearest-rank percentile: the smallest value that `part` percent of all do not exceed.

    >>> percentile([3.0, 1.0, 2.0, 4.0], 50), percentile([1.0, 2.0], 99)
    (2.0, 2.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part / 100 * len(ordered)) - 1)]


def summary(values: Sequence[float]) -> dict[str, float | int]:
    """Return count, median, p99 and the largest."""
    return {
        "count": len(values),
        "p50": round(percentile(values, 50), 6),
        "p99": round(percentile(values, 99), 6),
        "max": round(max(values), 6),
    }
