"""Makes the Jobs of JobSchedules at their ticks.

A tick's Job is made before the status tells of it: its name follows from the tick, so after a crash in between it is
found, not made again. Statuses are written behind the Jobs, so that in a full minute no Job waits for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.launching import Launching
from podgraph.definition.errors import DefinitionError
from podgraph.planning.status import condition, seconds_of, set_condition
from podgraph.reconcile.launched import Launched, LaunchedJobs
from podgraph.reconcile.makers import Maker, StatusWriter
from podgraph.reconcile.queue import KeyedQueue
from podgraph.reconcile.working import work
from podgraph.scheduling.making import SCHEDULE_LABEL, second
from podgraph.scheduling.schedule import ScheduleSpec, TickRecord, due, job_of_tick, read_schedule

__all__ = ["Schedules"]

WORKERS = 30
_LOOK_SECONDS = 60.0  # at least so often, as the clock may be set
_REFUSED_SECONDS = 300.0
_TICKS_KEPT = 10

Object = Mapping[str, Any]


class Schedules:
    """All JobSchedules of the cluster. `clock` gives seconds since the epoch."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.time) -> None:
        self.queue = KeyedQueue()
        self._launching = Launching(client, "jobschedules")
        self.jobs = LaunchedJobs(self._launching, "JobSchedule", SCHEDULE_LABEL, self.queue.add)
        self._writer = StatusWriter(self._launching, self.queue)
        self._clock = clock
        self._makers: dict[str, Maker] = {}
        self._specs: dict[str, ScheduleSpec] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        await self.jobs.find()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run())
            for _ in range(WORKERS):
                group.create_task(work(self.queue, self._reconcile, "schedule"))

    def changed(self, kind: str | None, schedule: Object) -> None:
        """Take in an event of a JobSchedule."""
        uid = schedule["metadata"]["uid"]
        if kind == "DELETED" or schedule["metadata"].get("deletionTimestamp"):
            self._makers.pop(uid, None)
            self._specs.pop(uid, None)
            self.jobs.forget(uid)
            return
        maker = self._makers.get(uid)
        if maker is None:
            self._makers[uid] = Maker(schedule)
        elif not maker.changed(schedule):
            return  # it is our own writing of its status
        self._specs.pop(uid, None)
        self.queue.add(uid)

    async def _reconcile(self, uid: str) -> None:
        maker = self._makers.get(uid)
        if maker is None:
            return
        spec = self._specs.get(uid)
        if spec is None:
            spec = await self._read(maker)
            if spec is None:
                return
            self._specs[uid] = spec
        if spec.suspend:
            return
        status, now = maker.status, self._clock()
        after = max(seconds_of(status[key]) for key in ("sinceTime", "lastTickTime") if status.get(key))
        plan = due(spec, after, now)
        for record in plan.skipped:
            self._record(maker, record)
        for tick in plan.run:
            ran = await self._tick(maker, spec, tick)
            if ran is None:  # it waits for the end of an earlier one's Job, which wakes it
                break
            self._record(maker, ran)
        upcoming = None if plan.next is None else second(plan.next)
        if status.get("nextTickTime") != upcoming:
            maker.set(nextTickTime=upcoming)
        self._writer.soon(maker)
        await self.jobs.trim(uid, spec.kept_succeeded, spec.kept_failed)
        wait = _LOOK_SECONDS if plan.next is None else min(_LOOK_SECONDS, plan.next - self._clock())
        self.queue.add_after(uid, wait)

    async def _read(self, maker: Maker) -> ScheduleSpec | None:
        """Read a spec that is new or was changed and have it checked; say in the status what is wrong with it."""
        now, seen = self._clock(), maker.object
        conditions = [dict(c) for c in maker.status.get("conditions") or ()]
        before = next((c for c in conditions if c["type"] == "Ready"), {"status": "", "reason": ""})
        spec: ScheduleSpec | None = None
        try:
            spec = read_schedule(seen)
            upcoming = spec.timing.next_after(now) or now
            job = job_of_tick(seen, spec.zone, upcoming)
            if before["status"] != "True" or maker.status.get("observedGeneration") != maker.generation:
                await self._launching.try_job(job)
            ready = condition("Ready", "True", "Ready", f"it makes Jobs: {spec.timing.text}", maker.generation, now)
            if spec.suspend:
                ready = condition("Ready", "False", "Suspended", "spec.suspend is true", maker.generation, now)
        except (DefinitionError, ApiError) as error:
            if isinstance(error, ApiError) and not error.lasting:
                raise
            reason = error.reason if isinstance(error, DefinitionError) else "InvalidTemplate"
            spec = None
            if isinstance(error, ApiError):  # what refuses the template may be changed one day
                self.queue.add_after(maker.uid, _REFUSED_SECONDS)
            ready = condition("Ready", "False", reason, error.message[:4_096], maker.generation, now)
        if maker.object is not seen:
            return None  # it was changed meanwhile and comes again
        if set_condition(conditions, ready):
            maker.set(conditions=conditions)
        if spec is not None:
            self._count_since(maker, spec.timing.text, before["reason"] == "Suspended", now)
        if spec is None or spec.suspend:
            maker.set(nextTickTime=None)
        maker.set(observedGeneration=maker.generation)
        await self._writer.write(maker)
        return spec

    def _count_since(self, maker: Maker, timing: str, resumed: bool, now: float) -> None:
        """Say from when ticks count: all of a new schedule; not those before it was changed or resumed."""
        before = maker.status.get("schedule")
        if before is None:
            maker.set(schedule=timing, sinceTime=str(maker.object["metadata"]["creationTimestamp"]))
        elif timing != before or resumed:
            maker.set(schedule=timing, sinceTime=second(now))

    async def _tick(self, maker: Maker, spec: ScheduleSpec, tick: float) -> TickRecord | None:
        """Make a tick's Job as the concurrency policy says; None when it is to wait. Raises ApiError."""
        active: list[Launched] = []
        if spec.concurrency != "Allow" and self.jobs.active(maker.uid):
            active = await self.jobs.confirmed_active(maker.uid)
        try:
            job = job_of_tick(maker.object, spec.zone, tick)
        except DefinitionError as error:
            return TickRecord(tick, "Failed", reason=error.reason, message=error.message)
        name = job["metadata"]["name"]
        others = [other for other in active if other.name != name]
        if others and spec.concurrency == "Forbid":
            if spec.catch_up == "All":
                return None
            message = f"Job {others[0].name!r} is not finished (concurrencyPolicy: Forbid)"
            return TickRecord(tick, "Skipped", reason="StillRunning", message=message)
        for other in others:
            await self._launching.cancel_job(other.namespace, other.name, other.uid)
        try:
            self.jobs.job_changed(None, await self._launching.create_job(job))
        except ApiError as error:
            if not error.lasting or error.reason == "Conflict":
                raise
            return TickRecord(tick, "Failed", name, error.reason, error.message)
        return TickRecord(tick, "Created", name)

    def _record(self, maker: Maker, record: TickRecord) -> None:
        ticks = [record.to_status(), *(maker.status.get("ticks") or ())][:_TICKS_KEPT]
        last = maker.status.get("lastTickTime")
        if last is None or seconds_of(last) < record.time:
            last = second(record.time)
        maker.set(ticks=ticks, lastTickTime=last)
        if record.outcome == "Created":
            maker.set(lastJob=record.job)
