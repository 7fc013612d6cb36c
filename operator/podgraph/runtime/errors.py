"""What is kept of an error that ended a step: as text, for it may have been raised in another process."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from podgraph.definition.graph import Op
from podgraph.definition.retry import Failure, RetryRequested
from podgraph.definition.typecheck import shown
from podgraph.definition.values import NotJsonError, to_json
from podgraph.protocol.step import StepError
from podgraph.runtime.load import own_frames, where

__all__ = ["ErrorInfo", "error_info", "portable", "said", "seconds_to_retry", "wishes"]


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


def error_info(error: BaseException) -> ErrorInfo:
    """Describe what an op raised."""
    kind = type(error).__name__
    if isinstance(error, StepError):
        return ErrorInfo(error.reason, error.message, kind)
    stack = "".join(traceback.format_exception(type(error), error, own_frames(error.__traceback__)))
    if isinstance(error, Failure):
        text = error.description or "the op raised Failure"
        return ErrorInfo("OpFailed", f"{text}{where(error)}", kind, stack, error.metadata, error.allow_retries)
    if isinstance(error, RetryRequested):
        cause = error.__cause__
        text = f"{said(cause)}{where(cause)}" if cause else f"{error}{where(error)}"
        return ErrorInfo("OpFailed", text, kind, stack, requested=(error.max_retries, error.seconds_to_wait))
    return ErrorInfo("OpFailed", f"{said(error)}{where(error)}", kind, stack)


def said(error: BaseException) -> str:
    """Return an exception's type and what it says; one whose own `__str__` fails says nothing.

    >>> said(ValueError("no row"))
    'ValueError: no row'
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the user's own code
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def portable(error: ErrorInfo) -> ErrorInfo:
    """Return the same with metadata that any process can read: what is no JSON value becomes its repr."""
    return replace(error, metadata={str(key): _portable(value) for key, value in error.metadata.items()})


def wishes(error: ErrorInfo) -> dict[str, Any]:
    """Return as plain data what an op said about trying again; empty when it left that to its policy."""
    if not error.allow_retries:
        return {"allow": False}
    if error.requested is None:
        return {}
    most, seconds = error.requested
    return {"max": min(most, 1_000_000), "seconds": min(max(0.0, seconds), 1e8)}  # so that JSON holds them


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


def _portable(value: Any) -> Any:
    try:
        to_json(value)
    except NotJsonError:
        return shown(value)
    return value
