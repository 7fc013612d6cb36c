"""Records, conditions and times as they stand in a Job's status."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import merged
from podgraph.flow import TERMINAL
from podgraph.planning.model.status import (
    STATES,
    StepRecord,
    condition,
    duration,
    seconds_of,
    set_condition,
)
from podgraph.protocol.times import utc

steady = settings(deadline=None, derandomize=True, max_examples=150)

maybe_time = st.none() | st.floats(0, 4e9).map(utc)
records = st.builds(
    StepRecord,
    state=st.sampled_from(STATES),
    attempt=st.integers(0, 100),
    infra_failures=st.integers(0, 100),
    pod_uid=st.text(max_size=40),
    retry_time=maybe_time,
    start_time=maybe_time,
    completion_time=maybe_time,
    outputs=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
    reason=st.text(max_size=20),
    message=st.text(max_size=1_024),
)


@steady
@given(records)
def test_a_record_reads_back(record: StepRecord) -> None:
    patch = json.loads(json.dumps(record.to_patch()))
    assert StepRecord.from_status(patch) == record
    assert StepRecord.from_status(merged({}, patch)) == record


@steady
@given(records, records)
def test_a_patch_replaces_what_was_there(old: StepRecord, new: StepRecord) -> None:
    old = replace(old, outputs={})  # they are set once, when the step ends
    assert StepRecord.from_status(merged(merged({}, old.to_patch()), new.to_patch())) == new


def test_an_empty_record() -> None:
    assert StepRecord.from_status({}) == StepRecord()
    assert [key for key, value in StepRecord().to_patch().items() if value is not None] == ["state"]


def test_a_long_message_is_cut() -> None:
    assert StepRecord(message="x" * 1_024).to_patch()["message"] == "x" * 1_024
    assert StepRecord(message="x" * 1_025).to_patch()["message"] == "x" * 1_020 + " ..."


def test_the_record_of_a_step_of_a_large_job_is_short() -> None:
    time = "2026-11-26T10:59:01.427069Z"
    ended = StepRecord("Succeeded", 1, 0, "uid", time, time, message="x" * 1_000)
    assert {key: value for key, value in ended.to_patch(48, keep_pod=False).items() if value is not None} == {
        "state": "Succeeded",
        "attempt": 1,
        "startTime": "2026-11-26T10:59:01.427Z",
        "completionTime": "2026-11-26T10:59:01.427Z",
        "message": "x" * 44 + " ...",
    }
    assert ended.to_patch(48)["podUID"] == "uid"
    running = StepRecord("Running", 1, 0, "uid", time)
    assert running.to_patch(48, keep_pod=False)["podUID"] == "uid"
    assert ended.to_patch(0, keep_pod=False)["podUID"] == "uid"
    assert StepRecord.from_status(running.to_patch(48)).start_time == "2026-11-26T10:59:01.427Z"


def test_what_is_read_is_apart_from_what_was_given() -> None:
    data = {"outputs": {"a": "1"}}
    StepRecord.from_status(data).outputs["b"] = "2"
    assert data == {"outputs": {"a": "1"}}


def test_states() -> None:
    assert set(STATES) > TERMINAL


def test_conditions() -> None:
    conditions: list[dict[str, Any]] = []
    first = condition("Succeeded", "Unknown", "Running", "x", 2, 0.75)
    assert first == {
        "type": "Succeeded",
        "status": "Unknown",
        "reason": "Running",
        "message": "x",
        "observedGeneration": 2,
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }
    assert set_condition(conditions, first)
    assert not set_condition(conditions, condition("Succeeded", "Unknown", "Running", "x", 2, 100))
    assert conditions == [first]
    assert set_condition(conditions, condition("Succeeded", "Unknown", "Running", "y", 2, 100))
    assert conditions[0]["lastTransitionTime"] == "1970-01-01T00:00:00Z"
    assert set_condition(conditions, condition("Finished", "False", "Running", "z", 2, 100))
    assert set_condition(conditions, condition("Succeeded", "True", "Succeeded", "y", 2, 100))
    assert [(c["type"], c["status"], c["lastTransitionTime"][-3:]) for c in conditions] == [
        ("Succeeded", "True", "40Z"),
        ("Finished", "False", "40Z"),
    ]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.000001Z", 1.000001),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2026-11-23T09:00:00.500000Z", 1795424400.5),
    ],
)
def test_seconds_of(time: str, seconds: float) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize("text", ["soon", "", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_what_is_not_a_time_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|outside the years"):
        seconds_of(text)


@steady
@given(st.integers(0, 4_000_000_000_000_000))
def test_times_read_back_to_the_microsecond(micros: int) -> None:
    assert abs(seconds_of(utc(micros / 1e6)) - micros / 1e6) < 1e-6


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0.0s"),
        (0, "0.0s"),
        (0.04, "0.0s"),
        (9.96, "10.0s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (60, "1m00s"),
        (119.99, "1m59s"),
        (3_599.99, "59m59s"),
        (3_600, "1h00m"),
        (90_061, "25h01m"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@steady
@given(st.floats(0, 1e9))
def test_durations_are_short(seconds: float) -> None:
    assert len(duration(seconds)) <= 32
    assert not duration(seconds).startswith("60")
