from __future__ import annotations

from typing import Any

from podgraph.planning.actions import Actions, Assign, Event
from podgraph.reconcile.jobs.state import JobState

OBJECT: dict[str, Any] = {"metadata": {"namespace": "default", "uid": "u1"}}


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def test_actions_are_kept_until_they_are_done() -> None:
    job = JobState(OBJECT)
    job.remember(Actions(creates=[pod("a")], status={"x": 1, "y": 1}, flush_status=True, confirm=["b"]))
    job.remember(Actions(creates=[pod("c")], status={"y": 2}, events=[Event("Normal", "R", "m")]))
    assert list(job.to_create) == ["a", "c"]
    assert (job.status, job.flush_status, job.to_confirm) == ({"x": 1, "y": 2}, True, {"b"})
    assert [event.reason for event in job.events] == ["R"]


def test_a_pod_that_is_to_be_deleted_is_neither_created_nor_assigned() -> None:
    job = JobState(OBJECT)
    job.remember(Actions(creates=[pod("a"), pod("b")], assigns=[Assign("a", "u", {}), Assign("c", "u", {})]))
    job.remember(Actions(deletes=["a"]))
    assert (list(job.to_create), list(job.to_assign), job.to_delete) == (["b"], ["c"], {"a"})
