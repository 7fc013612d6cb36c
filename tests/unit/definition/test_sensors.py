"""`@sensor`."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph import DefaultSensorStatus, RunRequest, SensorResult, SkipReason, build_sensor_context, sensor
from podgraph.definition.errors import DefinitionError


def test_what_a_sensor_knows() -> None:
    @sensor
    def bare() -> SkipReason:
        """Looks."""
        return SkipReason("no")

    assert (bare.name, bare.job_name, bare.minimum_interval_seconds, bare.description) == ("bare", "", 30, "Looks.")
    assert bare.default_status is DefaultSensorStatus.STOPPED
    assert bare() == SkipReason("no")
    assert bare.evaluate_tick(build_sensor_context()).skip == "no"


def test_the_cursor_is_told_whoever_set_it() -> None:
    @sensor(job_name="load")
    def by_method(context: Any) -> Any:
        context.update_cursor(f"{context.cursor}+")
        yield RunRequest(f"after {context.last_run_key}")

    found = by_method.evaluate_tick(build_sensor_context("a", "k"))
    assert (found.cursor, found.requests) == ("a+", (RunRequest("after k"),))

    @sensor(job_name="load")
    def by_result(context: Any) -> Any:
        return SensorResult(cursor="b")

    assert by_result.evaluate_tick(build_sensor_context("a")).cursor == "b"

    @sensor(job_name="load")
    def keeps(context: Any) -> None: ...

    assert keeps.evaluate_tick(build_sensor_context("a")).cursor == "a"


def test_what_is_refused() -> None:
    @sensor(job_name="load")
    def both(context: Any) -> Any:
        context.update_cursor("a")
        return SensorResult(cursor="b")

    with pytest.raises(DefinitionError, match="sets a cursor in its SensorResult and with update_cursor"):
        both.evaluate_tick(build_sensor_context())
    with pytest.raises(DefinitionError, match="must be a string"):
        build_sensor_context().update_cursor(5)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="is 16,385 bytes; at most 16,384 are allowed"):
        build_sensor_context().update_cursor("x" * 16_385)
    with pytest.raises(DefinitionError, match="minimum_interval_seconds 0; it must be from 1 to 86,400"):
        sensor(job_name="load", minimum_interval_seconds=0)(lambda: None)
