"""`@schedule` and ScheduleDefinition."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from podgraph import (
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    build_schedule_context,
    job,
    op,
    schedule,
)
from podgraph.definition.errors import DefinitionError


@op
def one() -> int:
    return 1


@job
def load() -> None:
    one()


def test_what_a_schedule_knows() -> None:
    @schedule(["@daily", "0 12 * * *"], job=load, execution_timezone="Europe/Berlin", tags={"n": 1},  # type: ignore[dict-item]
              default_status=DefaultScheduleStatus.RUNNING)  # fmt: skip
    def nightly() -> dict[str, Any]:
        """Each night."""
        return {}

    assert (nightly.name, nightly.job_name, nightly.description) == ("nightly", "load", "Each night.")
    assert nightly.cron_schedules == ("@daily", "0 12 * * *")
    assert (nightly.execution_timezone, nightly.tags) == ("Europe/Berlin", {"n": "1"})
    assert nightly.default_status is DefaultScheduleStatus.RUNNING
    assert nightly() == {}


def test_a_tick() -> None:
    @schedule("@daily", job_name="load")
    def nightly(context: Any) -> Any:
        yield RunRequest(tags={"day": context.scheduled_execution_time.date().isoformat()})

    found = nightly.evaluate_tick(build_schedule_context(datetime(2026, 11, 26)))
    assert [request.tags for request in found.requests] == [{"day": "2026-11-26"}]


def test_one_without_a_function_makes_one_run() -> None:
    plain = ScheduleDefinition(job=load, cron_schedule="@daily", run_config={"ops": {}})
    assert (plain.name, plain.fn, plain.run_config) == ("load_schedule", None, {"ops": {}})
    assert plain.evaluate_tick(build_schedule_context()).requests == (RunRequest(),)
    with pytest.raises(DefinitionError, match="has no function to call"):
        plain()


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"cron_schedule": ""}, "must have a cron expression"),
        ({"cron_schedule": []}, "must have a cron expression"),
        ({"cron_schedule": "@daily", "job": one}, "must be a job created with @job"),
        ({"cron_schedule": "@daily", "job": load, "job_name": "x"}, "names the job 'x', but its job is 'load'"),
        ({"cron_schedule": "@daily", "run_config": {"x": {1}}}, "must be JSON values"),
    ],
)
def test_what_is_refused(fields: Any, part: str) -> None:
    with pytest.raises(DefinitionError, match=part):
        ScheduleDefinition("s", **fields)
