"""Reads the API server's JSON, also of objects that have more levels than Python's parsers take.

The API server keeps objects of 10,000 levels, which is about what the parsers written in C can do and can not be
changed. One such object must not end a watch, which all others come by. So what is too deep is left out; a spec that
is read has far fewer levels, and more than those are refused as they stand.
"""

from __future__ import annotations

import json
import re
import types
from typing import Any, TypeVar, overload

import msgspec

__all__ = ["MOST_LEVELS", "cut", "decode", "loads", "use_in_kopf"]

MOST_LEVELS = 500
_decode, _loads = msgspec.json.decode, json.loads
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)

T = TypeVar("T")


@overload
def decode(data: bytes | msgspec.Raw) -> Any: ...
@overload
def decode(data: bytes | msgspec.Raw, of: type[T]) -> T: ...


def decode(data: bytes | msgspec.Raw, of: Any = Any) -> Any:
    """Return what a JSON text holds, as an `of`; of more levels than can be read only the outer ones.

    Raises msgspec.DecodeError.
    """
    try:
        return _decode(data, type=of)
    except RecursionError:
        return _decode(cut(bytes(data)), type=of)


def loads(text: str | bytes) -> Any:
    """Return the same as `json.loads` would. Raises ValueError."""
    try:
        return _loads(text)
    except RecursionError:
        return _loads(cut(text.encode() if isinstance(text, str) else text))


def use_in_kopf() -> None:
    """Have kopf read what its watches are told in this way; it would end with an error otherwise, and we with it."""
    from kopf._cogs.clients import api  # who only uses a client needs no kopf

    async def get(url: str, **more: Any) -> Any:
        response = await api.request(method="get", url=url, **more)
        async with response:
            return loads(await response.read())

    replaced: Any = api
    replaced.get, replaced.json = get, types.SimpleNamespace(**{**vars(json), "loads": loads})


def cut(data: bytes, most: int = MOST_LEVELS) -> bytes:
    """Return a JSON text with null in place of what is below so many levels.

    >>> cut(b'{"a": [1, {"b": ["]"]}], "c": 2}', 2)
    b'{"a": [1, null], "c": 2}'
    """
    kept: list[bytes] = []
    begin = depth = 0
    for token in _TOKEN.finditer(data):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                if depth == most + 1:
                    kept += [data[begin : token.start()], b"null"]
            case b"]" | b"}":
                if depth == most + 1:
                    begin = token.end()
                depth -= 1
    return b"".join([*kept, data[begin:]])
