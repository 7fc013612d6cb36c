"""Watch selected objects of any kind in one namespace, and keep little of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import aiohttp
import msgspec

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.listwatch import Expired, lines, pause_after, told, watching
from podgraph.cluster.paths import in_namespace

__all__ = ["ObjectWatch"]

_LOG = logging.getLogger(__name__)
_CHUNK = 200
_FORBIDDEN_SECONDS = 15.0  # permissions may be granted in the meantime

Kept = TypeVar("Kept")
Object = Mapping[str, Any]


class ObjectWatch(Generic[Kept]):
    """Keeps in `kept`, by UID, the result of `look` for each matching object (None: nothing).

    Calls `on_change()` whenever `kept`, `synced` or `trouble` changes. `trouble` is the (reason, message) of a failed
    watch; `kept` then has the last known state.
    """

    def __init__(
        self, client: Client, api_version: str, resource: str, namespace: str, name: str, labels: Mapping[str, str],
        look: Callable[[Object], Kept | None], on_change: Callable[[], None],
    ) -> None:  # fmt: skip
        self._client, self._path = client, in_namespace(api_version, namespace, resource)
        self._query = {"fieldSelector": f"metadata.name={name}"} if name else {}
        self._query |= {"labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())} if labels else {}
        self._look, self._on_change = look, on_change
        self.kept: dict[str, Kept] = {}
        self.synced = False
        self.error: tuple[str, str] | None = None
        self._version, self._failures = "", 0

    async def run(self) -> None:
        """List and watch until cancelled, across all errors of the server and the network."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except Expired:
                self._version = ""
            except ApiError as error:
                self._version = ""
                self._tell((error.reason, error.message))
                await asyncio.sleep(_FORBIDDEN_SECONDS if error.permanent else self._pause())
            except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, OSError) as error:
                self._version = ""
                _LOG.info("the watch of %s broke: %s", self._path, told(error))
                await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        self._failures += 1
        return pause_after(self._failures)

    def _tell(self, trouble: tuple[str, str] | None) -> None:
        if trouble != self.error:
            self.error = trouble
            self._on_change()

    async def _list(self) -> None:
        found: dict[str, Kept] = {}
        token = version = ""
        while True:
            query = {**self._query, "limit": str(_CHUNK), **({"continue": token} if token else {})}
            page = msgspec.json.decode(await self._client.call("GET", self._path, query=query))
            for item in page["items"]:
                if (kept := self._look(item)) is not None:
                    found[item["metadata"]["uid"]] = kept
            version, token = page["metadata"]["resourceVersion"], page["metadata"].get("continue") or ""
            if not token:
                break
        self._version, self.error = version, None
        self.kept, self.synced = found, True
        self._on_change()

    async def _watch(self) -> None:
        async with watching(self._client.session, self._path, self._query, self._version) as answer:
            if answer.status in (401, 403, 404, 405):
                said = msgspec.json.decode(await answer.read())
                raise ApiError(answer.status, str(said.get("reason")), str(said.get("message")))
            answer.raise_for_status()
            async for line in lines(answer.content):
                self._take(msgspec.json.decode(line))

    def _take(self, event: Object) -> None:
        kind, found = event["type"], event["object"]
        if kind == "ERROR":
            raise Expired
        self._failures = 0
        self._version = found["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            return
        uid = found["metadata"]["uid"]
        kept = None if kind == "DELETED" else self._look(found)
        if kept == self.kept.get(uid):
            return
        if kept is None:
            self.kept.pop(uid, None)
        else:
            self.kept[uid] = kept
        self._on_change()
