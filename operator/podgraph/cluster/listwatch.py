"""Shared code of all lists and watches: requests, parsing and restarts."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from podgraph.cluster.paths import ApiPath, Query

__all__ = ["Event", "Expired", "ListMeta", "lines", "pause_after", "told", "watching"]

_WATCH_SECONDS = 290
_SILENCE_SECONDS = 90  # the server sends a bookmark about each minute
_LONGEST_PAUSE = 30.0


class ListMeta(msgspec.Struct, rename="camel"):
    """The `metadata` of a list: the version to watch from, and the token of the next page."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Event(msgspec.Struct):
    """One line of a watch, with its object not yet decoded."""

    type: str
    object: msgspec.Raw


class Expired(Exception):
    """A list or watch cannot continue from its resource version; list again."""


@contextlib.asynccontextmanager
async def watching(
    session: aiohttp.ClientSession, path: ApiPath, query: Query, version: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Start a watch from a version on. Raises Expired; the caller checks other statuses."""
    params = {
        **query,
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(_WATCH_SECONDS),
    }
    timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=_SILENCE_SECONDS)
    async with session.get(path.url, params=params, timeout=timeout) as answer:
        if answer.status == 410:
            raise Expired
        yield answer


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[Any]:
    """Yield whole lines of any length (aiohttp's own readline stops at 128 KiB)."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line


def pause_after(failures: int) -> float:
    """Return the seconds to wait before the next attempt, after `failures` consecutive failures."""
    return random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE, 0.2 * float(2 ** min(failures, 8)))


def told(error: Exception) -> str:
    """Describe an error without its message: aiohttp's messages contain the request headers, and so our token."""
    status = getattr(error, "status", None)
    return f"{type(error).__name__} {status}" if status else type(error).__name__
