"""One evaluation: the function that is meant, what it is told, and every way to fail as a sentence."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from podgraph.protocol.answers import Answer
from podgraph.runtime.pod.evaluate import evaluate

CODE = """
from podgraph import RunRequest, schedule, sensor

@sensor(tags={"team": "data", "n": "1"})
def orders(context):
    if context.cursor == "bad":
        return {}["missing"]
    if context.cursor == "exit":
        raise SystemExit(3)
    if context.cursor == "large":
        return RunRequest(run_config={"x": "y" * 2_000_000})
    if context.cursor == "wrong":
        return 5
    context.update_cursor("next")
    told = f"{context.cursor} {context.last_run_key} {context.last_tick_completion_time}"
    return [RunRequest("k", {"told": told}, {"n": "2"}, op_selection=["*a"]), RunRequest()]

@schedule("@daily", execution_timezone="Europe/Berlin")
def nightly(context):
    return {"at": context.scheduled_execution_time.isoformat()}

@schedule("@daily")
def other():
    return None
"""


@pytest.fixture(scope="module")
def module() -> ModuleType:
    found = ModuleType("my_job")
    exec(compile(CODE, "my_job.py", "exec"), vars(found))
    return found


def test_a_sensor(module: ModuleType) -> None:
    request = {"kind": "sensor", "name": "", "cursor": "c", "lastRunKey": "l", "lastTime": 5.0}
    assert evaluate(module, "a", request) == Answer(
        "a",
        [
            {
                "run_key": "k",
                "run_config": {"told": "next l 5.0"},
                "op_selection": ["*a"],
                "tags": {"team": "data", "n": "2"},
            },
            {"tags": {"team": "data", "n": "1"}},
        ],
        cursor="next",
    )


def test_a_schedule(module: ModuleType) -> None:
    request = {"kind": "schedule", "name": "nightly", "time": "2026-11-26T01:00:00+00:00", "zone": "Europe/Berlin"}
    assert evaluate(module, "a", request).requests == [{"run_config": {"at": "2026-11-26T02:00:00+01:00"}}]
    found = evaluate(module, "a", {**request, "zone": "No/Where"}).requests
    assert found == [{"run_config": {"at": "2026-11-26T01:00:00+00:00"}}]


@pytest.mark.parametrize(
    ("request_", "reason", "part"),
    [
        ({"cursor": "bad"}, "FunctionFailed", "sensor orders raised KeyError: 'missing' (my_job.py line 7 in orders)"),
        ({"cursor": "exit"}, "FunctionFailed", "raised SystemExit: 3"),
        ({"cursor": "large"}, "TooLarge", "bytes of JSON; at most 1,048,576"),
        ({"cursor": "wrong"}, "InvalidAnswer", "returned 5"),
        ({"name": "order"}, "UnknownFunction", "the code has no @sensor named 'order'; did you mean 'orders'?"),
        (
            {"kind": "schedule", "name": ""},
            "UnknownFunction",
            "the code has 2 @schedule functions (nightly, other); select one by name",
        ),
    ],
)
def test_failures(module: ModuleType, request_: dict[str, Any], reason: str, part: str) -> None:
    found = evaluate(module, "a", {"kind": "sensor", "name": "orders", **request_})
    assert (found.id, found.reason) == ("a", reason)
    assert part in found.message
