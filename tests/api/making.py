"""Drives what makes Jobs (schedules, sensors) against the fake cluster, on a clock of the test's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Protocol

import aiohttp

from podgraph.cluster.client import Client
from podgraph.planning.manifests.keys import Keys
from podgraph.reconcile.evaluators.pool import EvaluatorPool

from .driving import BUNDLE, IMAGE, Clock, end, watch
from .fake import FakeCluster

Obj = dict[str, Any]
T0 = datetime.fromisoformat("2026-11-24T00:00:00+00:00").timestamp()
OPS = [{"name": "a", "image": "i"}]


class Makers(Protocol):
    """Schedules or Sensors."""

    queue: Any
    jobs: Any

    async def run(self) -> None: ...

    def changed(self, kind: str | None, found: Obj) -> None: ...


class MakerDriver:
    """A fake cluster and what makes Jobs in it, which can be killed and started anew."""

    def __init__(self, fake: FakeCluster, clock: Clock, kind: str, make: Callable[..., Any]) -> None:
        self.fake, self.clock, self.kind, self.make = fake, clock, kind, make
        self.plural = f"{kind.lower()}s"
        self.makers: Any = None
        self.evaluators: Any = None
        self.settling = 0.0
        self.keys = Keys(b"the key that all operators of the cluster share")
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Start it; it knows nothing yet."""
        self._session = aiohttp.ClientSession(base_url=self.fake.url)
        client = Client(self._session)
        self.evaluators = EvaluatorPool(client, client, BUNDLE, IMAGE, self.clock, self.settling, self.keys)
        self.makers = self.make(client, self.evaluators, self.clock)
        on_job = getattr(self.makers, "job_changed", self.makers.jobs.job_changed)
        self._tasks = [
            asyncio.create_task(self.makers.run()),
            asyncio.create_task(self.evaluators.run()),
            asyncio.create_task(watch(self._session, "jobs", on_job)),
            asyncio.create_task(watch(self._session, self.plural, self.makers.changed)),
            asyncio.create_task(watch(self._session, "jobdefinitions", self.evaluators.definition_changed)),
        ]

    async def stop(self) -> None:
        """End it in the middle of whatever it does."""
        await end(self._tasks, self._session)

    def apply(self, name: str = "s", template: Obj | None = None, **spec: Any) -> Obj:
        """Create one."""
        if template is not None or "python" not in spec.get("source", spec):
            spec["jobTemplate"] = template or {"spec": {"ops": OPS}}
        return self.fake.create(
            {"apiVersion": "podgraph.dev/v1alpha1", "kind": self.kind, "metadata": {"name": name}, "spec": spec}
        )

    def change(self, name: str = "s", **spec: Any) -> None:
        """Change fields of its spec."""
        self.fake.patch(self.plural, "default", name, {"spec": spec})

    def status(self, name: str = "s") -> Obj:
        """Its status, empty when it has none."""
        return (self.fake.find(self.plural, "default", name) or {}).get("status") or {}

    async def until(self, test: Callable[[], Any], what: str = "") -> Any:
        """Wait until a test holds."""
        return await self.fake.until(test, what=f"{what}: {self.status()}")

    async def ready(self, reason: str, name: str = "s") -> Obj:
        """Wait until its condition Ready has a reason at the newest generation, and return the condition."""

        def holds() -> Obj | None:
            generation = self.fake.get(self.plural, "default", name)["metadata"]["generation"]
            found = [c for c in self.status(name).get("conditions") or () if c["type"] == "Ready"]
            return next((c for c in found if (c["reason"], c["observedGeneration"]) == (reason, generation)), None)

        return await self.until(holds, f"Ready with {reason}")

    def names(self) -> list[str]:
        """The names of the Jobs there are."""
        return sorted(job["metadata"]["name"] for job in self.fake.objects("jobs"))

    async def made(self, count: int) -> list[str]:
        """Wait until there are this many Jobs, and return their names."""
        await self.until(lambda: len(self.names()) >= count, f"{count} Jobs")
        return self.names()

    def created(self) -> list[str]:
        """The names of the Jobs that were created, in order, answers lost or not."""
        sent = [r for r in self.fake.calls("POST", "/jobs$") if r.query.get("dryRun") is None]
        return [r.body["metadata"]["name"] for r in sent if r.status == 201 or r.dropped]

    def finish(self, name: str, succeeded: bool = True, at: float | None = None) -> None:
        """End a Job, as the controller does."""
        when = datetime.fromtimestamp(self.clock() if at is None else at).astimezone().isoformat()
        conditions = [
            {"type": kind, "status": status, "reason": "X", "message": "", "lastTransitionTime": when}
            for kind, status in (("Succeeded", str(succeeded)), ("Finished", "True"))
        ]
        status = {"conditions": conditions, "completionTime": when}
        self.fake.patch("jobs", "default", name, {"status": status}, status=True)

    async def seen(self, name: str, finished: bool) -> None:
        """Wait until the newest state of a Job is known."""
        job = self.fake.get("jobs", "default", name)
        maker = job["metadata"]["ownerReferences"][0]["uid"]
        await self.until(
            lambda: finished == (name not in [job.name for job in self.makers.jobs.active(maker)]), f"{name} seen"
        )

    def move(self, seconds: float) -> None:
        """Move the clock, and have all of them looked at, as they would be within a minute."""
        self.clock.now += seconds
        for found in self.fake.objects(self.plural):
            self.makers.queue.add(found["metadata"]["uid"])
        for pod in list(self.evaluators._known.values()):
            self.evaluators.requeue(pod)


@contextlib.asynccontextmanager
async def making(kind: str, make: Callable[..., Any]) -> AsyncIterator[MakerDriver]:
    """Run a fake cluster with what makes Jobs; both go by one clock."""
    clock = Clock(T0)
    async with FakeCluster(clock=clock) as fake:
        driver = MakerDriver(fake, clock, kind, make)
        await driver.start()
        try:
            yield driver
        finally:
            await driver.stop()
