"""The loop that all views of the cluster share: list, watch from the list's version on, and after a break list again.

A subclass says what is kept of the objects: see :class:`ListWatch`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import aiohttp
import msgspec

from podgraph.backoff import ExponentialBackoff
from podgraph.cluster.decoding import decode
from podgraph.cluster.errors import ApiError, error_of
from podgraph.cluster.paths import ApiPath, Query

__all__ = ["ListWatch", "told"]

_LOG = logging.getLogger(__name__)
_WATCH_SECONDS = 290
_SILENCE_SECONDS = 90  # the server sends a bookmark about each minute
_BACKOFF = ExponentialBackoff(0.4, 30.0, jitter=(0.5, 1.0))

S = TypeVar("S")
T = TypeVar("T")


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct, Generic[T]):
    metadata: _ListMeta
    items: list[T] | None = None


class _Event(msgspec.Struct):
    """One line of a watch, with its object not yet decoded."""

    type: str
    object: msgspec.Raw


class _VersionMeta(msgspec.Struct, rename="camel", frozen=True):
    resource_version: str = ""


class _Versioned(msgspec.Struct):
    metadata: _VersionMeta = _VersionMeta()


class _Expired(Exception):
    """A list or watch cannot continue from its resource version; list again."""


class ListWatch(Generic[T]):
    """Lists and watches the objects at a path. A subclass takes them in, by overriding what is called below.

    Each object is decoded into `kind`: a struct's missing fields are skipped unread, a dict has all. `page_size` is how
    many a page of the list has. While the server refuses (403, 404), it is asked again after `refused_seconds` at most:
    a namespace, a kind and the rights to it may come later.
    """

    page_size = 200
    refused_seconds = 5.0

    def __init__(
        self, session: aiohttp.ClientSession, path: ApiPath, kind: type[T], what: str, query: Query | None = None
    ) -> None:
        self._session, self._path, self._query, self._what = session, path, query or {}, what
        self._page = cast(type[_Page[T]], cast(Any, _Page)[kind])
        self._kind = kind
        self._version, self._failures = "", 0

    # --- what a subclass overrides

    def list_begins(self) -> None:
        """Called before the first page of each list."""

    def list_page(self, items: Sequence[T]) -> None:
        """Called with each page of a list."""
        raise NotImplementedError

    def list_ends(self, version: str) -> None:
        """Called after the last page: what was in no page was not there at this version."""

    def changed(self, event: str, item: T) -> None:
        """Called for an ADDED, MODIFIED or DELETED object."""
        raise NotImplementedError

    def heard(self) -> None:
        """Called for each line of the watch, before :meth:`changed`; bookmarks too."""

    def broke(self, error: Exception, pause: float) -> None:
        """Called when a list or a watch failed, and begins again after a pause."""
        _LOG.warning("the watch of %s broke (%s); listing again in %.1f s", self._what, told(error), pause)

    # --- the loop

    async def run(self) -> None:
        """List and watch until cancelled, across all errors of the server and the network."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except _Expired:
                self._version = ""
                if self._failures:  # it expired without an event since the last break: do not list in a tight loop
                    await asyncio.sleep(self._pause())
                self._failures += 1
            except (ApiError, aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, OSError) as error:
                self._version = ""
                pause = self._pause()
                if isinstance(error, ApiError) and error.status in (403, 404):
                    pause = min(pause, self.refused_seconds)
                self._failures += 1
                self.broke(error, pause)
                await asyncio.sleep(pause)

    def _pause(self) -> float:
        return _BACKOFF.seconds(self._failures, random.random())

    async def _list(self) -> None:
        self.list_begins()
        token = ""
        while True:
            query = {**self._query, "limit": str(self.page_size), **({"continue": token} if token else {})}
            async with self._session.get(self._path.url, params=query) as answer:
                await _check(answer)
                page = _read(await answer.read(), self._page)
            self.list_page(page.items or ())
            version, token = page.metadata.resource_version, page.metadata.continue_
            if not token:
                break
        self.list_ends(version)
        self._version = version

    async def _watch(self) -> None:
        params = {
            **self._query,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=_SILENCE_SECONDS)
        async with self._session.get(self._path.url, params=params, timeout=timeout) as answer:
            await _check(answer)
            async for line in _lines(answer.content):
                self._take(_read(line, _Event))

    def _take(self, event: _Event) -> None:
        self.heard()
        if event.type == "ERROR":
            _LOG.info("the watch of %s ended: %s", self._what, bytes(event.object)[:300].decode(errors="replace"))
            raise _Expired
        self._failures = 0  # the watch works; if it breaks again, that is a new failure
        if event.type == "BOOKMARK":
            mark = _read(event.object, _Versioned)
            self._version = mark.metadata.resource_version or self._version
            return
        item = _read(event.object, self._kind)
        self._version = _version_of(item) or self._version
        self.changed(event.type, item)


async def _check(answer: aiohttp.ClientResponse) -> None:
    """Raise _Expired or ApiError for an answer that is not what was asked for."""
    if answer.status == 410:
        raise _Expired
    if answer.status >= 300:
        raise error_of(answer.status, await answer.read())


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield whole lines of any length (aiohttp's own readline stops at 128 KiB)."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line


def _read(data: bytes | msgspec.Raw, kind: type[S]) -> S:
    """Decode what the API server sent. Raises MsgspecError."""
    return decode(data, kind)


def _version_of(item: Any) -> str:
    if isinstance(item, Mapping):
        return str(item["metadata"].get("resourceVersion") or "")
    return str(item.metadata.resource_version)


def told(error: Exception) -> str:
    """Describe an error without its message: aiohttp's messages contain the request headers, and so our token."""
    status = getattr(error, "status", None)
    return f"{type(error).__name__} {status}" if status else type(error).__name__
