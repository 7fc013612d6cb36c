"""Describes the error of a failed step as text, as it may come from another process."""

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
    """Return the description of an exception that an op raised."""
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
    """Return the type and message of an exception; only the type if its `__str__` fails.

    >>> error_text(ValueError("no row"))
    'ValueError: no row'
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the user's own code
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def portable(error: ErrorInfo) -> ErrorInfo:
    """Return the error with metadata that any process can read: the repr replaces a value that is not JSON."""
    return replace(error, metadata={str(key): _portable(value) for key, value in error.metadata.items()})


def retry_request(error: ErrorInfo) -> dict[str, Any]:
    """Return the retry setting of the exception as plain data; empty if the retry policy of the op applies."""
    if not error.allow_retries:
        return {"allow": False}
    if error.requested is None:
        return {}
    most, seconds = error.requested
    return {"max": min(most, 1_000_000), "seconds": min(max(0.0, seconds), 1e8)}  # bounded for JSON


def _portable(value: Any) -> Any:
    try:
        to_json(value)
    except NotJsonError:
        return shown(value)
    return value
