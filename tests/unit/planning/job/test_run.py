from __future__ import annotations

import pytest

from builders import NO_RETRIES, NOW, created, ended, image_op, look, make_run, pod_with, states
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model import names
from podgraph.planning.pods.types import (
    ContainerState,
    Pod,
    Running,
    Waiting,
)


def pod_name(step: str) -> str:
    return names.step_pod("j", "u1", step, 1)


def waiting(name: str, reason: str = "ErrImagePull", message: str = "unauthorized") -> Pod:
    return pod_with(name, ContainerState(waiting=Waiting(reason, message)))


def test_a_step_is_created_once_and_its_follower_when_it_ends() -> None:
    run = make_run(image_op("a"), image_op("b", "a"))
    assert created(look(run)) == ["a"]
    assert created(look(run)) == []
    assert created(look(run, ended(pod_name("a")))) == ["b"]
    actions = look(run, ended(pod_name("b")))
    assert run.finished
    assert actions.flush_status
    assert actions.status["completionTime"]


def test_what_waits_for_a_registry_is_looked_at_again_though_nothing_changes() -> None:
    run = make_run(image_op("a"), image_op("b"))
    look(run)
    stuck = waiting(pod_name("a"))
    known = {stuck.metadata.name: stuck}
    assert run.advance(known, known, NOW).requeue_time == NOW + 30
    # Passes for other reasons ask for it again: the queue keeps only the earliest wish.
    assert run.advance(known, [], NOW + 1).requeue_time == NOW + 30
    actions = run.advance(known, [], NOW + 30)
    assert actions.deletes == [stuck.metadata.name]
    assert actions.requeue_time is None
    assert states(run) == {"a": "Failed", "b": "Starting"}
    assert run.advance(known, known, NOW + 31).requeue_time is None


@pytest.mark.parametrize(
    "later",
    [
        pod_with(pod_name("a"), ContainerState(running=Running("2026-11-23T09:00:00Z"))),
        pod_with(pod_name("a"), ContainerState(waiting=Waiting("ContainerCreating"))),
        ended(pod_name("a")),
    ],
    ids=["running", "creating", "ended"],
)
def test_a_registry_that_answers_at_last_ends_the_wait(later: Pod) -> None:
    run = make_run(image_op("a"), image_op("b"))
    look(run)
    look(run, waiting(pod_name("a")))
    assert look(run, later, now=NOW + 29).requeue_time is None
    assert look(run, later, now=NOW + 60).deletes == []


def test_an_image_that_does_not_exist_is_not_waited_for() -> None:
    run = make_run(image_op("a"), image_op("b"))
    look(run)
    actions = look(run, waiting(pod_name("a"), message="manifest unknown"))
    assert actions.deletes == [pod_name("a")]
    assert actions.requeue_time is None


def test_a_resolve_pod_that_started_late_leaves_no_wish_to_look_again() -> None:
    run = make_run(code={"module": "m"})
    name = names.resolve_pod("j", "u1")
    look(run)
    assert look(run, waiting(name)).requeue_time == NOW + 30
    assert look(run, pod_with(name, ContainerState(running=Running())), now=NOW + 5).requeue_time is None
    assert look(run, pod_with(name, ContainerState(running=Running())), now=NOW + 50).requeue_time is None


def test_a_missing_pod_is_confirmed_before_its_step_fails() -> None:
    run = make_run(image_op("a"), execution=NO_RETRIES)
    look(run)
    run.created(pod_name("a"), "p1")
    actions = run.advance({}, [pod_name("a")], NOW)
    assert actions.confirm == [pod_name("a")]
    assert states(run) == {"a": "Starting"}
    run.confirm_gone(pod_name("a"))
    run.advance({}, [pod_name("a")], NOW)
    assert states(run) == {"a": "Failed"}


def test_a_pod_never_created_is_not_missed() -> None:
    run = make_run(image_op("a"))
    look(run)
    assert run.advance({}, [pod_name("a")], NOW).confirm == []


def test_another_pod_of_the_same_name_is_not_taken_for_ours() -> None:
    run = make_run(image_op("a"), execution=NO_RETRIES)
    look(run)
    run.created(pod_name("a"), "p1")
    actions = look(run, ended(pod_name("a"), uid="p2"))
    assert states(run) == {"a": "Failed"}
    assert actions.deletes == [pod_name("a")]


def test_a_run_made_anew_goes_on_where_the_status_and_the_pods_are() -> None:
    first = make_run(image_op("a"), image_op("b", "a"), image_op("c", "b"))
    actions = look(first)
    first.created(pod_name("a"), "p1")
    status = {**actions.status, **first.patch(NOW)}
    assert status["steps"]["a"]["state"] == "Starting"
    # a ended and b was created, then the operator died before it wrote: both are seen at once, in any order.
    second = make_run(image_op("a"), image_op("b", "a"), image_op("c", "b"), status=status)
    known = {p.metadata.name: p for p in (ended(pod_name("b"), uid="p2"), ended(pod_name("a")))}
    assert created(second.advance(known, known, NOW)) == ["c"]
    assert states(second) == {"a": "Succeeded", "b": "Succeeded", "c": "Starting"}


def test_a_step_whose_create_was_never_told_is_created_again() -> None:
    first = make_run(image_op("a"))
    status = {**look(first).status, **first.patch(NOW)}
    assert created(look(make_run(image_op("a"), status=status))) == ["a"]


def test_a_finished_run_only_clears_away_what_has_not_ended() -> None:
    status = {"conditions": [{"type": "Finished", "status": "True"}], "startTime": "2026-11-23T09:00:00.000000Z"}
    run = make_run(image_op("a"), image_op("b"), status=status)
    running = pod_with("x", ContainerState(running=Running()))
    actions = look(run, waiting("y"), running, ended("z"))
    assert actions.deletes == ["y", "x"]
    assert not actions.creates
    assert not actions.status
    assert run.patch(NOW) == {}


def test_a_patch_holds_what_changed_since_the_last() -> None:
    run = make_run(image_op("a"), image_op("b"))
    look(run)
    assert run.patch(NOW + 5)["steps"].keys() == {"a", "b"}
    assert not run.has_changes
    look(run, ended(pod_name("a")))
    patch = run.patch(NOW + 5)
    assert patch["steps"].keys() == {"a"}
    assert patch["progress"] == "1/2"
    assert patch["duration"] == "5.0s"
    assert run.patch(NOW) == {}


def test_a_job_that_would_not_fit_into_the_cluster_s_store_is_refused() -> None:
    run = make_run(*(image_op(f"n{i}", script="x" * 60_000) for i in range(23)))
    actions = look(run)
    assert run.finished
    accepted = next(c for c in actions.status["conditions"] if c["type"] == "Accepted")
    assert accepted["reason"] == "TooLarge"
    assert actions.creates == []


def test_outputs_that_would_not_fit_into_the_status_fail_their_step() -> None:
    run = make_run(*(image_op(f"n{i}") for i in range(200)))
    look(run)
    for i in range(200):
        look(run, ended(pod_name(f"n{i}"), "result=" + "x" * 3_000))
    assert run.steps is not None
    assert run.steps.output_bytes <= 524_288
    full = [r for r in run.steps.records.values() if r.state == "Failed"]
    assert full
    assert {r.reason for r in full} == {"OutputsFull"}


def test_a_refused_pod_fails_its_step_and_a_refused_resolve_pod_the_job() -> None:
    run = make_run(image_op("a"), image_op("b", "a"))
    look(run)
    actions = run.not_created(pod_name("a"), "Forbidden", "exceeded quota", NOW)
    assert [(e.reason, e.op) for e in actions.events] == [("StepFailed", "a")]
    assert states(run) == {"a": "Failed", "b": "UpstreamFailed"}
    code = make_run(code={"module": "m"})
    look(code)
    with pytest.raises(DefinitionError, match="exceeded quota"):
        code.not_created(names.resolve_pod("j", "u1"), "Forbidden", "exceeded quota", NOW)


def test_the_code_is_copied_before_the_resolve_pod_is_made() -> None:
    run = make_run(code={"source": "x = 1"})
    actions = look(run)
    assert actions.copy_code
    assert actions.creates == []
    assert run.code_source() == ("x = 1", None)
    run.code_copied()
    actions = look(run)
    assert not actions.copy_code
    assert len(actions.creates) == 1
