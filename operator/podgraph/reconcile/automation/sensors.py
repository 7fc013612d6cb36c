"""Makes the Jobs of JobSensors when what they look at comes about.

As with schedules a Job is made before the status tells of it, under a name that follows from what was seen: after a
crash in between it is found, not made again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from podgraph.api import Object, find_condition
from podgraph.cluster.automation_client import AutomationClient
from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.http_fetcher import HttpFetcher
from podgraph.definition.errors import DefinitionError
from podgraph.reconcile.automation.base import (
    Automation,
    Automations,
    StatusWriter,
    read_automation,
    record_tick,
    set_ready,
)
from podgraph.reconcile.automation.dry_run import jobs_of_seen, tell_tried
from podgraph.reconcile.automation.owned_jobs import OwnedJobs
from podgraph.reconcile.automation.polled_sensors import PolledSensors, PolledSource
from podgraph.reconcile.automation.watched_sources import FinishedJobs, Source, WatchedObjects, WatchedUrl
from podgraph.reconcile.evaluators.pool import EvaluatorPool
from podgraph.reconcile.workqueue import KeyedQueue, work
from podgraph.scheduling.cursor import Cursor
from podgraph.scheduling.http_policy import HttpPolicy
from podgraph.scheduling.job_factory import SENSOR_LABEL, Request, second
from podgraph.scheduling.schedule import TickRecord
from podgraph.scheduling.sensor import SensorSpec, job_of_request, job_of_seen, read_sensor
from podgraph.scheduling.sources import HttpSource, JobSource, KubernetesSource, Observation, PythonSource, StoreSource

__all__ = ["MOST_WATCHES", "Sensors"]

WORKERS = 16
MOST_WATCHES = 200
"""How many sensors may watch objects; each holds a connection."""
MOST_IN_NAMESPACE = 50
"""How many of them may be of one namespace, so that the others have room."""


class Sensors:
    """All JobSensors of the cluster. `clock` gives seconds since the epoch; `watcher` may hold many connections."""

    def __init__(
        self, client: Client, watcher: Client, policy: HttpPolicy, evaluators: EvaluatorPool,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.queue = KeyedQueue(namespace_of=lambda uid: self._makers.namespace_of(uid), most=WORKERS * 3 // 4)
        self._launching = AutomationClient(client, "jobsensors")
        self._watcher, self._policy, self._clock = watcher, policy, clock
        self._fetcher = HttpFetcher(policy)
        self._finished = FinishedJobs()
        self._writer = StatusWriter(self._launching, self.queue)
        self._asking = PolledSensors(self._launching, evaluators, self._writer, self._make)
        self._makers = Automations("JobSensor", self._begin, self._forget, self.queue.add)
        self.jobs = OwnedJobs(self._launching, "JobSensor", SENSOR_LABEL, self.queue.add, self._makers.owner)
        self._specs: dict[str, SensorSpec] = {}
        self._sources: dict[str, Source] = {}
        self._looked: dict[str, float] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        await self.jobs.find()
        try:
            async with self._fetcher, asyncio.TaskGroup() as group:
                group.create_task(self._writer.run())
                for _ in range(WORKERS):
                    group.create_task(work(self.queue, self._reconcile, "sensor"))
        finally:
            for source in self._sources.values():
                source.stop()

    def job_changed(self, kind: str | None, job: Object) -> None:
        """Take in an event of any Job."""
        self.jobs.job_changed(kind, job)
        self._finished.job_changed(kind, job)

    def changed(self, kind: str | None, sensor: Object) -> None:
        """Take in an event of a JobSensor."""
        self._makers.changed(kind, sensor)

    def _begin(self, uid: str) -> None:
        self._stop(uid)
        self.queue.add(uid)

    def _forget(self, uid: str) -> None:
        self._stop(uid)
        self._looked.pop(uid, None)
        self.jobs.forget(uid)

    def _stop(self, uid: str) -> None:
        self._specs.pop(uid, None)
        source = self._sources.pop(uid, None)
        if source is not None:
            source.stop()

    async def _reconcile(self, uid: str) -> None:
        maker = self._makers.get(uid)
        if maker is None:
            return
        spec = self._specs.get(uid) or await self._read(maker)
        if spec is None or (spec.suspend and not maker.dry_run_requested):
            await self._refuse_try(maker)
            return
        source = self._sources.get(uid) or self._look(maker, spec)
        if source is None:
            await self._refuse_try(maker)
            return
        if maker.dry_run_requested:
            await self._try(maker, spec, source)
        if spec.suspend:
            if not maker.dry_run_requested:
                self._stop(uid)
            return
        if isinstance(source, PolledSource):
            await self._ask(maker, spec, source)
            await self._tidy(maker, spec)
            return
        wait = self._looked.get(uid, float("-inf")) + spec.interval - self._clock()
        if wait > 0 and not isinstance(spec.source, HttpSource):  # which keeps to its interval by itself
            self.queue.add_after(uid, wait)
            return
        if source.error is not None:
            reason, message = source.error
            set_ready(maker, False, reason, message, self._clock())
        else:
            set_ready(maker, True, "Ready", f"it looks at {spec.source.text}", self._clock())
            seen = source.seen()
            if seen is not None:
                self._looked[uid] = self._clock()
                await self._deal(maker, spec, seen)
        await self._tidy(maker, spec)

    async def _refuse_try(self, maker: Automation) -> None:
        """Tell who wants to know what it would make why that is nothing."""
        if maker.dry_run_requested:
            tell_tried(maker, [], find_condition(maker.status, "Ready").get("message", ""))
            await self._writer.write(maker)

    async def _try(self, maker: Automation, spec: SensorSpec, source: Source) -> None:
        """Put into the status what it would make now, if that is known."""
        what, now = spec.source, self._clock()
        try:
            if isinstance(source, PolledSource):
                assert isinstance(what, StoreSource | PythonSource)
                found = await self._asking.attempt(maker, what, source, now, lambda: self.queue.add(maker.uid))
            elif source.error is not None:
                raise DefinitionError(*source.error)
            else:
                seen = source.seen()
                found = None if seen is None else jobs_of_seen(maker, what, seen, now)
            if found is None:
                return  # it is woken when it is known
            tell_tried(maker, *found)
        except DefinitionError as error:
            tell_tried(maker, [], error.message)
        await self._writer.write(maker)

    async def _ask(self, maker: Automation, spec: SensorSpec, source: PolledSource) -> None:
        """Go on with a source that is a pod."""
        what, trouble = spec.source, source.error
        assert isinstance(what, StoreSource | PythonSource)
        try:
            wait = await self._asking.advance(maker, what, source, self._clock())
            trouble = source.error
        except DefinitionError as error:
            wait, trouble = 60.0, (error.reason, error.message)
        if trouble is not None:
            set_ready(maker, False, *trouble, self._clock())
        else:
            set_ready(maker, True, "Ready", f"it looks at {what.text}", self._clock())
        self.queue.add_after(maker.uid, wait)

    async def _tidy(self, maker: Automation, spec: SensorSpec) -> None:
        """Have the status written, and delete Jobs that are more than are to be kept."""
        self._writer.soon(maker)
        if surplus := self.jobs.surplus(maker.uid, spec.kept_succeeded, spec.kept_failed):
            await self._writer.write(maker)  # a Job that is gone must be one that the cursor has
            await self.jobs.delete(maker.uid, surplus)

    async def _read(self, maker: Automation) -> SensorSpec | None:
        """Read a spec that is new or was changed and have it checked; say in the status what is wrong with it."""
        seen, now = maker.object, self._clock()

        def read() -> tuple[SensorSpec, bool, str, dict[str, Any]]:
            spec = read_sensor(seen)
            if isinstance(spec.source, HttpSource):
                self._policy.check_url(spec.source.url)
            if isinstance(spec.source, PythonSource):
                job = job_of_request(seen, Request(), "", now)
            else:
                job = job_of_seen(seen, Observation("", "name", "value"), now)
            return spec, spec.suspend, f"it looks at {spec.source.text}", job

        spec = await read_automation(self._launching, self.queue, maker, read, now)
        if maker.object is not seen:
            return None
        if spec is not None:
            self._specs[maker.uid] = spec
            if maker.status.get("source") != spec.source.text:  # it begins to look, or to look at something else
                first = maker.status.get("source") is None
                since = str(seen["metadata"]["creationTimestamp"]) if first else second(now)
                maker.set(source=spec.source.text, cursor=Cursor(since).to_status())
        await self._writer.write(maker)
        return spec

    def _look(self, maker: Automation, spec: SensorSpec) -> Source | None:
        uid, source = maker.uid, spec.source

        def wake() -> None:
            self.queue.add(uid)

        found: Source
        if isinstance(source, JobSource):
            found = self._finished.source_of(maker.namespace, source, wake)
        elif isinstance(source, KubernetesSource):
            if message := self._no_room(maker.namespace):
                set_ready(maker, False, "TooManyWatches", message, self._clock())
                self._writer.soon(maker)
                self.queue.add_after(uid, 60.0)
                return None
            found = WatchedObjects(self._watcher, maker.namespace, source, wake)
        elif isinstance(source, StoreSource | PythonSource):
            found = self._asking.source_of(maker, source, spec.interval, wake)
        else:
            found = WatchedUrl(self._launching, self._fetcher, maker.namespace, source, spec.interval, wake)
        self._sources[uid] = found
        return found

    def _no_room(self, namespace: str) -> str:
        """Return why no other sensor of a namespace can watch objects now, "" when one can."""
        watching = [uid for uid, other in self._sources.items() if isinstance(other, WatchedObjects)]
        if len(watching) >= MOST_WATCHES:
            return f"{MOST_WATCHES} sensors watch objects already, which is the most"
        if sum(self._makers.namespace_of(uid) == namespace for uid in watching) >= MOST_IN_NAMESPACE:
            return f"{MOST_IN_NAMESPACE} sensors of this namespace watch objects already, which is the most"
        return ""

    async def _deal(self, maker: Automation, spec: SensorSpec, seen: list[Observation]) -> None:
        """Make a Job for each thing that is new."""
        source = spec.source
        cursor = Cursor.from_status(maker.status.get("cursor") or {})
        if not cursor.begun:
            cursor.begin(seen, isinstance(source, HttpSource))
            maker.set(cursor=cursor.to_status())
            await self._writer.write(maker)
        if isinstance(source, HttpSource):
            new = cursor.turn(seen, source.equals)
            made = new is not None and await self._make_for(maker, new)
            cursor.turned(seen, made)
        else:
            for item in cursor.fresh(seen):
                await self._make_for(maker, item)
                cursor.take(item)
                maker.set(cursor=cursor.to_status())
            cursor.prune(seen)
        maker.set(cursor=cursor.to_status())

    async def _make_for(self, maker: Automation, seen: Observation) -> bool:
        """Make the Job for one thing and record it; False when it was refused. Raises ApiError."""
        now = self._clock()
        try:
            job = job_of_seen(maker.object, seen, now)
        except DefinitionError as error:
            record_tick(maker, TickRecord(now, "Failed", "", error.reason, error.message))
            return False
        return await self._make(maker, job, f"{seen.name}: {seen.value}")

    async def _make(self, maker: Automation, job: Object, why: str) -> bool:
        """Make a Job and record it; False when it was refused. Raises ApiError."""
        now, name = self._clock(), str(job["metadata"]["name"])
        try:
            self.jobs.job_changed(None, await self._launching.create_job(dict(job)))
        except ApiError as error:
            if not error.permanent or error.reason == "Conflict":
                raise
            record_tick(maker, TickRecord(now, "Failed", name, error.reason, error.message))
            return False
        record_tick(maker, TickRecord(now, "Created", name, "Seen", why[:256]))
        return True
