"""What is kept of an error that ended a step: as text, for it may have been raised in another process."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Any

from podgraph.definition.retry import Failure, RetryRequested
from podgraph.definition.typecheck import shown
from podgraph.definition.values import NotJsonError, to_json
from podgraph.protocol.errors import ErrorInfo
from podgraph.protocol.step import StepError
from podgraph.runtime.load import own_frames, where

__all__ = ["error_info", "portable", "error_text", "retry_request"]


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
        text = f"{error_text(cause)}{where(cause)}" if cause else f"{error}{where(error)}"
        return ErrorInfo("OpFailed", text, kind, stack, requested=(error.max_retries, error.seconds_to_wait))
    return ErrorInfo("OpFailed", f"{error_text(error)}{where(error)}", kind, stack)


def error_text(error: BaseException) -> str:
    """Return an exception's type and what it says; one whose own `__str__` fails says nothing.

    >>> error_text(ValueError("no row"))
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


def retry_request(error: ErrorInfo) -> dict[str, Any]:
    """Return as plain data what an op said about trying again; empty when it left that to its policy."""
    if not error.allow_retries:
        return {"allow": False}
    if error.requested is None:
        return {}
    most, seconds = error.requested
    return {"max": min(most, 1_000_000), "seconds": min(max(0.0, seconds), 1e8)}  # so that JSON holds them


def _portable(value: Any) -> Any:
    try:
        to_json(value)
    except NotJsonError:
        return shown(value)
    return value
