"""`spec.execution` and the fields that steer a Job."""

from __future__ import annotations

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.planning.execution import Control, ExecutionSpec, read_control, read_execution_spec
from podgraph.run_config.execution import TagLimit


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
