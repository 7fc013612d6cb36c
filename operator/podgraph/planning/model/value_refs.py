"""Values that are no JSON text in a Job's status: pickles, and what lies in the storage.

The operator only hands them on, unread.
A step's record tells size, digest and format; the key follows from the step, so no record can name another's object.
Each has a keyed digest (mac), by which a step knows that a step of its own Job has written it (see runtime.pod.values).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.values import to_json
from podgraph.planning.model.kube_names import SUBDOMAIN, UID
from podgraph.protocol.signing import data_mac, equal, value_mac
from podgraph.protocol.step import StepError

__all__ = ["Reference", "check_stored", "fan_in", "origin_of", "read_stored", "signed_anew", "split", "to_status"]

_FORMATS = ("json", "pickle")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BELOW = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]*")  # a step, a pod that steps share, an attempt, an output
_MAC = re.compile(r"[0-9a-f]{32}")


class Reference(str):
    """The JSON text of a reference (or of a list with one in it), where else the JSON text of a value stands."""

    __slots__ = ()


def read_stored(op: str, stored: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Return the references of a step's record as texts. Raises StepError for what no step runtime writes."""
    texts: dict[str, str] = {}
    for name, item in stored.items():
        if not isinstance(item, dict) or not (_is_inline(item) or _is_object(item)):
            raise StepError("WrongOutputs", f"output {name!r} of op {op!r} came as a reference that cannot be read")
        texts[name] = Reference(to_json(item if "data" in item else {"key": f"{prefix}/{name}", **item}))
    return texts


def origin_of(key: object, namespace: str) -> tuple[str, str]:
    """Return the name and uid of the Job that stored a value, by the key that a status has of it.

    Others may have written the status, so the key counts only below the folder of its own `namespace`. Raises
    DefinitionError (`InvalidName`).
    """
    parts = key.split("/") if isinstance(key, str) and len(key) <= 1_024 else []
    known = len(parts) > 4 and parts[0] == namespace and SUBDOMAIN.matches(parts[1]) and UID.matches(parts[2])
    if known and all(_BELOW.fullmatch(part) for part in parts[3:]):
        return parts[1], parts[2]
    raise DefinitionError(
        "InvalidName",
        f"a stored value in the status has the key {str(key)[:100]!r}; a key is the namespace {namespace!r}, a Job's "
        "name and uid, and the step below them, with '/' between",
    )


def check_stored(steps: Mapping[str, Any], namespace: str) -> None:
    """Refuse steps of a status whose stored values are not those of Jobs of this namespace.

    Raises DefinitionError (`InvalidName`).
    """
    for step in steps.values():
        for item in (step.get("stored") or {}).values():
            if "key" in item:
                origin_of(item["key"], namespace)


def fan_in(texts: Iterable[str]) -> str:
    """Return the text of a list of values, of which some may be references."""
    items = list(texts)
    if not any(isinstance(text, Reference) for text in items):
        return f"[{','.join(items)}]"
    parts = (text if isinstance(text, Reference) else f'{{"value":{text}}}' for text in items)
    return Reference(f"[{','.join(parts)}]")


def split(texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values of the JSON texts, and the references, as an assignment holds them."""
    values = {name: json.loads(text) for name, text in texts.items() if not isinstance(text, Reference)}
    return values, {name: json.loads(text) for name, text in texts.items() if isinstance(text, Reference)}


def signed_anew(text: str, old: bytes, new: bytes) -> Reference | None:
    """Return a reference that one Job has signed as another signs it, by their keys; None if it is not authentic."""
    item = json.loads(text)
    written = {key: value for key, value in item.items() if key != "key"} if isinstance(item, dict) else {}
    if not (_is_inline(written) or _is_object(written)):
        return None

    def right(key: bytes) -> str:
        if "data" in item:
            return data_mac(key, item["format"], base64.b64decode(item["data"]))
        return value_mac(key, item["format"], item["sha256"], item["size"])

    try:
        return Reference(to_json({**item, "mac": right(new)})) if equal(item["mac"], right(old)) else None
    except ValueError:  # no base64
        return None


def to_status(texts: Mapping[str, str]) -> tuple[dict[str, str] | None, dict[str, Any] | None]:
    """Return `outputs` and `stored` of a step's status; None where there is none."""
    _, stored = split({name: text for name, text in texts.items() if isinstance(text, Reference)})
    outputs = {name: text for name, text in texts.items() if not isinstance(text, Reference)}
    return outputs or None, stored or None


def _is_inline(item: Mapping[str, Any]) -> bool:
    data = item.get("data")
    return (
        item.keys() == {"format", "data", "mac"}
        and _has_mac(item)
        and item["format"] in _FORMATS
        and isinstance(data, str)
        and _BASE64.fullmatch(data) is not None
    )


def _is_object(item: Mapping[str, Any]) -> bool:
    size, digest = item.get("size"), item.get("sha256")
    return (
        item.keys() == {"format", "size", "sha256", "mac"}
        and _has_mac(item)
        and item["format"] in _FORMATS
        and type(size) is int
        and size >= 0
        and isinstance(digest, str)
        and _SHA256.fullmatch(digest) is not None
    )


def _has_mac(item: Mapping[str, Any]) -> bool:
    found = item["mac"]
    return isinstance(found, str) and _MAC.fullmatch(found) is not None
