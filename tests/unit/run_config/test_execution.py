"""The execution section: what it may say, and the executor it becomes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from podgraph.run_config import execution
from podgraph.run_config.execution import EXECUTION_SCHEMA, EXECUTORS, Execution, TagLimit, read_execution
from podgraph.run_config.validate import example, problems

CPUS = os.cpu_count() or 1
IN_PROCESS = Execution()
MULTIPROCESS = Execution("multiprocess", "forkserver", CPUS)


def refusals(section: Any) -> list[str]:
    return [problem.message for problem in problems(EXECUTION_SCHEMA, section, "execution")]


def multiprocess(**settings: Any) -> dict[str, Any]:
    return {"config": {"multiprocess": settings}}


@pytest.mark.parametrize("section", [None, {}, {"config": None}, {"config": {}}])
def test_the_default(section: Any) -> None:
    assert section is None or refusals(section) == []
    assert read_execution(section, "in_process") == IN_PROCESS
    assert read_execution(section, "multiprocess") == MULTIPROCESS


@pytest.mark.parametrize(
    ("config", "read"),
    [
        ({"in_process": None}, IN_PROCESS),
        ({"in_process": {}}, IN_PROCESS),
        ({"in_process": {"retries": None}}, IN_PROCESS),
        ({"in_process": {"retries": {"enabled": None}}}, IN_PROCESS),
        ({"in_process": {"retries": {"disabled": {}}}}, Execution(retries=False)),
        ({"in_process": {"retries": {"disabled": None}}}, Execution(retries=False)),
        ({"multiprocess": None}, MULTIPROCESS),
        ({"multiprocess": {}}, MULTIPROCESS),
        ({"multiprocess": {"max_concurrent": 0}}, MULTIPROCESS),
        (
            {"multiprocess": dict.fromkeys(("max_concurrent", "start_method", "tag_concurrency_limits", "retries"))},
            MULTIPROCESS,
        ),
        (
            {
                "multiprocess": {
                    "max_concurrent": 3,
                    "start_method": {"spawn": None},
                    "tag_concurrency_limits": [{"key": "db", "limit": 2}],
                    "retries": {"disabled": {}},
                }
            },
            Execution("multiprocess", "spawn", 3, (TagLimit("db", 2),), retries=False),
        ),
        ({"multiprocess": {"start_method": {"forkserver": {}}}}, MULTIPROCESS),
        ({"multiprocess": {"tag_concurrency_limits": []}}, MULTIPROCESS),
    ],
    ids=str,
)
def test_what_is_read(config: Any, read: Execution) -> None:
    assert refusals({"config": config}) == []
    assert read_execution({"config": config}, "in_process") == read


@pytest.mark.parametrize(
    ("item", "limit"),
    [
        ({"key": "db", "limit": 1}, TagLimit("db", 1)),
        ({"key": "db", "limit": 1, "value": "x"}, TagLimit("db", 1, "x")),
        ({"key": "db", "limit": 1, "value": ""}, TagLimit("db", 1, "")),
        ({"key": "db", "limit": 1, "value": {"applyLimitPerUniqueValue": True}}, TagLimit("db", 1, per_value=True)),
        ({"key": "db", "limit": 1, "value": {"applyLimitPerUniqueValue": False}}, TagLimit("db", 1)),
    ],
    ids=str,
)
def test_limits_of_tags(item: Any, limit: TagLimit) -> None:
    section = multiprocess(tag_concurrency_limits=[item])
    assert refusals(section) == []
    assert read_execution(section, "in_process").tag_limits == (limit,)


@pytest.mark.parametrize(
    ("section", "messages"),
    [
        ({"multiprocess": {}}, ["execution.multiprocess is unknown; there are: config"]),
        ({"config": {"multiproces": {}}}, ["execution.config.multiproces is unknown; did you mean 'multiprocess'?"]),
        ({"config": dict.fromkeys(EXECUTORS)}, ["execution.config must have at most 1 key, not 2"]),
        ({"config": {"in_process": {"max_concurrent": 1}}}, [
            "execution.config.in_process.max_concurrent is unknown; there are: retries"
        ]),
        (multiprocess(max_concurrent=-1), ["execution.config.multiprocess.max_concurrent must be at least 0, not -1"]),
        (multiprocess(max_concurrent="2"), [
            "execution.config.multiprocess.max_concurrent must be integer or null, not '2' (str)"
        ]),
        (multiprocess(start_method={}), [
            "execution.config.multiprocess.start_method must have at least 1 key, not 0"
        ]),
        (multiprocess(start_method={"forkservr": {}}), [
            "execution.config.multiprocess.start_method.forkservr is unknown; did you mean 'forkserver'?"
        ]),
        (multiprocess(retries={"enabled": {}, "disabled": {}}), [
            "execution.config.multiprocess.retries must have at most 1 key, not 2"
        ]),
        (multiprocess(tag_concurrency_limits=[{"limit": 0}]), [
            "execution.config.multiprocess.tag_concurrency_limits[0].key is missing",
            "execution.config.multiprocess.tag_concurrency_limits[0].limit must be at least 1, not 0",
        ]),
        (multiprocess(tag_concurrency_limits=[{"key": "a", "limit": 1, "value": {}}]), [
            "execution.config.multiprocess.tag_concurrency_limits[0].value.applyLimitPerUniqueValue is missing",
        ]),
        (multiprocess(tag_concurrency_limits=[{"key": "a", "limit": 1, "value": 1}]), [
            "execution.config.multiprocess.tag_concurrency_limits[0].value must be string or object, not 1 (int)",
        ]),
    ],
    ids=str,
)  # fmt: skip
def test_what_it_may_not_say(section: Any, messages: list[str]) -> None:
    assert refusals(section) == messages


def test_no_fork_no_fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(execution.os, "fork")
    assert read_execution({"config": {"multiprocess": {}}}, "in_process").start_method == "spawn"


def test_the_whole_example_can_be_read() -> None:
    whole = example(EXECUTION_SCHEMA, everything=True)
    assert refusals(whole) == []
    assert read_execution(whole, "multiprocess") == IN_PROCESS
