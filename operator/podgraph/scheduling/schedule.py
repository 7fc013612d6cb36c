"""The spec of a JobSchedule, and its due ticks. Pure logic: (spec, last tick, now) -> ticks to run and to skip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from podgraph.api import Object
from podgraph.scheduling.cron import Cron, Interval, Timing, due_ticks, read_cron
from podgraph.scheduling.cursor import key_digest
from podgraph.scheduling.job_factory import TICK_ANNOTATION, Request, launched_name, made_job, second, tick_names
from podgraph.scheduling.sources import FunctionRef, read_function

__all__ = ["Due", "ScheduleSpec", "TickRecord", "due", "job_of_tick", "read_schedule", "still_running"]

_MAX_COUNTED = 100
_LATE_SECONDS = 60.0


@dataclass(frozen=True)
class ScheduleSpec:
    """The settings of a JobSchedule; `deadline` is in seconds."""

    timing: Timing
    zone: ZoneInfo
    suspend: bool = False
    concurrency: str = "Allow"
    deadline: int | None = None
    catch_up: str = "Latest"
    max_catch_up: int = 10
    kept_succeeded: int = 3
    kept_failed: int = 1
    function: FunctionRef | None = None


@dataclass(frozen=True)
class TickRecord:
    """The result of a tick. `outcome` is Created, Skipped or Failed."""

    time: float
    outcome: str
    job: str = ""
    reason: str = ""
    message: str = ""

    def to_status(self) -> dict[str, Any]:
        """Return the record for the status, without empty fields."""
        record = {
            "time": second(self.time),
            "outcome": self.outcome,
            "job": self.job,
            "reason": self.reason,
            "message": self.message[:1_024],
        }
        return {key: value for key, value in record.items() if value}


@dataclass
class Due:
    """The ticks that create a Job now, oldest first, the skipped ticks, and the time of the next tick."""

    run: list[float] = field(default_factory=list)
    skipped: list[TickRecord] = field(default_factory=list)
    next: float | None = None


def read_schedule(schedule: Object) -> ScheduleSpec:
    """Read a JobSchedule that the API server has validated against its schema. Raises DefinitionError."""
    spec = schedule["spec"]
    cron = None
    if "everySeconds" not in spec:
        expressions = (spec["schedule"],) if "schedule" in spec else tuple(spec["schedules"])
        cron = read_cron(expressions, spec.get("timeZone", "UTC"))
    return ScheduleSpec(
        timing=Interval(spec["everySeconds"]) if cron is None else cron,
        zone=_zone(cron),
        suspend=spec.get("suspend", False),
        concurrency=spec.get("concurrencyPolicy", "Allow"),
        deadline=spec.get("startingDeadlineSeconds"),
        catch_up=spec.get("catchUp", "Latest"),
        max_catch_up=spec.get("maxCatchUp", 10),
        kept_succeeded=spec.get("successfulJobsHistoryLimit", 3),
        kept_failed=spec.get("failedJobsHistoryLimit", 1),
        function=read_function(spec["python"], "spec.python") if "python" in spec else None,
    )


def _zone(cron: Cron | None) -> ZoneInfo:
    return ZoneInfo("UTC") if cron is None else cron.zone


def due(spec: ScheduleSpec, after: float, now: float) -> Due:
    """Return the due ticks at `now`, given that all ticks up to `after` are processed.

    If the clock was set back, `after` may be later than `now`: then no tick is due, and no tick runs twice.
    """
    ticks, more = due_ticks(spec.timing, after, now, _MAX_COUNTED)
    late = _LATE_SECONDS if spec.catch_up == "None" else float("inf")
    late = min(late, spec.deadline if spec.deadline is not None else late)
    in_time = [tick for tick in ticks if now - tick <= late]
    run = in_time[-(spec.max_catch_up if spec.catch_up == "All" else 1) :]
    missed = [tick for tick in ticks if tick not in run]
    skipped = []
    if missed:
        count = f"more than {len(missed)}" if more else str(len(missed))
        what = "this tick was" if len(missed) == 1 and not more else f"{count} ticks up to this one were"
        why = f"catchUp: {spec.catch_up}"
        if spec.deadline is not None and now - missed[-1] > spec.deadline:
            why = f"startingDeadlineSeconds: {spec.deadline}"
        skipped.append(TickRecord(missed[-1], "Skipped", reason="Missed", message=f"{what} missed ({why})"))
    return Due(run, skipped, spec.timing.next_after(max(after, now)))


def still_running(tick: float, other: str) -> TickRecord:
    """Return the record of a skipped tick: the Job `other` of an earlier tick is not finished (`Forbid`)."""
    message = f"Job {other!r} is not finished (concurrencyPolicy: Forbid)"
    return TickRecord(tick, "Skipped", reason="StillRunning", message=message)


def job_of_tick(schedule: Object, zone: ZoneInfo, tick: float, request: Request | None = None) -> dict[str, Any]:
    """Return the Job of a tick, or with `request` the Job that a function requests at it. Raises DefinitionError."""
    what = str(int(tick))
    if request is not None and request.run_key:
        what = f"{what}-{key_digest(request.run_key)[:8]}"
    name = launched_name(schedule["metadata"]["name"], what)
    return made_job(schedule, name, tick_names(tick, zone), {TICK_ANNOTATION: second(tick)}, request)
