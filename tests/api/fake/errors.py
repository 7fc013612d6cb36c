"""Errors as the API server words them: `Status` objects with code, reason, message and details."""

from __future__ import annotations

from typing import Any

from .resources import Resource

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
STALE_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter, or use the continue token in this response to retrieve the "
    "remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
    "that were created, modified, or deleted between the time the first chunk was returned and now may show "
    "up in the list."
)
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """An error answer of the server; raised by the in-memory accessors too."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        details: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = REASONS.get(code, "") if reason is None else reason
        self.details = details
        self.metadata = metadata or {}
        self.retry_after = retry_after

    @property
    def status(self) -> dict[str, Any]:
        """The body of the answer."""
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata}
        body.update(status="Failure", message=self.message)
        if self.reason:
            body["reason"] = self.reason
        details = dict(self.details) if self.details is not None else None
        if self.retry_after is not None:
            details = {**(details or {}), "retryAfterSeconds": self.retry_after}
        if details is not None:
            body["details"] = details
        body["code"] = self.code
        return body


def details_of(resource: Resource, name: str, *, kind: bool = False, uid: str = "") -> dict[str, Any]:
    """The `details` of a Status about one object."""
    details = {"name": name, "group": resource.group, "kind": resource.kind if kind else resource.plural}
    if uid:
        details["uid"] = uid
    return {key: value for key, value in details.items() if value}


def not_found(resource: Resource, name: str) -> ApiError:
    return ApiError(404, f'{resource.qualified} "{name}" not found', details=details_of(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, message, reason="AlreadyExists", details=details_of(resource, name))


def conflict(resource: Resource, name: str, why: str = MODIFIED, *, kind: bool = False) -> ApiError:
    what = resource.qualified_kind if kind else resource.qualified
    message = f'Operation cannot be fulfilled on {what} "{name}": {why}'
    return ApiError(409, message, details=details_of(resource, name, kind=kind))


def invalid(resource: Resource, name: str, *causes: tuple[str, str]) -> ApiError:
    """A 422; each cause is (field, message), its type told by how the message begins."""
    types = {
        "Required": "FieldValueRequired",
        "Forbidden": "FieldValueForbidden",
        "Too long": "FieldValueTooLong",
        "Unsupported": "FieldValueNotSupported",
    }
    listed = []
    for field, message in causes:
        kind = next((v for k, v in types.items() if message.startswith(k)), "FieldValueInvalid")
        listed.append({"reason": kind, "message": message, "field": field})
    lines = [f"{field}: {message}" for field, message in causes]
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    details = {**details_of(resource, name, kind=True), "causes": listed}
    return ApiError(422, f'{resource.qualified_kind} "{name}" is invalid: {text}', details=details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, message)


def too_old(version: int, floor: int) -> ApiError:
    return ApiError(410, f"too old resource version: {version} ({floor})")


def too_large(version: int, current: int) -> ApiError:
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    return ApiError(504, message, details={"causes": causes}, retry_after=1)
