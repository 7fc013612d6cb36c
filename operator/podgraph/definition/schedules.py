"""`@schedule`: a function that returns the runs to create at the times of a cron expression."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable

from podgraph.definition.arguments import refuse_unknown
from podgraph.definition.cron import check_cron
from podgraph.definition.errors import DefinitionError
from podgraph.definition.jobs import JobDefinition
from podgraph.definition.ops import check_tags
from podgraph.definition.requests import Evaluation, RunRequest, call_with_context, read_answer

if TYPE_CHECKING:
    import logging

__all__ = [
    "DefaultScheduleStatus", "ScheduleDefinition", "ScheduleEvaluationContext", "build_schedule_context", "schedule",
    "target_of",
]  # fmt: skip


class DefaultScheduleStatus(enum.Enum):
    """Whether a schedule starts as soon as it is applied to a cluster (RUNNING), or once it is resumed (STOPPED)."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class ScheduleEvaluationContext:
    """The argument of the function of a schedule: the time of the tick."""

    def __init__(self, scheduled_execution_time: datetime, schedule_name: str = "schedule") -> None:
        self.scheduled_execution_time, self.schedule_name = scheduled_execution_time, schedule_name

    @property
    def log(self) -> logging.Logger:
        """The logger `podgraph.schedule.<name>`."""
        import logging  # takes its time, and only a run needs it

        return logging.getLogger(f"podgraph.schedule.{self.schedule_name}")


def build_schedule_context(scheduled_execution_time: datetime | None = None) -> ScheduleEvaluationContext:
    """Return a context to call a schedule in a test; the default time is now.

    >>> build_schedule_context(datetime(2026, 11, 26)).scheduled_execution_time.isoformat()
    '2026-11-26T00:00:00'
    """
    return ScheduleEvaluationContext(scheduled_execution_time or datetime.now(timezone.utc))


class ScheduleDefinition:
    """A job and the times of its runs: `ScheduleDefinition(job=my_job, cron_schedule="0 2 * * *")`, or `@schedule`.

    `cron_schedule` is one cron expression with five fields, or a list of them, in the time zone `execution_timezone`
    (an IANA name; UTC by default). `run_config` and `tags` apply to each run. If there is an `fn`, each tick calls it
    for the runs to create. Raises DefinitionError (`InvalidSchedule`, `InvalidJob`, `InvalidFunction`, `InvalidTags`,
    `InvalidRunRequest`).

    >>> ScheduleDefinition(job_name="load", cron_schedule="0 2 * * *").name
    'load_schedule'
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        cron_schedule: str | Sequence[str],
        job: JobDefinition | None = None,
        job_name: str | None = None,
        run_config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        execution_timezone: str | None = None,
        description: str | None = None,
        default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
        fn: Callable[..., Any] | None = None,
    ) -> None:
        self.job_name = target_of("schedule", name, job, job_name)
        self.name = name or (f"{self.job_name}_schedule" if self.job_name else "schedule")
        where = f"schedule {self.name!r}"
        found = [cron_schedule] if isinstance(cron_schedule, str) else list(cron_schedule)
        if not found or not all(isinstance(text, str) and text.strip() for text in found):
            raise DefinitionError("InvalidSchedule", f"{where} must have a cron expression, or a list of them")
        for text in found:
            try:
                check_cron(text)
            except DefinitionError as error:
                raise DefinitionError(error.reason, f"{where}: {error.message}") from None
        self.cron_schedules: tuple[str, ...] = tuple(found)
        self.execution_timezone = execution_timezone or "UTC"
        self.run_config = RunRequest(run_config=run_config).run_config or {}
        self.tags = check_tags(where, tags)
        self.default_status = DefaultScheduleStatus(default_status)
        self.fn = fn
        self.description = description if description is not None else (inspect.getdoc(fn) or "" if fn else "")
        self._call = call_with_context(where, fn) if fn is not None else None

    def __call__(self, *context: Any) -> Any:
        """Call the function directly, for example in a test. Raises DefinitionError if there is no function."""
        if self.fn is None:
            raise DefinitionError("InvalidFunction", f"schedule {self.name!r} has no function to call")
        return self.fn(*context)

    def evaluate_tick(self, context: ScheduleEvaluationContext) -> Evaluation:
        """Return the run requests of a tick.

        Raises DefinitionError (`InvalidAnswer`) for an invalid return value, and any exception of the function.
        """
        if self._call is None:
            return Evaluation((RunRequest(),))
        return read_answer(f"schedule {self.name!r}", self._call(context))


def schedule(
    cron_schedule: str | Sequence[str] = (),
    *,
    job: JobDefinition | None = None,
    job_name: str | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    execution_timezone: str | None = None,
    description: str | None = None,
    default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
    **unknown: Any,
) -> Callable[[Callable[..., Any]], ScheduleDefinition]:
    """Turn a function into a schedule; each tick calls it for the runs to create.

    The function takes `context` (a ScheduleEvaluationContext) or nothing. It returns run config, or returns or yields
    RunRequests, or returns a SkipReason. The arguments are those of :class:`ScheduleDefinition`. Raises
    DefinitionError (`InvalidSchedule`, `InvalidJob`, `InvalidFunction`, `InvalidTags`, `UnknownArgument`).

    >>> @schedule("0 2 * * *", job_name="load")
    ... def nightly(context):
    ...     return {"ops": {"load": {"config": {"day": context.scheduled_execution_time.date().isoformat()}}}}
    >>> [r.run_config for r in nightly.evaluate_tick(build_schedule_context(datetime(2026, 11, 26))).requests]
    [{'ops': {'load': {'config': {'day': '2026-11-26'}}}}]
    """
    refuse_unknown("@schedule", unknown, inspect.getfullargspec(schedule).kwonlyargs if unknown else ())
    if callable(cron_schedule) or not cron_schedule:
        raise DefinitionError(
            "InvalidSchedule", "@schedule must have a cron expression, as in @schedule(cron_schedule='0 2 * * *')"
        )

    def make(fn: Callable[..., Any]) -> ScheduleDefinition:
        return ScheduleDefinition(
            name or fn.__name__, cron_schedule=cron_schedule, job=job, job_name=job_name, tags=tags,
            execution_timezone=execution_timezone, description=description, default_status=default_status, fn=fn,
        )  # fmt: skip

    return make


def target_of(kind: str, name: str | None, job: Any, job_name: str | None) -> str:
    """Return the name of the job of a schedule or sensor, "" for the only job in the code."""
    where = f"{kind} {name!r}" if name else f"a {kind}"
    if job is not None and not isinstance(job, JobDefinition):
        raise DefinitionError("InvalidJob", f"{where} has the job {job!r:.80}; it must be a job created with @job")
    if job is not None and job_name and job.name != job_name:
        raise DefinitionError("InvalidJob", f"{where} names the job {job_name!r}, but its job is {job.name!r}")
    return job.name if job is not None else job_name or ""
