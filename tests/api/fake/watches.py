"""Watch streams: selection, bookmarks, resuming from the history, and everything that can go wrong with them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from aiohttp import web

from .errors import ApiError
from .resources import Resource
from .selectors import Match
from .store import Change, Entry, Obj, Store, dumps

View = Callable[[Entry], bytes]


class Watch:
    """One open stream. Events wait here, encoded, until the stream has written them."""

    def __init__(
        self,
        resource: Resource,
        namespace: str,
        match: Match | None,
        view: View,
        *,
        version: int,
        bookmarks: bool,
        cut_after: int | None = None,
    ) -> None:
        self.resource, self.namespace, self.match, self.view = resource, namespace, match, view
        self.version = version  # changes up to this one are known to the watcher
        self.bookmarks = bookmarks
        self.cut_after = cut_after  # cut in the middle of the event after so many; None: never
        self.repeat = 0  # so many of the next events are sent twice
        self.ended = False  # end cleanly once the queue is empty
        self.queue: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.request: web.BaseRequest | None = None

    def offer(self, change: Change) -> None:
        """Queue a change, as this watcher sees it through its selector."""
        if change.rv <= self.version or self.ended:
            return
        self.version = change.rv
        if self.namespace and change.new.key[0] != self.namespace:
            return
        before = change.old is not None and self._selects(change.old)
        after = change.type != "DELETED" and self._selects(change.new)
        if after:
            self.send("MODIFIED" if before else "ADDED", self.view(change.new))
        elif before:
            entry = change.new
            if change.type != "DELETED" and change.old is not None:  # it left the selector: its last known state
                meta = {**change.old.obj["metadata"], "resourceVersion": str(change.rv)}
                entry = Entry({**change.old.obj, "metadata": meta}, change.rv)
            self.send("DELETED", self.view(entry))

    def _selects(self, entry: Entry) -> bool:
        return self.match is None or self.match(entry.obj)

    def send(self, kind: str, obj: bytes) -> None:
        """Queue one event line."""
        line = b'{"type":"%s","object":%s}\n' % (kind.encode(), obj)
        self.queue.append(line)
        if self.repeat and kind != "BOOKMARK":
            self.repeat -= 1
            self.queue.append(line)
        self.wake.set()

    def bookmark(self, version: int, initial: bool = False) -> None:
        meta: Obj = {"resourceVersion": str(version)}
        if initial:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj: Obj = {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": meta}
        if self.resource.plural == "pods":
            obj.update(spec={"containers": None}, status={})
        self.send("BOOKMARK", self.view(Entry(obj, version)))

    def fail(self, error: ApiError) -> None:
        """Queue an ERROR event, after which the stream ends."""
        self.send("ERROR", dumps(error.status))
        self.end()

    def end(self) -> None:
        self.ended = True
        self.wake.set()

    def cut(self) -> None:
        """Break the connection now."""
        self.ended = True
        self.queue.clear()
        if self.request is not None and self.request.transport is not None:
            self.request.transport.abort()
        self.wake.set()


class Watches:
    """All open streams, and what is being held back from them."""

    def __init__(self, store: Store, bookmark_interval: float = 60.0) -> None:
        self.store = store
        self.bookmark_interval = bookmark_interval
        self.open: dict[Resource, set[Watch]] = {resource: set() for resource in store.tables}
        self._held: dict[Resource, list[Change]] = {}
        self._held_from: dict[Resource, int] = {}
        store.listeners.append(self._changed)

    def _changed(self, change: Change) -> None:
        if change.resource in self._held:
            self._held[change.resource].append(change)
            return
        for watch in self.open[change.resource]:
            watch.offer(change)

    def of(self, resource: Resource | None) -> Iterable[Watch]:
        """The open streams of a resource, or of all."""
        if resource is not None:
            return list(self.open[resource])
        return [watch for watches in self.open.values() for watch in watches]

    def hold(self, resource: Resource) -> None:
        """Deliver nothing of the resource, to open and new streams alike, until `release`."""
        if resource not in self._held:
            self._held[resource] = []
            self._held_from[resource] = self.store.revision

    def release(self, resource: Resource) -> None:
        """Deliver what was held back, in order."""
        self._held_from.pop(resource, None)
        for change in self._held.pop(resource, []):
            for watch in self.open[resource]:
                watch.offer(change)

    def start(self, watch: Watch, *, initial: bool, initial_end: bool) -> None:
        """Queue what a new stream begins with: all objects, or the changes after its version (or a 410)."""
        if initial:
            for entry in self.store.entries(watch.resource):
                if watch.namespace in ("", entry.key[0]) and (watch.match is None or watch.match(entry.obj)):
                    watch.send("ADDED", watch.view(entry))
            watch.version = self.store.revision
            if initial_end:
                watch.bookmark(watch.version, initial=True)
        else:
            limit = self._held_from.get(watch.resource)
            for change in self.store.since(watch.resource, watch.version):
                if limit is None or change.rv <= limit:
                    watch.offer(change)
        self.open[watch.resource].add(watch)

    async def stream(self, watch: Watch, request: web.BaseRequest, timeout: float | None) -> web.StreamResponse:
        """Write the stream until it ends, is cut, times out or the client goes."""
        loop = asyncio.get_running_loop()
        watch.request = request
        deadline = None if timeout is None else loop.time() + timeout
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            while True:
                if watch.queue:
                    await self._write(watch, response)
                    continue
                if watch.ended:
                    break
                watch.wake.clear()
                left = None if deadline is None else max(0.0, deadline - loop.time())
                # Said before the wait: by the clock a timer may go off a little before its time is there.
                is_last = left is not None and left <= self.bookmark_interval
                pause = left if left is not None and is_last else self.bookmark_interval
                with suppress(TimeoutError):
                    await asyncio.wait_for(watch.wake.wait(), pause)
                    continue
                self.send_bookmark(watch)
                watch.ended |= is_last
            await response.write_eof()
        except ConnectionError:
            pass
        finally:
            self.open[watch.resource].discard(watch)
        return response

    def send_bookmark(self, watch: Watch) -> None:
        """A bookmark, where they were asked for and nothing is held back."""
        if watch.bookmarks and watch.resource not in self._held:
            watch.version = max(watch.version, self.store.revision)
            watch.bookmark(watch.version)

    @staticmethod
    async def _write(watch: Watch, response: web.StreamResponse) -> None:
        if watch.cut_after is None:
            data = b"".join(watch.queue)
            watch.queue.clear()
            await response.write(data)
            return
        line = watch.queue.popleft()
        if watch.cut_after <= 0:
            await response.write(line[: len(line) // 2])
            watch.cut()
        else:
            watch.cut_after -= 1
            await response.write(line)
