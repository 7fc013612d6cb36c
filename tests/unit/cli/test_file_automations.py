"""The schedules and sensors of a file, as they come into a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from podgraph.cli.file_automations import makers_of
from podgraph.definition.errors import DefinitionError
from podgraph.runtime.load import CodeRef
from unit.cli.running import ARITHMETIC, written

MAKERS = (
    ARITHMETIC
    + """
from podgraph import DefaultSensorStatus, DefaultScheduleStatus, ScheduleDefinition, schedule, sensor

@schedule(["@daily", "0 12 * * *"], job=my_job, execution_timezone="Europe/Berlin",
          default_status=DefaultScheduleStatus.RUNNING)
def twice_a_day(context):
    return {}

plain = ScheduleDefinition("plain", cron_schedule="@daily", run_config={"ops": {}}, tags={"a": "b"})

@sensor(minimum_interval_seconds=5)
def look(context): ...
"""
)


def test_what_a_file_has(tmp_path: Path) -> None:
    found = makers_of(CodeRef(file=str(written(tmp_path, MAKERS))), "d")
    specs = {(item["kind"], item["metadata"]["name"]): item["spec"] for item in found}
    ref = {"definitionRef": {"name": "d"}}
    assert specs == {
        ("JobSchedule", "twice-a-day"): {
            "schedules": ["@daily", "0 12 * * *"],
            "timeZone": "Europe/Berlin",
            "python": {**ref, "function": "twice_a_day"},
        },
        ("JobSchedule", "plain"): {
            "schedule": "@daily",
            "timeZone": "UTC",
            "suspend": True,
            "jobTemplate": {"spec": {**ref, "runConfig": {"ops": {}}, "tags": {"a": "b"}}},
        },
        ("JobSensor", "look"): {
            "source": {"python": {**ref, "function": "look"}},
            "minimumIntervalSeconds": 5,
            "suspend": True,
        },
    }


TWO = """
from podgraph import job, op, sensor

@op
def one(): ...

@job
def a():
    one()

@job
def b():
    one()

"""


def test_those_of_another_job_are_left_out(tmp_path: Path) -> None:
    source = TWO + "@sensor(job=a)\ndef of_a(): ...\n\n@sensor(job=b)\ndef of_b(): ...\n"
    found = makers_of(CodeRef(file=str(written(tmp_path, source)), job="b"), "b")
    assert [item["metadata"]["name"] for item in found] == ["of-b"]


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (TWO + "@sensor\ndef look(): ...\n", "sensor 'look' must name the job that it runs: a, b"),
        (
            TWO + "@sensor(job_name='c')\ndef look(): ...\n",
            "sensor 'look' runs the job 'c', which the code does not define",
        ),
        (TWO + "@sensor(job=a)\ndef look(): ...\n@sensor(job=a)\ndef Look(): ...\n", "with the resource name 'look'"),
    ],
)
def test_what_is_refused(tmp_path: Path, source: str, part: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        makers_of(CodeRef(file=str(written(tmp_path, source)), job="a"), "a")
    assert part in refused.value.message


def test_code_that_only_the_image_can_import_has_none_that_are_known(tmp_path: Path) -> None:
    assert makers_of(CodeRef(file=str(written(tmp_path, "import not_installed\n"))), "d") == []
