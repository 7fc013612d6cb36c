"""Errors of the API server."""

from __future__ import annotations

__all__ = ["ApiError"]


class ApiError(Exception):
    """An error response of the API server. `permanent` means that a retry cannot succeed."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message

    @property
    def permanent(self) -> bool:
        """Whether a retry of the same request would fail in the same way."""
        return self.status in (400, 403, 404, 405, 409, 410, 413, 415, 422)
