"""Errors of the API server."""

from __future__ import annotations

import msgspec

__all__ = ["ApiError", "error_of"]


class ApiError(Exception):
    """An error response of the API server. `permanent` means that a retry cannot succeed."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message

    @property
    def permanent(self) -> bool:
        """Whether a retry of the same request would fail in the same way."""
        return self.status in (400, 403, 404, 405, 409, 410, 413, 415, 422)


class _Status(msgspec.Struct):
    reason: str = ""
    message: str = ""


def error_of(status: int, content: bytes) -> ApiError:
    """Return the error that an answer of this status and content is."""
    try:
        said = msgspec.json.decode(content, type=_Status)
    except msgspec.DecodeError:
        said = _Status("", content[:200].decode(errors="replace"))
    return ApiError(status, said.reason or f"HTTP{status}", said.message)
