"""What many measured times come to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

__all__ = ["gaps", "percentile", "summary"]


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


def gaps(spans: Iterable[tuple[float, float]]) -> list[float]:
    """Return the seconds between each one's end and the next one's begin, of what ran one after another.

    >>> gaps([(4.5, 6.0), (0.0, 1.0), (1.25, 4.0)])
    [0.25, 0.5]
    """
    return [round(after[0] - before[1], 6) for before, after in itertools.pairwise(sorted(spans))]
