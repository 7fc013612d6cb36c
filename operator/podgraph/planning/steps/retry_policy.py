"""Whether a failed attempt is followed by another, and when.

Two budgets, which do not touch each other: what the op itself did wrong counts against its retry policy; what the
cluster did to it (an eviction, a lost node, a pod that never started) against `spec.execution.infrastructureRetries`.
All of it follows from the Job and its pods, chance too, so that an operator that comes back decides as it did before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from podgraph.definition.graph import Op
from podgraph.planning.pods.fault import Fault
from podgraph.planning.steps.infrastructure_retries import seconds_after_loss
from podgraph.protocol.errors import ErrorInfo, seconds_to_retry

__all__ = ["jitter_of", "seconds_until_retry"]


def seconds_until_retry(
    op: Op, fault: Fault, error: ErrorInfo, attempt: int, lost: int, most_lost: int, chance: Callable[[], float]
) -> float | None:
    """Return after how many seconds the failed `attempt`-th attempt is followed by another; None for never.

    `lost` of the attempts, this one not counted, ended by the cluster's fault, of which `most_lost` are made good:
    after 5, 10, 20, ... seconds and up to a quarter more, so that not all steps of a lost node come back at once.
    """
    if fault is Fault.PERMANENT:
        return None
    if fault is Fault.APPLICATION:
        return seconds_to_retry(op, error, attempt - lost, chance)
    if lost >= most_lost:
        return None
    return seconds_after_loss(lost, chance)


def jitter_of(*parts: object) -> Callable[[], float]:
    """Return a source of one number in [0, 1) that is always the same for the same parts.

    >>> jitter_of("uid", "op", 1)() == jitter_of("uid", "op", 1)() != jitter_of("uid", "op", 2)()
    True
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return lambda: int.from_bytes(digest[:6], "big") / 2**48
