"""Watch our resources in single namespaces, with the same events as kopf's watch of the whole cluster.

kopf exits when it cannot list a watched namespace. This watch retries instead: the namespace may not exist yet, may
have been deleted and recreated, or its Role may be created later. Objects that vanished while a watch was broken are
reported as deleted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from podgraph.cluster.listwatch import Expired, lines, pause_after, told, watching
from podgraph.cluster.paths import ours

__all__ = ["Tell", "watch_namespace"]

_LOG = logging.getLogger(__name__)
_CHUNK = 200
_REFUSED_SECONDS = 5.0

Object = Mapping[str, Any]
Tell = Callable[[str | None, Object], None]
"""Handles an event: its type (ADDED, MODIFIED, DELETED, None for an object that already existed) and the object."""


async def watch_namespace(session: aiohttp.ClientSession, namespace: str, kinds: Sequence[tuple[str, Tell]]) -> None:
    """List and watch these kinds, by plural, until cancelled. Each is listed only after those before it."""
    async with asyncio.TaskGroup() as group:
        for plural, tell in kinds:
            watch = _Watch(session, namespace, plural, tell)
            group.create_task(watch.run())
            await watch.listed.wait()


class _Watch:
    """The watch of one kind in one namespace. Keeps only the metadata of objects, to detect deleted ones."""

    def __init__(self, session: aiohttp.ClientSession, namespace: str, plural: str, tell: Tell) -> None:
        self.listed = asyncio.Event()
        self._session, self._tell = session, tell
        self._what = f"{plural} in namespace {namespace}"
        self._path = ours(namespace, plural)
        self._known: dict[str, Object] = {}
        self._version, self._failures = "", 0

    async def run(self) -> None:
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except Expired:
                self._version = ""
            except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, OSError) as error:
                self._version = ""
                self._failures += 1
                pause = pause_after(self._failures)
                if getattr(error, "status", 0) in (403, 404):
                    pause = min(pause, _REFUSED_SECONDS)
                _LOG.warning("the watch of %s broke (%s); listing again in %.1f s", self._what, told(error), pause)
                await asyncio.sleep(pause)

    async def _list(self) -> None:
        before, self._known = self._known, {}
        try:
            token = version = ""
            while True:
                query = {"limit": str(_CHUNK), **({"continue": token} if token else {})}
                async with self._session.get(self._path.url, params=query) as answer:
                    if answer.status == 410:
                        raise Expired
                    answer.raise_for_status()
                    page = msgspec.json.decode(await answer.read())
                for item in page["items"]:
                    self._take(None, item)
                version, token = page["metadata"]["resourceVersion"], page["metadata"].get("continue") or ""
                if not token:
                    break
        except BaseException:
            self._known = {**before, **self._known}
            raise
        for uid, gone in before.items():
            if uid not in self._known:
                self._tell("DELETED", gone)
        self._version = version
        self.listed.set()

    async def _watch(self) -> None:
        async with watching(self._session, self._path, {}, self._version) as answer:
            answer.raise_for_status()
            async for line in lines(answer.content):
                event = msgspec.json.decode(line)
                kind, found = event["type"], event["object"]
                if kind == "ERROR":
                    raise Expired
                self._failures = 0
                self._version = found["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._take(kind, found)

    def _take(self, kind: str | None, found: Object) -> None:
        meta = found["metadata"]
        if kind == "DELETED":
            self._known.pop(meta["uid"], None)
        else:
            kept = {key: value for key, value in meta.items() if key not in ("managedFields", "annotations", "labels")}
            self._known[meta["uid"]] = {**{key: found[key] for key in ("apiVersion", "kind")}, "metadata": kept}
        self._tell(kind, found)
