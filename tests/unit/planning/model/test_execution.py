"""`spec.execution` and the fields that steer a Job."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.execution import Control, ExecutionSpec, one_pod_section, read_control, read_execution_spec
from podgraph.run_config.execution import TagLimit, read_execution


def test_nothing_said() -> None:
    assert read_execution_spec({}) == ExecutionSpec(None, (), 600, 3, "OnFailure")
    assert read_control({}) == Control(False, False, None)


def test_everything_said() -> None:
    limits = [{"key": "db", "value": "x", "limit": 1}, {"key": "db", "perValue": True, "limit": 2}]
    data = {
        "maxConcurrent": 4,
        "tagConcurrencyLimits": limits,
        "pendingTimeoutSeconds": 60,
        "infrastructureRetries": 0,
        "podRetention": "Never",
    }
    expected = (TagLimit("db", 1, "x"), TagLimit("db", 2, per_value=True))
    assert read_execution_spec(data) == ExecutionSpec(4, expected, 60, 0, "Never")
    assert read_control({"suspend": True, "cancel": True, "ttlSecondsAfterFinished": 0}) == Control(True, True, 0)


def test_a_limit_for_one_value_and_for_each_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"tagConcurrencyLimits\[0\] sets value and perValue"):
        read_execution_spec({"tagConcurrencyLimits": [{"key": "a", "value": "x", "perValue": True, "limit": 1}]})


NAMED = {"execution": {"config": {"multiprocess": {"max_concurrent": 2, "start_method": {"spawn": {}}}}}}


@pytest.mark.parametrize(
    ("execution", "run_config", "section"),
    [
        ({}, {}, None),
        ({"mode": "PodPerStep", "maxConcurrent": 4}, {"execution": {}}, None),
        ({"mode": "PodPerStep"}, {"execution": {"config": {}}}, None),
        ({"mode": "InProcess", "maxConcurrent": 4}, {}, {"in_process": {}}),
        ({"mode": "Multiprocess"}, {}, {"multiprocess": {}}),
        (
            {"mode": "Multiprocess", "startMethod": "Forkserver", "maxConcurrent": 4},
            {},
            {"multiprocess": {"max_concurrent": 4, "start_method": {"forkserver": {}}}},
        ),
        ({"mode": "InProcess"}, NAMED, NAMED["execution"]["config"]),
        (
            {"mode": "Multiprocess", "startMethod": "Forkserver", "maxConcurrent": 4},
            NAMED,
            NAMED["execution"]["config"],
        ),
        (
            {"maxConcurrent": 4},
            {"execution": {"config": {"multiprocess": None}}},
            {"multiprocess": {"max_concurrent": 4}},
        ),
        ({"mode": "Multiprocess"}, {"execution": {"config": {"in_process": {}}}}, {"in_process": {}}),
    ],
)
def test_run_config_goes_before_the_mode(execution: Any, run_config: Any, section: Any) -> None:
    expected = {} if section is None else {"config": section}
    assert one_pod_section(read_execution_spec(execution), run_config) == expected


def test_limits_in_the_form_of_run_config() -> None:
    limits = [
        {"key": "db", "value": "x", "limit": 1},
        {"key": "db", "perValue": True, "limit": 2},
        {"key": "k", "limit": 3},
    ]
    made = one_pod_section(read_execution_spec({"mode": "Multiprocess", "tagConcurrencyLimits": limits}), {})
    assert read_execution(made, "in_process").tag_limits == (
        TagLimit("db", 1, "x"), TagLimit("db", 2, per_value=True), TagLimit("k", 3)
    )  # fmt: skip
