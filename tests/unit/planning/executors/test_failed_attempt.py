"""What follows from an attempt that failed."""

from __future__ import annotations

import pytest

from builders import NOW
from podgraph.definition.graph import Graph, Op
from podgraph.planning.actions import Actions
from podgraph.planning.executors.failed_attempt import MAX_ASSIGNMENT, end_failed_attempt, oversized_input
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.pods.passes import Pass
from podgraph.planning.steps.records import Steps


@pytest.mark.parametrize(("most_lost", "state"), [(1, "UpForRetry"), (0, "Failed"), (None, "Failed")])
def test_an_attempt_that_the_cluster_ended_is_counted_whatever_follows(most_lost: int | None, state: str) -> None:
    graph = Graph.of("j", [Op("a", (), ())])
    steps, pass_ = Steps(graph, graph.order, {}), Pass(NOW, {}, Actions())
    steps.begin("a")
    due = end_failed_attempt(steps, "a", Outcome({}, "Evicted", "x", fault=Fault.INFRASTRUCTURE), most_lost, "u", pass_)
    assert (steps.records["a"].state, steps.records["a"].infra_failures) == (state, 1)
    assert (due is not None and due > NOW) is (state == "UpForRetry")
    assert [(event.reason, event.op) for event in pass_.actions.events] == [
        ("StepRetried" if state == "UpForRetry" else "StepFailed", "a")
    ]


def test_only_inputs_within_the_limit_are_taken() -> None:
    assert oversized_input("a", {"x": "1" * MAX_ASSIGNMENT}) is None
    refused = oversized_input("a", {"x": "1" * MAX_ASSIGNMENT, "y": "1"})
    assert refused is not None
    assert (refused.reason, refused.fault) == ("InputTooLarge", Fault.PERMANENT)
    assert "input 'x' of op 'a'" in refused.message
