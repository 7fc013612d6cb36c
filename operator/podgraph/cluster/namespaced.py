"""Watch our resources in single namespaces, with the same events as kopf's watch of the whole cluster.

kopf exits when it cannot list a watched namespace. This watch retries instead: the namespace may not exist yet, may
have been deleted and recreated, or its Role may be created later. Objects that vanished while a watch was broken are
reported as deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from podgraph.api import Object
from podgraph.cluster.listwatch import ListWatch
from podgraph.cluster.paths import ours

__all__ = ["Tell", "watch_namespace"]

Tell = Callable[[str | None, Object], None]
"""Handles an event: its type (ADDED, MODIFIED, DELETED, None for an object that already existed) and the object."""


async def watch_namespace(session: aiohttp.ClientSession, namespace: str, kinds: Sequence[tuple[str, Tell]]) -> None:
    """List and watch these kinds, by plural, until cancelled. Each is listed only after those before it."""
    async with asyncio.TaskGroup() as group:
        for plural, tell in kinds:
            watch = _Watch(session, namespace, plural, tell)
            group.create_task(watch.run())
            await watch.listed.wait()


class _Watch(ListWatch[dict[str, Any]]):
    """The watch of one kind in one namespace. Keeps only the metadata of objects, to detect deleted ones."""

    def __init__(self, session: aiohttp.ClientSession, namespace: str, plural: str, tell: Tell) -> None:
        super().__init__(session, ours(namespace, plural), dict[str, Any], f"{plural} in namespace {namespace}")
        self.listed = asyncio.Event()
        self._tell = tell
        self._known: dict[str, Object] = {}
        self._in_list: set[str] = set()

    def list_begins(self) -> None:
        """Begin to note what the list has."""
        self._in_list = set()

    def list_page(self, items: Sequence[Object]) -> None:
        """Pass on what was there before."""
        for item in items:
            self._in_list.add(item["metadata"]["uid"])
            self.changed(None, item)

    def list_ends(self, version: str) -> None:
        """Pass on what vanished while nothing was watched."""
        for uid in self._known.keys() - self._in_list:
            self._tell("DELETED", self._known.pop(uid))
        self.listed.set()

    def changed(self, event: str | None, item: Object) -> None:
        """Pass on one object."""
        meta = item["metadata"]
        if event == "DELETED":
            self._known.pop(meta["uid"], None)
        else:
            kept = {key: value for key, value in meta.items() if key not in ("managedFields", "annotations", "labels")}
            self._known[meta["uid"]] = {**{key: item[key] for key in ("apiVersion", "kind")}, "metadata": kept}
        self._tell(event, item)
