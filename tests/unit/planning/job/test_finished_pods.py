"""The pods of a finished Job."""

from __future__ import annotations

import pytest

from builders import NOW, ended, pod, pod_with
from podgraph.planning.executors.pod_per_step import EXIT_SECONDS
from podgraph.planning.job.finished_pods import exit_deadlines, unneeded_pods
from podgraph.planning.model import names
from podgraph.planning.model.status import StepRecord
from podgraph.protocol.times import utc


def test_a_pod_that_reported_has_time_to_exit_and_others_have_none() -> None:
    records = {"a": StepRecord("Succeeded", 1, pod_uid="u-a", completion_time=utc(NOW)), "b": StepRecord("Running", 1)}
    pods = {p.metadata.name: p for p in (
        pod("a").uid("u-a").running(NOW).obj(), pod("b").running(NOW).obj(), pod("early").running(NOW).obj(),
        pod("out").exited().obj(),
    )}  # fmt: skip
    exits = {"early": NOW + 5, "out": NOW + 5, "unknown": NOW + 5, "a": NOW + 1}
    assert exit_deadlines(records, exits, pods) == {"a": NOW + EXIT_SECONDS, "early": NOW + 5}


@pytest.mark.parametrize(
    ("retention", "accepted", "deleted"),
    [
        ("Always", True, []),
        ("Never", True, ["good", "bad", "resolve"]),
        ("OnFailure", True, ["good", "resolve"]),
        ("OnFailure", False, ["good"]),
    ],
)
def test_pod_retention(retention: str, accepted: bool, deleted: list[str]) -> None:
    records = {
        "a": StepRecord("Succeeded", 1, pod_uid="u1"),
        "b": StepRecord("Failed", 1, pod_uid="u2"),
    }
    pods = {
        "good": ended("good", uid="u1"),
        "bad": ended("bad", code=1, uid="u2"),
        "resolve": ended("resolve", uid="u3"),
    }
    for name, step in (("good", "a"), ("bad", "b")):
        pods[name].metadata.labels[names.OP_LABEL] = step
    assert unneeded_pods(retention, records, pods, accepted) == deleted


def test_a_pod_that_never_ran_is_deleted_in_any_case() -> None:
    assert unneeded_pods("Always", {}, {"x": pod_with("x")}, True) == ["x"]
