"""Why a step failed, and what the op asked for about retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from podgraph.definition.graph import Op

__all__ = ["ErrorInfo", "seconds_to_retry"]


@dataclass(frozen=True)
class ErrorInfo:
    """Why a step failed: one CamelCase word, one sentence, and the traceback through the user's own code.

    `metadata` is what a `Failure` said beside its message; `allow_retries` and `requested` (most retries, seconds to
    wait) are what the op said about trying again.
    """

    reason: str
    message: str
    cls_name: str = ""
    stack: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    allow_retries: bool = True
    requested: tuple[int, float] | None = None


def seconds_to_retry(op: Op, error: ErrorInfo, attempt: int, chance: Callable[[], float] | None = None) -> float | None:
    """Return after how many seconds the `attempt`-th attempt (from 1) of an op is followed by another; None for never.

    What the op raised counts before its policy: `RetryRequested` brings numbers of its own, and
    `Failure(allow_retries=False)` ends it.
    """
    if not error.allow_retries:
        return None
    if error.requested is not None:
        most, seconds = error.requested
        return seconds if attempt <= most else None
    if op.retry is None or attempt > op.retry.max_retries:
        return None
    return op.retry.seconds_before(attempt, chance)
