"""An in-memory view of one kind of our resources, updated by a list and a watch. The web page lists from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import aiohttp

from podgraph.cluster.errors import ApiError
from podgraph.cluster.listwatch import ListWatch
from podgraph.cluster.paths import OURS, everywhere, ours

__all__ = ["Key", "ResourceReflector"]

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


class ResourceReflector(ListWatch[T]):
    """Keeps `items` equal to the cluster's objects of one kind, of all namespaces or of one.

    Each is decoded into `kind`, a struct with `metadata`; other fields are skipped.
    Calls `on_change(key)` for each object that was created, changed or deleted. A cluster without the kind has none.
    """

    refused_seconds = 10.0  # until it is looked again whether the cluster has the kind by now

    def __init__(
        self, session: aiohttp.ClientSession, plural: str, namespace: str, kind: type[T],
        on_change: Callable[[Key], None],
    ) -> None:  # fmt: skip
        path = ours(namespace, plural) if namespace else everywhere(OURS, plural)
        super().__init__(session, path, kind, plural)
        self.items: dict[Key, T] = {}
        self.synced = asyncio.Event()
        self.served = True
        self.error = ""
        self.plural = plural
        self._on_change = on_change
        self._found: dict[Key, T] = {}

    def broke(self, error: Exception, pause: float) -> None:
        """Keep what is wrong; a cluster without the kind is not a fault, it has no objects."""
        status = error.status if isinstance(error, ApiError) else 0
        if status == 404:
            self.served, self.error = False, ""
            self._replace({})
            return
        refused = status in (401, 403)
        self.error = (
            f"the cluster does not let this page list {self.plural}" if refused else "the cluster does not answer"
        )
        super().broke(error, pause)

    def list_begins(self) -> None:
        """Begin what takes the place of all items."""
        self._found = {}

    def list_page(self, items: Sequence[T]) -> None:
        """Take in a page of the list."""
        self._found.update((_key(item), item) for item in items)

    def list_ends(self, version: str) -> None:
        """Replace all items by what the list has."""
        self.served, self.error = True, ""
        self._replace(self._found)
        self._found = {}

    def _replace(self, found: dict[Key, T]) -> None:
        old, self.items = self.items, found
        for key in old.keys() | found.keys():
            before, after = old.get(key), found.get(key)
            if before is None or after is None or _version(before) != _version(after):
                self._on_change(key)
        self.synced.set()

    def heard(self) -> None:
        """Note that the cluster answers."""
        self.error = ""

    def changed(self, event: str, item: T) -> None:
        """Take in one object."""
        if event == "DELETED":
            self.items.pop(_key(item), None)
        else:
            self.items[_key(item)] = item
        self._on_change(_key(item))


def _key(item: Any) -> Key:
    return item.metadata.namespace, item.metadata.name


def _version(item: Any) -> str:
    return str(item.metadata.resource_version)
