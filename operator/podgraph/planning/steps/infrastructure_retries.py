"""How long to wait after an attempt was lost to the cluster (`spec.execution.infrastructureRetries`)."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["seconds_after_loss"]

_FIRST_SECONDS, _MOST_SECONDS = 5.0, 300.0


def seconds_after_loss(lost: int, chance: Callable[[], float]) -> float:
    """Return how long the cluster is left alone when `lost` attempts had been lost to it before this one."""
    return min(_FIRST_SECONDS * 2.0 ** min(lost, 20), _MOST_SECONDS) * (1 + chance() / 4)
