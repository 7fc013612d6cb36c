"""The error of a failed step, and the retries that the op requested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from podgraph.definition.graph import Op

__all__ = ["ErrorInfo", "seconds_to_retry"]


@dataclass(frozen=True)
class ErrorInfo:
    """The error of a failed step: one CamelCase word, one sentence, and the traceback through the user's code.

    `metadata` is that of a `Failure`. `allow_retries` and `requested` (maximum retries, seconds to wait) are the
    retry settings of the exception that the op raised.
    """

    reason: str
    message: str
    cls_name: str = ""
    stack: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    allow_retries: bool = True
    requested: tuple[int, float] | None = None


def seconds_to_retry(op: Op, error: ErrorInfo, attempt: int, chance: Callable[[], float] | None = None) -> float | None:
    """Return the seconds until the next attempt after the `attempt`-th (from 1) has failed; None for no retry.

    The exception of the op overrides its retry policy: `RetryRequested` has its own numbers, and
    `Failure(allow_retries=False)` prevents a retry.
    """
    if not error.allow_retries:
        return None
    if error.requested is not None:
        most, seconds = error.requested
        return seconds if attempt <= most else None
    if op.retry is None or attempt > op.retry.max_retries:
        return None
    return op.retry.seconds_before(attempt, chance)
