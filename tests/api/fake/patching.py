"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902). Neither changes the object it is given."""

from __future__ import annotations

import copy
from typing import Any

from .errors import ApiError, bad_request

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"


def apply(content_type: str, obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Apply a patch of the content type; an unknown type is a 415, one that does not fit a 422."""
    if content_type == MERGE:
        if not isinstance(patch, dict):
            raise bad_request("error decoding patch: json: cannot unmarshal into Go value of type map")
        return dict(merge(obj, patch))
    if content_type == JSON:
        if not isinstance(patch, list):
            raise bad_request("error decoding patch: json: cannot unmarshal into []handlers.jsonPatchOp")
        return json_patch(obj, patch)
    accepted = f"{JSON}, {MERGE}"
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    raise ApiError(415, message)


def merge(target: Any, patch: Any) -> Any:
    """Merge: null removes, objects merge, anything else replaces. What is untouched is shared."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def json_patch(obj: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply all operations or none; a failed `test` or a missing path is the server's bare 422."""
    root: dict[str, Any] = {"": copy.deepcopy(obj)}
    try:
        for operation in operations:
            _apply_one(root, operation)
        result = root[""]
        if not isinstance(result, dict):
            raise TypeError("the patched object is no object")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        message = "the server rejected our request due to an error in our request"
        raise ApiError(422, message, details={}) from error
    return result


def _apply_one(root: dict[str, Any], operation: dict[str, Any]) -> None:
    op, path = operation["op"], operation["path"]
    if op == "test":
        if _get(root, path) != operation["value"]:
            raise ValueError(f"testing value {path} failed")
    elif op == "add":
        _add(root, path, copy.deepcopy(operation["value"]))
    elif op == "replace":
        _get(root, path)
        _remove(root, path)
        _add(root, path, copy.deepcopy(operation["value"]))
    elif op == "remove":
        _remove(root, path)
    elif op == "move":
        value = _get(root, operation["from"])
        _remove(root, operation["from"])
        _add(root, path, value)
    elif op == "copy":
        _add(root, path, copy.deepcopy(_get(root, operation["from"])))
    else:
        raise ValueError(f"unknown operation {op}")


def _walk(root: dict[str, Any], path: str) -> tuple[Any, str]:
    """The container a pointer's last part lies in, and that part."""
    if path and not path.startswith("/"):
        raise ValueError(f"not a JSON pointer: {path}")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    at: Any = root
    for part in parts[:-1]:
        at = at[int(part)] if isinstance(at, list) else at[part]
    return at, parts[-1]


def _get(root: dict[str, Any], path: str) -> Any:
    at, part = _walk(root, path)
    return at[int(part)] if isinstance(at, list) else at[part]


def _add(root: dict[str, Any], path: str, value: Any) -> None:
    at, part = _walk(root, path)
    if not isinstance(at, list):
        at[part] = value
        return
    index = len(at) if part == "-" else int(part)
    if not 0 <= index <= len(at):
        raise IndexError(part)
    at.insert(index, value)


def _remove(root: dict[str, Any], path: str) -> None:
    at, part = _walk(root, path)
    del at[int(part) if isinstance(at, list) else part]
