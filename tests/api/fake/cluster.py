"""The fake cluster: one object that a test starts, speaks to over HTTP, and looks into directly."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from aiohttp import web

from . import patching
from .collector import Collector
from .errors import ApiError
from .faults import Fault, Faults
from .logs import Logs
from .pods import PodActions
from .registry import Registry
from .resources import RESOURCES, Resource
from .server import ApiServer, Request
from .store import Change, Obj, Store
from .watches import Watches

T = TypeVar("T")
Ref = str | Resource  # "jobs", "Job", "jobs.podgraph.dev" or a row of the table


class FakeCluster(PodActions):
    """A Kubernetes API server on a free local port, with `async with FakeCluster() as fake`.

    Objects handed out are the stored ones: do not change them (they never change under you either).

    `history`: how many changes of a resource can be watched from. `bookmark_interval`: seconds between the
    bookmarks of a quiet stream. `collect_delay`: seconds before the garbage collector acts (see also
    `fake.collector.paused`). `termination_delay`: seconds until a deleted running pod is gone; None leaves that
    to the test (`delete_pod`). `watch_gone`: a watch from a too old version is refused with HTTP 410, instead of
    answered with an ERROR event as current servers do. `clock`: seconds since the epoch, for all times written.
    """

    def __init__(
        self,
        resources: Iterable[Resource] = RESOURCES,
        *,
        history: int = 20_000,
        bookmark_interval: float = 60.0,
        collect_delay: float = 0.0,
        termination_delay: float | None = 0.0,
        watch_gone: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = Store(resources, history)
        self.registry = Registry(self.store, clock)
        self.logs = Logs(clock)
        self.faults = Faults()
        self.watches = Watches(self.store, bookmark_interval)
        self.server = ApiServer(self.registry, self.watches, self.faults, self.logs)
        self.server.watch_gone = watch_gone
        self.people = self.server.people
        self.pods = self.resource("pods")
        self.termination_delay = termination_delay
        self.url = ""
        self.collector = Collector(self.registry, collect_delay)
        self._runner: web.ServerRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiters: list[asyncio.Future[None]] = []
        self.store.listeners.append(self._changed)
        for namespace in ("default", "kube-system"):
            self._ensure_namespace(namespace)

    async def __aenter__(self) -> Self:
        handler = web.Server(self.server.handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(handler, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._spawn(self.collector.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.faults.clear()
        self.cut_watches()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for this server (JSON, which is YAML too)."""
        context = {"cluster": "fake", "user": "fake", "namespace": "default"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [{"name": "fake", "context": context}],
            "current-context": "fake",
        }
        path.write_text(json.dumps(document, indent=2))
        return path

    # ---- objects, without HTTP ----

    def resource(self, ref: Ref) -> Resource:
        """The row of the table a plural, kind or qualified name stands for."""
        if isinstance(ref, Resource):
            return ref
        for row in self.store.tables:
            if ref in (row.plural, row.kind, row.qualified, row.qualified_kind):
                return row
        raise KeyError(f"the fake cluster has no resource {ref!r}")

    def create(self, obj: Obj, namespace: str = "default") -> Obj:
        """Create an object; its namespace too, if need be."""
        rows = (r for r in self.store.tables if (r.api_version, r.kind) == (obj["apiVersion"], obj["kind"]))
        resource = next(rows)
        where = obj.get("metadata", {}).get("namespace", namespace) if resource.namespaced else ""
        if where:
            self._ensure_namespace(where)
        return self.registry.create(resource, where, copy.deepcopy(obj)).obj

    def _ensure_namespace(self, name: str) -> None:
        with suppress(KeyError):
            namespaces = self.resource("namespaces")
            if self.store.get(namespaces, ("", name)) is None:
                self.registry.create(namespaces, "", {"metadata": {"name": name}})

    def get(self, ref: Ref, namespace: str, name: str) -> Obj:
        """One object; KeyError when there is none."""
        found = self.find(ref, namespace, name)
        if found is None:
            raise KeyError(f"{ref} {namespace}/{name}")
        return found

    def find(self, ref: Ref, namespace: str, name: str) -> Obj | None:
        """One object, or None."""
        entry = self.store.get(self.resource(ref), (namespace, name))
        return entry.obj if entry else None

    def objects(self, ref: Ref, namespace: str | None = None, **labels: str) -> list[Obj]:
        """All objects, of the namespace, with the labels; in the order of their names."""
        found = [entry.obj for entry in self.store.entries(self.resource(ref))]
        if namespace is not None:
            found = [obj for obj in found if obj["metadata"].get("namespace") == namespace]
        if labels:
            found = [o for o in found if labels.items() <= (o["metadata"].get("labels") or {}).items()]
        return found

    def patch(self, ref: Ref, namespace: str, name: str, patch: Any, *, status: bool = False) -> Obj:
        """Merge-patch an object (JSON-patch, for a list), or its status."""
        kind = patching.JSON if isinstance(patch, list) else patching.MERGE
        return self.registry.patch(self.resource(ref), (namespace, name), copy.deepcopy(patch), kind, status).obj

    def delete(self, ref: Ref, namespace: str, name: str, **options: Any) -> None:
        """Delete an object, as a DELETE with these options would (`propagationPolicy="Foreground"`)."""
        self.registry.delete(self.resource(ref), (namespace, name), options)

    # ---- requests ----

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in the order they came; clear it as you like."""
        return self.server.requests

    def calls(self, method: str = ".*", path: str = "") -> list[Request]:
        """The requests whose method and path match."""
        return [r for r in self.requests if re.fullmatch(method, r.method) and re.search(path, r.path)]

    @property
    def writes(self) -> list[Request]:
        return self.calls("POST|PUT|PATCH|DELETE")

    # ---- faults ----

    def fault(self, method: str = ".*", path: str = "", **what: Any) -> Fault:
        """Spoil the next requests that match; see `Fault` for what can be done to them."""
        return self.faults.add(Fault(method, path, **what))

    def _row(self, ref: Ref | None) -> Resource | None:
        return None if ref is None else self.resource(ref)

    def watch_count(self, ref: Ref | None = None) -> int:
        """How many streams are open."""
        return len(list(self.watches.of(self._row(ref))))

    def cut_watches(self, ref: Ref | None = None, *, mid_event: bool = False) -> None:
        """Break the open streams: now, or in the middle of the next event of each."""
        for watch in self.watches.of(self._row(ref)):
            if mid_event:
                watch.cut_after = 0
            else:
                watch.cut()

    def end_watches(self, ref: Ref | None = None) -> None:
        """End the open streams cleanly, as the server does after a while."""
        for watch in self.watches.of(self._row(ref)):
            watch.end()

    def fail_watches(self, ref: Ref | None = None, code: int = 410, message: str = "too old resource version") -> None:
        """Send an ERROR event to the open streams, and end them."""
        for watch in self.watches.of(self._row(ref)):
            watch.fail(ApiError(code, message))

    def repeat_events(self, ref: Ref | None = None, times: int = 1) -> None:
        """Send the next events of the open streams twice."""
        for watch in self.watches.of(self._row(ref)):
            watch.repeat += times

    @contextmanager
    def held_events(self, ref: Ref) -> Iterator[None]:
        """Within the block no stream is told of changes to the resource; afterwards all of them, in order."""
        self.watches.hold(self.resource(ref))
        try:
            yield
        finally:
            self.watches.release(self.resource(ref))

    def send_bookmarks(self, ref: Ref | None = None) -> None:
        """Send a bookmark now to the streams that asked for them."""
        for watch in self.watches.of(self._row(ref)):
            self.watches.send_bookmark(watch)

    def compact(self, ref: Ref | None = None) -> None:
        """Forget the past: older versions get 410 when watched from, continue tokens have expired."""
        self.store.compact(self._row(ref))

    def lose_events(self, ref: Ref, change: Callable[[], object]) -> None:
        """Break the open streams, make the change, forget it: who comes back gets 410 and must list again."""
        self.cut_watches(ref)
        change()
        self.compact(ref)

    # ---- waiting ----

    async def until(self, predicate: Callable[[], T], timeout: float = 20.0, what: str = "") -> T:
        """Wait until the predicate gives something true, and return that; AssertionError after the timeout.

        It is asked again at every change of an object, and every 10 ms for what happens elsewhere.
        """
        deadline = time.monotonic() + timeout
        while not (value := predicate()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"not within {timeout} s: {what or 'the awaited condition'}")
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            with suppress(TimeoutError):
                await asyncio.wait_for(waiter, min(left, 0.01))
        return value

    def _changed(self, change: Change) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
        if change.resource is self.pods:
            self._pod_changed(change)

    def _pod_changed(self, change: Change) -> None:
        meta = change.new.obj["metadata"]
        self.logs.wake(meta["uid"])
        asked = "deletionTimestamp" in meta and meta["deletionGracePeriodSeconds"] > 0
        fresh = change.old is not None and "deletionTimestamp" not in change.old.obj["metadata"]
        if change.type == "MODIFIED" and asked and fresh and self.termination_delay is not None:
            self._spawn(self._terminate(meta["namespace"], meta["name"], meta["uid"], self.termination_delay))

    async def _terminate(self, namespace: str, name: str, uid: str, delay: float) -> None:
        await asyncio.sleep(delay)
        self.end_terminating_pod(namespace, name, uid)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
