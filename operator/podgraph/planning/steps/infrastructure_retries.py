"""How long to wait after an attempt was lost to the cluster (`spec.execution.infrastructureRetries`)."""

from __future__ import annotations

from collections.abc import Callable

from podgraph.backoff import ExponentialBackoff

__all__ = ["seconds_after_loss"]

_BACKOFF = ExponentialBackoff(5.0, 300.0, jitter=(1.0, 1.25))


def seconds_after_loss(lost: int, chance: Callable[[], float]) -> float:
    """Return how long the cluster is left alone when `lost` attempts had been lost to it before this one."""
    return _BACKOFF.seconds(lost, chance())
