"""What conditions say, read in one place."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.api import (
    Ready,
    condition_of,
    find_condition,
    is_finished,
    is_succeeded,
    manifest,
    owner_reference,
    ready_of,
)

UNSEEN = Ready("Unknown", "", "the operator has not reconciled it yet")


def definition(generation: int = 2, **ready: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"metadata": {"name": "d", "generation": generation}}
    if ready:
        found["status"] = {"conditions": [{"type": "Other"}, {"type": "Ready", **ready}]}
    return found


@pytest.mark.parametrize("status", [None, {}, {"conditions": None}, {"conditions": []}, {"conditions": [{}]}])
def test_what_has_no_condition_is_not_finished(status: Any) -> None:
    job = {"status": status}
    assert condition_of(job, "Finished") == find_condition(status, "Finished") == {}
    assert not is_finished(job)
    assert not is_finished({})


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_finished_and_succeeded_are_true_only_with_the_status_true(status: str) -> None:
    job = {"status": {"conditions": [{"type": "Finished", "status": status}, {"type": "Succeeded", "status": status}]}}
    assert is_finished(job) is is_succeeded(job) is (status == "True")


def test_a_condition_of_this_generation_says_whether_it_is_ready() -> None:
    found = definition(status="False", reason="PodCycle", message="a pod cycle", observedGeneration=2)
    assert ready_of(found) == ("False", "PodCycle", "a pod cycle")


@pytest.mark.parametrize(
    "found",
    [
        definition(),
        definition(status="True", reason="Ready", message="3 ops", observedGeneration=1),
        definition(status="True", reason="Ready", message="3 ops", observedGeneration=3),
        definition(status="True", reason="Ready", message="3 ops"),
        definition(observedGeneration=2),
    ],
    ids=["none", "earlier", "later", "of no generation", "without a status"],
)
def test_a_condition_of_another_generation_says_nothing(found: dict[str, Any]) -> None:
    assert ready_of(found) == UNSEEN


def test_a_manifest_and_the_reference_to_it() -> None:
    made = manifest("JobSensor", {"name": "s", "uid": "u"}, {"suspend": True})
    assert made["apiVersion"] == "podgraph.dev/v1alpha1"
    assert owner_reference(made) == {
        "apiVersion": "podgraph.dev/v1alpha1", "kind": "JobSensor", "name": "s", "uid": "u", "controller": True,
    }  # fmt: skip
