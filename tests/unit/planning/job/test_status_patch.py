"""The patch of the steps in a Job's status."""

from __future__ import annotations

from builders import NOW
from podgraph.definition.graph import Graph, Op
from podgraph.planning.job.status_patch import status_patch
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.steps.records import Steps
from podgraph.protocol.times import utc


def steps() -> Steps:
    graph = Graph.of("j", [Op("a", (), ()), Op("b", (), ())])
    return Steps(graph, graph.order, {})


def test_only_what_changed_is_written_and_once() -> None:
    found = steps()
    assert status_patch(found, {}, utc(NOW), NOW) == {}
    found.begin("a")
    patch = status_patch(found, {}, utc(NOW), NOW + 3)
    assert list(patch["steps"]) == ["a"]
    assert patch["steps"]["a"]["state"] == "Starting"
    assert (patch["progress"], patch["duration"]) == ("0/2", "3.0s")
    assert (patch["counts"]["total"], patch["counts"]["starting"], patch["counts"]["pending"]) == (2, 1, 1)
    assert status_patch(found, {}, utc(NOW), NOW + 4) == {}


def test_a_finished_job_has_its_duration_from_elsewhere() -> None:
    found = steps()
    found.end("a", Outcome())
    patch = status_patch(found, {}, None, NOW)
    assert patch["progress"] == "1/2"
    assert "duration" not in patch


def test_pods_that_steps_share_are_a_change_too() -> None:
    pods = {"pods": {"p": {"state": "Running"}}}
    patch = status_patch(steps(), pods, None, NOW)
    assert (patch["steps"], patch["pods"]) == ({}, pods["pods"])
