"""Which ticks are due, and the Job that one makes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.job_factory import launched_name
from podgraph.scheduling.schedule import due, job_of_tick, read_schedule

T0 = datetime.fromisoformat("2026-11-24T00:00:00+00:00").timestamp()
MINUTE = 60.0


def schedule(name: str = "nightly", template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    if not {"schedule", "schedules", "everySeconds"} & set(spec):
        spec["schedule"] = "* * * * *"
    return {
        "kind": "JobSchedule",
        "metadata": {"name": name, "namespace": "n", "uid": "u"},
        "spec": {"jobTemplate": template or {"spec": {"ops": []}}, **spec},
    }


@pytest.mark.parametrize(
    ("spec", "after", "now", "run", "skipped"),
    [
        # in time, and late by less than a second
        ({}, 0, 59.9, [], None),
        ({}, 0, 60.0, [1], None),
        ({}, 60, 119, [], None),
        # after an absence
        ({}, 0, 330, [5], (4, "4 ticks up to this one were missed (catchUp: Latest)")),
        ({"catchUp": "All"}, 0, 330, [1, 2, 3, 4, 5], None),
        ({"catchUp": "All", "maxCatchUp": 2}, 0, 330, [4, 5], (3, "3 ticks up to this one were missed (catchUp: All)")),
        ({"catchUp": "None"}, 0, 330, [5], (4, "4 ticks up to this one were missed (catchUp: None)")),
        ({"catchUp": "None", "schedule": "*/2 * * * *"}, 0, 230, [], (2, "this tick was missed (catchUp: None)")),
        ({"catchUp": "None"}, 0, 100_000 * MINUTE + 30, [100_000], (99_999, "more than 99 ticks")),
        # a deadline
        ({"startingDeadlineSeconds": 20}, 0, 79, [1], None),
        ({"startingDeadlineSeconds": 20}, 0, 90, [], (1, "this tick was missed (startingDeadlineSeconds: 20)")),
        ({"startingDeadlineSeconds": 100, "catchUp": "All"}, 0, 330, [4, 5],
         (3, "3 ticks up to this one were missed (startingDeadlineSeconds: 100)")),
        # the clock was set back: nothing comes twice
        ({}, 600, 200, [], None),
        ({"everySeconds": 10}, 600, 200, [], None),
    ],
)  # fmt: skip
def test_due(spec: dict[str, Any], after: float, now: float, run: list[int], skipped: Any) -> None:
    found = due(read_schedule(schedule(**spec)), T0 + after, T0 + now)
    assert found.run == [T0 + MINUTE * tick for tick in run]
    assert len(found.skipped) == (skipped is not None)
    if skipped:
        (record,) = found.skipped
        assert (record.time, record.outcome, record.reason) == (T0 + MINUTE * skipped[0], "Skipped", "Missed")
        assert record.message.startswith(skipped[1])
    assert found.next is not None
    assert found.next > T0 + max(after, now)


def test_the_job_of_a_tick() -> None:
    template = {
        "metadata": {"labels": {"day": "{{ tick.date }}"}, "annotations": {"at": "{{ tick.time }}"}},
        "spec": {
            "ops": [{"name": "a", "image": "i", "script": "echo {{ kept }}"}],
            "runConfig": {"ops": {"a": {"inputs": {"day": "{{ tick.previousDate }}"}}}},
            "opSelection": ["a"],
        },
    }
    made = schedule("load", template, schedule="30 0 * * *", timeZone="Asia/Tokyo")
    tick = datetime.fromisoformat("2026-11-25T00:30:00+09:00").timestamp()
    job = job_of_tick(made, read_schedule(made).zone, tick)
    meta = job["metadata"]
    assert meta["name"] == f"load-{tick:.0f}"
    assert meta["labels"] == {"day": "2026-11-25", "podgraph.dev/schedule": "load"}
    assert meta["annotations"] == {"at": "2026-11-24T15:30:00Z", "podgraph.dev/tick-time": "2026-11-24T15:30:00Z"}
    assert job["spec"]["runConfig"] == {"ops": {"a": {"inputs": {"day": "2026-11-24"}}}}
    assert job["spec"]["ops"][0]["script"] == "echo {{ kept }}"
    assert meta["ownerReferences"][0]["uid"] == "u"
    assert made["spec"]["jobTemplate"]["spec"]["runConfig"]["ops"]["a"]["inputs"]["day"] == "{{ tick.previousDate }}"


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ({"spec": {"runConfig": {"x": "{{ now }}"}}}, "spec.jobTemplate.spec.runConfig.x has {{ now }}"),
        (
            {"spec": {}, "metadata": {"labels": {"podgraph.dev/x": ""}}},
            "has 'podgraph.dev/x'; the prefix podgraph.dev/ is reserved",
        ),
        ({"spec": {"rerunOf": {"name": "x"}}}, "spec.jobTemplate.spec.rerunOf is allowed in a Job, not in a template"),
    ],
)
def test_a_template_that_is_refused(template: dict[str, Any], part: str) -> None:
    made = schedule(template=template)
    with pytest.raises(DefinitionError) as refused:
        job_of_tick(made, read_schedule(made).zone, T0)
    assert part in refused.value.message


def test_names_fit_and_differ() -> None:
    long = [f"{'x' * 80}-{end}" for end in ("a", "b")]
    names = [launched_name(name, "1767225600") for name in long]
    assert {len(name) for name in names} == {63}
    assert names[0] != names[1]
    assert launched_name("nightly", "1767225600") == "nightly-1767225600"
