"""Makes the Jobs of JobSchedules at their ticks.

A tick's Job is made before the status tells of it: its name follows from the tick, so after a crash in between it is
found, not made again. Statuses are written behind the Jobs, so that in a full minute no Job waits for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from podgraph.api import Object, find_condition
from podgraph.cluster.automation_client import AutomationClient
from podgraph.cluster.client import ApiError, Client
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.status import seconds_of
from podgraph.reconcile.automation.base import (
    Automation,
    Automations,
    StatusWriter,
    read_automation,
    record_tick,
    set_ready,
)
from podgraph.reconcile.automation.dry_run import tell_tried
from podgraph.reconcile.automation.owned_jobs import OwnedJob, OwnedJobs
from podgraph.reconcile.automation.tick_functions import TickFunctions
from podgraph.reconcile.evaluators.pool import EvaluatorPool
from podgraph.reconcile.workqueue import KeyedQueue, work
from podgraph.scheduling.job_factory import SCHEDULE_LABEL, second
from podgraph.scheduling.schedule import ScheduleSpec, TickRecord, due, job_of_tick, read_schedule, still_running

__all__ = ["Schedules"]

WORKERS = 30
_LOOK_SECONDS = 60.0  # at least so often, as the clock may be set


class Schedules:
    """All JobSchedules of the cluster. `clock` gives seconds since the epoch."""

    def __init__(self, client: Client, evaluators: EvaluatorPool, clock: Callable[[], float] = time.time) -> None:
        self.queue = KeyedQueue(namespace_of=lambda uid: self._makers.namespace_of(uid), most=WORKERS * 3 // 4)
        self._launching = AutomationClient(client, "jobschedules")
        self._writer = StatusWriter(self._launching, self.queue)
        self._clock = clock
        self._makers = Automations("JobSchedule", self._begin, self._forget, self.queue.add)
        self.jobs = OwnedJobs(self._launching, "JobSchedule", SCHEDULE_LABEL, self.queue.add, self._makers.owner)
        self._specs: dict[str, ScheduleSpec] = {}
        self._functions = TickFunctions(evaluators, self.queue.add)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.jobs.find()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run())
            for _ in range(WORKERS):
                group.create_task(work(self.queue, self._reconcile, "schedule"))

    def changed(self, kind: str | None, schedule: Object) -> None:
        """Take in an event of a JobSchedule."""
        self._makers.changed(kind, schedule)

    def _begin(self, uid: str) -> None:
        self._specs.pop(uid, None)
        self._functions.forget(uid)
        self.queue.add(uid)

    def _forget(self, uid: str) -> None:
        self._specs.pop(uid, None)
        self._functions.forget(uid)
        self.jobs.forget(uid)

    async def _reconcile(self, uid: str) -> None:
        maker = self._makers.get(uid)
        if maker is None:
            return
        spec = self._specs.get(uid) or await self._read(maker)
        if maker.dry_run_requested:
            await self._try(maker, spec)
        if spec is None or spec.suspend:
            return
        status, now = maker.status, self._clock()
        after = max(seconds_of(status[key]) for key in ("sinceTime", "lastTickTime") if status.get(key))
        plan = due(spec, after, now)
        for record in plan.skipped:
            record_tick(maker, record)
        for tick in plan.run:
            ran = await self._tick(maker, spec, tick)
            if ran is None:  # it waits for the end of an earlier one's Job, or for its function, which wakes it
                break
            record_tick(maker, ran)
        if spec.function is not None:
            self._tell(maker, spec, plan.next)
        upcoming = None if plan.next is None else second(plan.next)
        if status.get("nextTickTime") != upcoming:
            maker.set(nextTickTime=upcoming)
        self._writer.soon(maker)
        if surplus := self.jobs.surplus(uid, spec.kept_succeeded, spec.kept_failed):
            await self._writer.write(maker)  # a Job that is gone must be one that the status has
            await self.jobs.delete(uid, surplus)
        wait = _LOOK_SECONDS if plan.next is None else min(_LOOK_SECONDS, plan.next - self._clock())
        self.queue.add_after(uid, wait)

    async def _try(self, maker: Automation, spec: ScheduleSpec | None) -> None:
        """Put into the status what a tick would make, if that is known."""
        try:
            if spec is None:
                raise DefinitionError("NotReady", find_condition(maker.status, "Ready").get("message", ""))
            told = maker.dry_run_id.partition(" ")[2]
            tick = seconds_of(told) if told else spec.timing.next_after(self._clock()) or self._clock()
            if spec.function is None:
                tell_tried(maker, [job_of_tick(maker.object, spec.zone, tick)], "")
            else:
                found = self._functions.attempt(maker, spec, tick)
                if found is None:
                    return  # it is woken when it is known
                tell_tried(maker, *found)
        except (DefinitionError, ValueError) as error:
            tell_tried(maker, [], str(error))
        await self._writer.write(maker)

    def _tell(self, maker: Automation, spec: ScheduleSpec, upcoming: float | None) -> None:
        """Say in the status what keeps the function from being asked, and have its pod there by the next tick."""
        assert spec.function is not None
        trouble = self._functions.prepare(maker, spec.function, upcoming)
        if trouble is None:
            set_ready(maker, True, "Ready", f"it creates Jobs: {spec.timing.text}", self._clock())
        else:
            set_ready(maker, False, *trouble, self._clock())

    async def _read(self, maker: Automation) -> ScheduleSpec | None:
        """Read a spec that is new or was changed and have it checked; say in the status what is wrong with it."""
        now, seen = self._clock(), maker.object
        resumed = find_condition(maker.status, "Ready").get("reason") == "Suspended"

        def read() -> tuple[ScheduleSpec, bool, str, dict[str, Any]]:
            spec = read_schedule(seen)
            job = job_of_tick(seen, spec.zone, spec.timing.next_after(now) or now)
            return spec, spec.suspend, f"it creates Jobs: {spec.timing.text}", job

        spec = await read_automation(self._launching, self.queue, maker, read, now)
        if maker.object is not seen:
            return None  # it was changed meanwhile and comes again
        if spec is not None:
            self._specs[maker.uid] = spec
            self._count_since(maker, spec.timing.text, resumed, now)
        if spec is None or spec.suspend:
            maker.set(nextTickTime=None)
        await self._writer.write(maker)
        return spec

    def _count_since(self, maker: Automation, timing: str, resumed: bool, now: float) -> None:
        """Say from when ticks count: all of a new schedule; not those before it was changed or resumed."""
        before = maker.status.get("schedule")
        if before is None:
            maker.set(schedule=timing, sinceTime=str(maker.object["metadata"]["creationTimestamp"]))
        elif timing != before or resumed:
            maker.set(schedule=timing, sinceTime=second(now))

    async def _tick(self, maker: Automation, spec: ScheduleSpec, tick: float) -> TickRecord | None:
        """Make a tick's Job as the concurrency policy says; None when it is to wait. Raises ApiError."""
        active: list[OwnedJob] = []
        if spec.concurrency != "Allow" and self.jobs.active(maker.uid):
            active = await self.jobs.confirmed_active(maker.uid)
        others = [other for other in active if other.tick != tick]
        if others and spec.concurrency == "Forbid":
            if spec.catch_up == "All":
                return None
            return still_running(tick, others[0].name)
        try:
            jobs, skipped = [job_of_tick(maker.object, spec.zone, tick)], ""
            if spec.function is not None:
                found = self._functions.jobs_of(maker, spec, tick)
                if found is None:
                    return None
                jobs, skipped = found
        except DefinitionError as error:
            return TickRecord(tick, "Failed", reason=error.reason, message=error.message)
        if not jobs:
            return TickRecord(tick, "Skipped", reason="Skipped", message=skipped)
        for other in others:
            await self._launching.cancel_job(other.namespace, other.name, other.uid)
        return await self._make(tick, jobs)

    async def _make(self, tick: float, jobs: list[dict[str, Any]]) -> TickRecord:
        names = [str(job["metadata"]["name"]) for job in jobs]
        for at, job in enumerate(jobs):
            try:
                self.jobs.job_changed(None, await self._launching.create_job(job))
            except ApiError as error:
                if not error.permanent or error.reason == "Conflict":
                    raise
                return TickRecord(tick, "Failed", names[at], error.reason, error.message)
        more = f"and {len(names) - 1} more" if len(names) > 1 else ""
        return TickRecord(tick, "Created", names[0], message=more)
