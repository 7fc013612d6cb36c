"""`@sensor`: a function that is asked now and then whether there is something to run."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, overload

from podgraph.definition.arguments import refuse_unknown
from podgraph.definition.errors import DefinitionError
from podgraph.definition.jobs import JobDefinition
from podgraph.definition.ops import check_tags
from podgraph.definition.requests import Evaluation, call_with_context, read_answer
from podgraph.definition.schedules import target_of

if TYPE_CHECKING:
    import logging

__all__ = [
    "DefaultSensorStatus", "SensorDefinition", "SensorEvaluationContext", "build_sensor_context", "sensor",
]  # fmt: skip

MAX_CURSOR = 16_384
"""Most bytes of a sensor's cursor."""
_DEFAULT_INTERVAL = 30


class DefaultSensorStatus(enum.Enum):
    """Whether a sensor looks as soon as it is in a cluster, or once it is resumed there."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class SensorEvaluationContext:
    """Given to a sensor's function. `cursor` is what it left with :meth:`update_cursor` the last time, None at first.

    `last_run_key` is that of the last run it asked for; `last_tick_completion_time`, in seconds since the epoch, when
    it was asked last.
    """

    def __init__(
        self,
        cursor: str | None = None,
        last_run_key: str | None = None,
        last_tick_completion_time: float | None = None,
        sensor_name: str = "sensor",
    ) -> None:
        self.cursor, self.last_run_key, self.sensor_name = cursor, last_run_key, sensor_name
        self.last_tick_completion_time = last_tick_completion_time

    def update_cursor(self, cursor: str | None) -> None:
        """Keep a text for the next time, if all that is asked for this time is made. Raises DefinitionError."""
        if cursor is not None and not isinstance(cursor, str):
            raise DefinitionError("InvalidCursor", f"the cursor of sensor {self.sensor_name!r} must be a text")
        if cursor is not None and len(cursor.encode()) > MAX_CURSOR:
            raise DefinitionError(
                "InvalidCursor",
                f"the cursor of sensor {self.sensor_name!r} is {len(cursor.encode()):,} bytes; at most {MAX_CURSOR:,} "
                "are kept",
            )
        self.cursor = cursor

    @property
    def log(self) -> logging.Logger:
        """The logger `podgraph.sensor.<name>`."""
        import logging  # takes its time, and only a run needs it

        return logging.getLogger(f"podgraph.sensor.{self.sensor_name}")


def build_sensor_context(cursor: str | None = None, last_run_key: str | None = None) -> SensorEvaluationContext:
    """Return a context to call a sensor with in a test of it.

    >>> build_sensor_context(cursor="7").cursor
    '7'
    """
    return SensorEvaluationContext(cursor, last_run_key)


class SensorDefinition:
    """A function that is asked at intervals what to run of a job. Made by `@sensor`."""

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        name: str | None = None,
        job: JobDefinition | None = None,
        job_name: str | None = None,
        minimum_interval_seconds: int | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    ) -> None:
        self.name = name or fn.__name__
        where = f"sensor {self.name!r}"
        self.fn = fn
        self.job_name = target_of("sensor", self.name, job, job_name)
        interval = _DEFAULT_INTERVAL if minimum_interval_seconds is None else minimum_interval_seconds
        if not isinstance(interval, int) or not 1 <= interval <= 86_400:
            raise DefinitionError(
                "InvalidSensor", f"{where} has minimum_interval_seconds {interval!r}; it must be from 1 to 86,400"
            )
        self.minimum_interval_seconds = interval
        self.tags = check_tags(where, tags)
        self.default_status = DefaultSensorStatus(default_status)
        self.description = description if description is not None else (inspect.getdoc(fn) or "")
        self._call = call_with_context(where, fn)

    def __call__(self, *context: Any) -> Any:
        """Call the function, as in a test of it."""
        return self.fn(*context)

    def evaluate_tick(self, context: SensorEvaluationContext) -> Evaluation:
        """Return what there is to run now. Raises DefinitionError for an answer that is none, and what it raises."""
        before = context.cursor
        found = read_answer(f"sensor {self.name!r}", self._call(context))
        if found.cursor is not None:
            if context.cursor != before:
                raise DefinitionError(
                    "InvalidAnswer", f"sensor {self.name!r} gives a cursor in its SensorResult and by update_cursor"
                )
            context.update_cursor(found.cursor)
        return Evaluation(found.requests, found.skip, context.cursor)


@overload
def sensor(job_name: Callable[..., Any]) -> SensorDefinition: ...
@overload
def sensor(
    job_name: str | None = ...,
    *,
    job: JobDefinition | None = ...,
    name: str | None = ...,
    minimum_interval_seconds: int | None = ...,
    tags: Mapping[str, str] | None = ...,
    description: str | None = ...,
    default_status: DefaultSensorStatus = ...,
) -> Callable[[Callable[..., Any]], SensorDefinition]: ...


def sensor(
    job_name: Any = None,
    *,
    job: JobDefinition | None = None,
    name: str | None = None,
    minimum_interval_seconds: int | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    **unknown: Any,
) -> Any:
    """Make a function a sensor: it is asked at least `minimum_interval_seconds` (30) apart what there is to run.

    It takes `context` or nothing, and returns or yields RunRequests, or returns a SkipReason or a SensorResult.

    >>> from podgraph.definition.requests import RunRequest
    >>> @sensor(job_name="load")
    ... def orders(context):
    ...     last = int(context.cursor or 0)
    ...     context.update_cursor(str(last + 1))
    ...     yield RunRequest(run_key=str(last))
    >>> orders.evaluate_tick(build_sensor_context("7"))
    Evaluation(requests=(RunRequest(run_key='7', run_config=None, tags={}, op_selection=None),), skip='', cursor='8')
    """
    refuse_unknown("@sensor", unknown, inspect.getfullargspec(sensor).kwonlyargs if unknown else ())
    if callable(job_name):
        return SensorDefinition(job_name)

    def make(fn: Callable[..., Any]) -> SensorDefinition:
        return SensorDefinition(
            fn, name=name, job=job, job_name=job_name, minimum_interval_seconds=minimum_interval_seconds, tags=tags,
            description=description, default_status=default_status,
        )  # fmt: skip

    return make
