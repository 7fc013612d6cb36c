"""How a kept log is read, and what is told when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.log_reader import ended, has_run, lost, reading, too_slow
from podgraph.protocol.step import Assignment

Obj = dict[str, Any]


def job(image: str = "python:3", **storage: Any) -> Obj:
    return {
        "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
        "spec": {"code": {"source": "x", **({"image": image} if image else {})}},
        "status": {
            "storage": {"url": "s3://b/p", "logs": True, **storage},
            "steps": {"one": {"state": "Succeeded", "attempt": 3}, "two": {"state": "Failed", "attempt": 1}},
        },
    }


def pod(phase: str, **state: Any) -> Obj:
    return {"status": {"phase": phase, "containerStatuses": [{"state": state}]}}


def test_a_pod_reads_the_last_attempts() -> None:
    how = reading(job(), ["one", "two"], "YQ==", "d" * 64)
    assignment = Assignment.from_text(how.pod["metadata"]["annotations"]["podgraph.dev/assignment"])
    assert (assignment.show, assignment.nonce, how.source) == ({"one": 3, "two": 1}, how.nonce, "s3://b/p")
    assert how.pod["metadata"]["namespace"] == how.config_map["metadata"]["namespace"] == "ns"
    assert how.name == how.pod["metadata"]["name"]
    assert reading(job(image="python:4"), ["one"], "", "d").pod["spec"]["containers"][0]["image"] == "python:4"
    assert reading(job(), ["one"], "", "d").nonce != how.nonce


def test_a_job_that_tells_no_image() -> None:
    with pytest.raises(DefinitionError, match="does not name an image"):
        reading(job(image=""), ["one"], "", "d")


def test_when_the_pod_has_ended() -> None:
    assert [ended(pod(phase)) for phase in ("Pending", "Running", "Succeeded")] == [None, None, ""]
    assert ended(pod("Failed", terminated={"message": "no such bucket\n"})) == "no such bucket"
    assert ended({"status": {"phase": "Failed", "message": "evicted: no memory"}}) == "evicted: no memory"
    assert ended(pod("Failed")) == "its pod failed"


def test_what_a_pod_that_is_too_slow_waits_for() -> None:
    why = {"reason": "ErrImagePull", "message": "not found"}
    assert too_slow(pod("Pending", waiting=why)) == (
        "the pod that reads them was not done within 120 s (ErrImagePull: not found)"
    )
    unscheduled = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}
    assert too_slow({"status": {"phase": "Pending", **unscheduled}}).endswith("(0/1 nodes are available)")
    assert too_slow({}) == "the pod that reads them was not done within 120 s"


def test_why_a_log_is_lost() -> None:
    assert "the storage has none" in lost(job())
    assert "spec.storage.logs: true would have kept them" in lost(job(logs=False))
    assert "spec.storage.logs: true" in lost({})


def test_which_steps_may_have_left_a_log() -> None:
    told = [{"state": "Succeeded", "attempt": 1}, {"state": "Running", "attempt": 1}, {"state": "Canceled"}]
    assert [has_run(record) for record in told] == [True, False, False]
