"""`@sensor`: a function that is called at intervals and returns the runs to create."""

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
"""Maximum size of the cursor of a sensor, in bytes."""
_DEFAULT_INTERVAL = 30


class DefaultSensorStatus(enum.Enum):
    """Whether a sensor starts as soon as it is applied to a cluster (RUNNING), or once it is resumed (STOPPED)."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class SensorEvaluationContext:
    """The argument of the function of a sensor.

    `cursor` is the string that the last tick set with :meth:`update_cursor`, None at first. `last_run_key` is the run
    key of the last run that the sensor requested. `last_tick_completion_time` is the end of the last tick, in seconds
    since the epoch.
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
        """Set the cursor for the next tick. It is stored once all Jobs of this tick are created.

        Raises DefinitionError (`InvalidCursor`) for a cursor that is not a string or is larger than 16,384 bytes.
        """
        if cursor is not None and not isinstance(cursor, str):
            raise DefinitionError("InvalidCursor", f"the cursor of sensor {self.sensor_name!r} must be a string")
        if cursor is not None and len(cursor.encode()) > MAX_CURSOR:
            raise DefinitionError(
                "InvalidCursor",
                f"the cursor of sensor {self.sensor_name!r} is {len(cursor.encode()):,} bytes; at most {MAX_CURSOR:,} "
                "are allowed",
            )
        self.cursor = cursor

    @property
    def log(self) -> logging.Logger:
        """The logger `podgraph.sensor.<name>`."""
        import logging  # takes its time, and only a run needs it

        return logging.getLogger(f"podgraph.sensor.{self.sensor_name}")


def build_sensor_context(cursor: str | None = None, last_run_key: str | None = None) -> SensorEvaluationContext:
    """Return a context to call a sensor in a test.

    >>> build_sensor_context(cursor="7").cursor
    '7'
    """
    return SensorEvaluationContext(cursor, last_run_key)


class SensorDefinition:
    """A function that is called at intervals and returns the runs of a job to create. `@sensor` creates it.

    `minimum_interval_seconds` is from 1 to 86,400 seconds (30 by default). Raises DefinitionError (`InvalidSensor`,
    `InvalidJob`, `InvalidFunction`, `InvalidTags`).
    """

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
        """Call the function directly, for example in a test."""
        return self.fn(*context)

    def evaluate_tick(self, context: SensorEvaluationContext) -> Evaluation:
        """Return the run requests of a tick.

        Raises DefinitionError (`InvalidAnswer`) for an invalid return value, and any exception of the function.
        """
        before = context.cursor
        found = read_answer(f"sensor {self.name!r}", self._call(context))
        if found.cursor is not None:
            if context.cursor != before:
                raise DefinitionError(
                    "InvalidAnswer", f"sensor {self.name!r} sets a cursor in its SensorResult and with update_cursor"
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
    """Turn a function into a sensor; it is called at most once every `minimum_interval_seconds` (30 by default).

    The function takes `context` (a SensorEvaluationContext) or nothing. It returns or yields RunRequests, or returns a
    SkipReason or a SensorResult. The arguments are those of :class:`SensorDefinition`. Raises DefinitionError
    (`InvalidSensor`, `InvalidJob`, `InvalidFunction`, `InvalidTags`, `UnknownArgument`).

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
