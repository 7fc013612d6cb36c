"""What is kept of a JobSchedule or JobSensor between passes, and the writing of its status behind all else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from podgraph.api import Object, find_condition
from podgraph.cluster.automation_client import AutomationClient
from podgraph.cluster.client import ApiError
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.owner import Owner
from podgraph.planning.model.status import condition, seconds_of, set_condition
from podgraph.reconcile.workqueue import KeyedQueue, work
from podgraph.scheduling.job_factory import TRY_ANNOTATION, second
from podgraph.scheduling.schedule import TickRecord

__all__ = ["Automation", "Automations", "StatusWriter", "read_automation", "record_once", "record_tick", "set_ready"]

_WRITERS = 8
_SOON_SECONDS = 0.1
_MOST_PUT_OFF = 30
_REFUSED_SECONDS = 300.0
_TICKS_KEPT = 10

Spec = TypeVar("Spec")


class Automation:
    """A JobSchedule or JobSensor, and its status as it is or is about to be written."""

    def __init__(self, found: Object, kind: str) -> None:
        self.object = found
        self.uid = str(found["metadata"]["uid"])
        self.namespace, self.name = str(found["metadata"]["namespace"]), str(found["metadata"]["name"])
        self.owner = Owner(self.namespace, kind, self.uid)
        self.generation = int(found["metadata"].get("generation", 1))
        self.version = str(found["metadata"]["resourceVersion"])
        self.status: dict[str, Any] = dict(found.get("status") or {})
        self.unwritten: dict[str, Any] = {}
        self.put_off = 0
        self.dry_run_id = _dry_run_id(found)

    @property
    def dry_run_requested(self) -> bool:
        """Whether somebody wants to know what it would make now (see reconcile.automation.dry_run)."""
        return bool(self.dry_run_id) and (self.status.get("tried") or {}).get("id") != self.dry_run_id

    def take_dry_run(self, found: Object) -> bool:
        """Take in an event; return whether somebody wants to know by now."""
        before, self.dry_run_id = self.dry_run_id, _dry_run_id(found)
        return self.dry_run_requested and before != self.dry_run_id

    def changed(self, found: Object) -> bool:
        """Take in an event; return whether the spec is another one."""
        generation = int(found["metadata"].get("generation", 1))
        if generation <= self.generation:
            return False
        self.object, self.generation = found, generation
        self.version = str(found["metadata"]["resourceVersion"])
        return True

    def set(self, **fields: Any) -> None:
        """Change fields of the status, to be written."""
        for key, value in fields.items():
            if self.status.get(key) != value:
                self.status[key] = self.unwritten[key] = value


class Automations:
    """The JobSchedules, or the JobSensors, that there are: those of one `kind`.

    `begin(uid)` is called for one that came or has another spec, `forget(uid)` for one that is gone, and `attempt(uid)`
    for one of which somebody wants to know what it would make.
    """

    def __init__(
        self, kind: str, begin: Callable[[str], None], forget: Callable[[str], None], attempt: Callable[[str], None]
    ) -> None:
        self._kind = kind
        self._begin, self._forget, self._attempt = begin, forget, attempt
        self._known: dict[str, Automation] = {}

    def namespace_of(self, uid: str) -> str:
        """Return a maker's namespace, "" when it is not known."""
        maker = self._known.get(uid)
        return maker.namespace if maker is not None else ""

    def get(self, uid: str) -> Automation | None:
        """Return one, None when it is gone."""
        return self._known.get(uid)

    def owner(self, uid: str) -> Owner | None:
        """Return whose Jobs are one's, None where it is not known."""
        maker = self._known.get(uid)
        return maker.owner if maker is not None else None

    def changed(self, kind: str | None, found: Object) -> None:
        """Take in an event of one."""
        uid = found["metadata"]["uid"]
        if kind == "DELETED" or found["metadata"].get("deletionTimestamp"):
            self._known.pop(uid, None)
            self._forget(uid)
            return
        maker = self._known.get(uid)
        if maker is None:
            self._known[uid] = Automation(found, self._kind)
        else:
            if maker.take_dry_run(found):
                self._attempt(uid)
            if not maker.changed(found):
                return  # it is our own writing of its status
        self._begin(uid)


def _dry_run_id(found: Object) -> str:
    return str((found["metadata"].get("annotations") or {}).get(TRY_ANNOTATION, ""))[:64]


async def read_automation(
    launching: AutomationClient, queue: KeyedQueue, maker: Automation,
    read: Callable[[], tuple[Spec, bool, str, dict[str, Any]]], now: float,
) -> Spec | None:  # fmt: skip
    """Read a spec, have the Job that it would make checked, and set the condition Ready; None when that is refused.

    `read` returns the spec, whether it is suspended, what is said when it is ready, and such a Job. Raises ApiError.
    """
    was_ready = find_condition(maker.status, "Ready").get("status") == "True"
    generation = maker.generation
    try:
        spec, suspended, message, job = read()
        if not was_ready or maker.status.get("observedGeneration") != generation:
            await launching.try_job(job)
    except DefinitionError as error:
        set_ready(maker, False, error.reason, error.message, now)
        return None
    except ApiError as error:
        if not error.permanent:
            raise
        queue.add_after(maker.uid, _REFUSED_SECONDS)  # what refuses the template may be changed one day
        set_ready(maker, False, "InvalidTemplate", error.message, now)
        return None
    finally:
        if maker.generation == generation:
            maker.set(observedGeneration=generation)
    if suspended:
        set_ready(maker, False, "Suspended", "spec.suspend is true", now)
    else:
        set_ready(maker, True, "Ready", message, now)
    return spec


def set_ready(maker: Automation, ready: bool, reason: str, message: str, now: float) -> None:
    """Set the condition Ready."""
    conditions = [dict(c) for c in maker.status.get("conditions") or ()]
    if set_condition(conditions, condition("Ready", str(ready), reason, message[:4_096], maker.generation, now)):
        maker.set(conditions=conditions)


def record_tick(maker: Automation, record: TickRecord) -> None:
    """Put what became of a tick before that of earlier ones; times never go back."""
    ticks = [record.to_status(), *(maker.status.get("ticks") or ())][:_TICKS_KEPT]
    last = maker.status.get("lastTickTime")
    if last is None or seconds_of(last) < record.time:
        last = second(record.time)
    maker.set(ticks=ticks, lastTickTime=last)
    if record.outcome == "Created":
        maker.set(lastJob=record.job)


def record_once(maker: Automation, record: TickRecord) -> None:
    """Record a tick that made nothing, unless the last one came to just the same."""
    last: Object = next(iter(maker.status.get("ticks") or ()), {})
    told = record.to_status()
    if any(last.get(key) != told.get(key) for key in ("outcome", "reason", "message")):
        record_tick(maker, record)


class StatusWriter:
    """Writes statuses while the queue of what makes Jobs is empty, or after a while in any case."""

    def __init__(self, launching: AutomationClient, ahead: KeyedQueue) -> None:
        self._launching, self._ahead = launching, ahead
        self._queue = KeyedQueue(namespace_of=lambda uid: self._waiting[uid].namespace if uid in self._waiting else "")
        self._waiting: dict[str, Automation] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_WRITERS):
                group.create_task(work(self._queue, self._take, f"status of {self._launching.plural}"))

    def soon(self, maker: Automation) -> None:
        """Have what is unwritten written behind the Jobs that are to be made now."""
        if maker.unwritten:
            self._waiting[maker.uid] = maker
            self._queue.add_after(maker.uid, _SOON_SECONDS)

    async def write(self, maker: Automation) -> None:
        """Write what is unwritten. Raises ApiError."""
        if not maker.unwritten:
            return
        fields, maker.unwritten = maker.unwritten, {}
        try:
            maker.version = await self._patch(maker, fields)
        except ApiError:
            maker.unwritten = {**fields, **maker.unwritten}
            raise

    async def _patch(self, maker: Automation, fields: dict[str, Any]) -> str:
        try:
            return await self._launching.patch_status(maker.namespace, maker.name, maker.version, fields)
        except ApiError as error:
            if error.status == 404:
                return ""
            if error.status != 409:
                raise
        found = await self._launching.get(maker.namespace, maker.name)
        if found is None or found["metadata"]["uid"] != maker.uid:
            return ""  # it is gone, and nobody asks for its status any more
        version = str(found["metadata"]["resourceVersion"])
        return await self._launching.patch_status(maker.namespace, maker.name, version, fields)

    async def _take(self, uid: str) -> None:
        maker = self._waiting.get(uid)
        if maker is None:
            return
        if len(self._ahead) and maker.put_off < _MOST_PUT_OFF:
            maker.put_off += 1
            self._queue.add_after(uid, _SOON_SECONDS)
            return
        maker.put_off = 0
        await self.write(maker)
        if not maker.unwritten:
            self._waiting.pop(uid, None)
