"""An in-memory view of one kind of our resources, updated by a list and a watch. The web page lists from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import msgspec

from podgraph.cluster.listwatch import Event, Expired, ListMeta, lines, pause_after, told, watching
from podgraph.cluster.paths import OURS, everywhere, ours

__all__ = ["Key", "ResourceReflector"]

_LOG = logging.getLogger(__name__)
_CHUNK = 200  # Jobs can be large
_ABSENT_SECONDS = 10.0  # until the next check whether the cluster has the kind

Key = tuple[str, str]
"""Namespace and name."""


class _Named(Protocol):
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


class _HasMeta(Protocol):
    @property
    def metadata(self) -> _Named: ...


T = TypeVar("T", bound=_HasMeta)


class _Page(msgspec.Struct):
    metadata: ListMeta
    items: list[msgspec.Raw] = []


class _VersionMeta(msgspec.Struct, rename="camel", frozen=True):
    resource_version: str = ""


class _Version(msgspec.Struct):
    metadata: _VersionMeta = _VersionMeta()


class ResourceReflector(Generic[T]):
    """Keeps `items` equal to the cluster's objects of one kind, in all namespaces or in one.

    Each is decoded into `kind`, a struct with `metadata`; other fields are skipped.
    Calls `on_change(key)` for each object that was created, changed or deleted. A cluster without the kind has none.
    """

    def __init__(
        self, session: aiohttp.ClientSession, plural: str, namespace: str, kind: type[T],
        on_change: Callable[[Key], None],
    ) -> None:  # fmt: skip
        self.items: dict[Key, T] = {}
        self.synced = asyncio.Event()
        self.served = True
        self.error = ""
        self._session = session
        self.plural = plural
        self._path = ours(namespace, plural) if namespace else everywhere(OURS, plural)
        self._decoder = msgspec.json.Decoder(kind)
        self._on_change = on_change
        self._version = ""
        self._failures = 0

    async def run(self) -> None:
        """List and watch until cancelled, across all errors of the server and the network."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except Expired:
                self._version = ""
            except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, OSError) as error:
                self._version = ""
                await asyncio.sleep(self._pause(error))

    def _pause(self, error: Exception) -> float:
        """Record and log an error, and return the seconds until the next attempt."""
        if isinstance(error, aiohttp.ClientResponseError) and error.status == 404:
            self.served, self.error = False, ""
            self._replace({})
            self.synced.set()
            return _ABSENT_SECONDS
        self._failures += 1
        forbidden = isinstance(error, aiohttp.ClientResponseError) and error.status in (401, 403)
        self.error = (
            f"the cluster does not let this page list {self.plural}" if forbidden else "the cluster does not answer"
        )
        pause = pause_after(self._failures)
        _LOG.warning("the watch of %s broke (%s); listing again in %.1f s", self.plural, told(error), pause)
        return pause

    async def _list(self) -> None:
        found: dict[Key, T] = {}
        version, token = "", ""
        while True:
            query = {"limit": str(_CHUNK), **({"continue": token} if token else {})}
            async with self._session.get(self._path.url, params=query) as answer:
                if answer.status == 410:
                    raise Expired
                answer.raise_for_status()
                page = msgspec.json.decode(await answer.read(), type=_Page)
            for raw in page.items:
                item = self._decoder.decode(raw)
                found[_key(item)] = item
            version, token = page.metadata.resource_version, page.metadata.continue_
            if not token:
                break
        self.served, self.error = True, ""
        self._replace(found)
        self._version = version
        self.synced.set()

    def _replace(self, found: dict[Key, T]) -> None:
        old, self.items = self.items, found
        for key in old.keys() | found.keys():
            before, after = old.get(key), found.get(key)
            if before is None or after is None or _version(before) != _version(after):
                self._on_change(key)

    async def _watch(self) -> None:
        async with watching(self._session, self._path, {}, self._version) as answer:
            answer.raise_for_status()
            async for line in lines(answer.content):
                self._take(msgspec.json.decode(line, type=Event))

    def _take(self, event: Event) -> None:
        if event.type == "ERROR":
            raise Expired
        self._failures, self.error = 0, ""
        if event.type == "BOOKMARK":
            bookmark = msgspec.json.decode(event.object, type=_Version)
            self._version = bookmark.metadata.resource_version or self._version
            return
        item = self._decoder.decode(event.object)
        self._version = _version(item) or self._version
        if event.type == "DELETED":
            self.items.pop(_key(item), None)
        else:
            self.items[_key(item)] = item
        self._on_change(_key(item))


def _key(item: Any) -> Key:
    return item.metadata.namespace, item.metadata.name


def _version(item: Any) -> str:
    return str(item.metadata.resource_version)
