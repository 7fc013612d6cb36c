"""A pod that steps share, followed through one `Run` and through restarts of it."""

from __future__ import annotations

from typing import Any

import pytest

from builders import NOW, look, make_run, states
from podgraph.definition.graph import Graph, Input, Op, Output, OutputRef
from podgraph.planning.actions import Actions
from podgraph.planning.job.run import Run
from podgraph.planning.manifests.storage import needs_cleaning
from podgraph.planning.model import names
from podgraph.planning.pods.types import (
    ContainerState,
    ContainerStatus,
    Meta,
    Pod,
    PodStatus,
    Running,
    Terminated,
    Waiting,
)
from podgraph.protocol.graph_codec import pack
from podgraph.protocol.reports import StepReport, pack_states
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, Record
from podgraph.protocol.times import utc

Obj = dict[str, Any]
TIME = "2026-11-23T09:00:00.000000Z"
CODE = {"source": "x"}


def graph() -> Graph:
    """a -> b -> c in one pod; d takes b's output outside of it."""

    def op(name: str, *ups: str, pod: str = "p") -> Op:
        inputs = tuple(Input(up, (OutputRef(up, "result"),)) for up in ups)
        return Op(name, inputs, (Output("result"),), pod=pod)

    return Graph.of("j", [op("a"), op("b", "a"), op("c", "b"), op("d", "b", pod="")])


def shared(status: Obj | None = None, **spec: Any) -> Run:
    return make_run(code=CODE, status={"graph": pack(graph()), **(status or {})}, **spec)


def name(attempt: int = 1) -> str:
    return names.shared_pod("j", "u1", "p", attempt)


def pod(state: ContainerState | None = None, attempt: int = 1, deleted: float | None = None, **more: Any) -> Pod:
    containers = [ContainerStatus(names.CONTAINER, state)] if state else []
    meta = Meta(
        name(attempt), "default", f"p{attempt}", creation_timestamp=utc(NOW),
        deletion_timestamp=None if deleted is None else utc(deleted),
    )  # fmt: skip
    return Pod(meta, PodStatus(container_statuses=containers), **more)


def runs(attempt: int = 1, **more: Any) -> Pod:
    return pod(ContainerState(running=Running(TIME)), attempt, **more)


def ended(record: Record | None = None, code: int = 0, attempt: int = 1, reason: str = "") -> Pod:
    text = record.to_line() if record else ""
    return pod(ContainerState(terminated=Terminated(code, 0, reason, text, TIME, TIME)), attempt)


def well(*ends: str, attempt: int = 1) -> Pod:
    reason = "StepsFailed" if "Failed" in ends else ""
    nonce = names.shared_nonce("u1", "p", attempt)
    record = Record(nonce, "Failed" if reason else "Succeeded", reason=reason, summary=pack_states(ends))
    return ended(record, int(bool(reason)), attempt)


def says(run: Run, step: str, state: str, number: int = 1, attempt: int = 1, **more: Any) -> None:
    line = StepReport(step, state, number, TIME, **more).to_line(Signer(names.shared_nonce("u1", "p", attempt)))
    run.take_lines(name(attempt), [line])


def made(actions: Actions) -> list[str]:
    return [p["metadata"]["name"] for p in actions.creates]


def told(actions: Actions) -> Obj:
    (manifest,) = actions.creates
    return Assignment.from_text(manifest["metadata"]["annotations"][names.ASSIGNMENT]).shared


def after(run: Run, actions: Actions, **spec: Any) -> Run:
    """Return the run that an operator makes anew from what was written."""
    patch = run.patch(NOW)
    assert "pods" in patch
    return shared({**actions.status, **patch}, **spec)


def test_the_pod_is_told_its_steps_and_those_it_is_to_tell_of() -> None:
    run = shared()
    actions = look(run)
    assert made(actions) == [name()]
    assert told(actions) == {
        "pod": "p", "members": ["a", "b", "c"], "ops": {"a": {}, "b": {"told": ["result"]}, "c": {}}, "done": {}
    }  # fmt: skip
    assert look(run).creates == []
    assert look(run, runs()).follow_logs == [name()]
    assert run.patch(NOW)["pods"] == {
        "p": {"state": "Running", "attempt": 1, "podUID": "p1",
              **dict.fromkeys(("infrastructureFailures", "retryTime", "reason", "message"))}
    }  # fmt: skip
    assert run.patch(NOW) == {}


def test_reports_come_in_any_number_and_from_this_attempt_alone() -> None:
    run = shared()
    look(run)
    retried: list[tuple[str, str]] = []
    for _ in range(2):
        says(run, "a", "Running")
        says(run, "a", "UpForRetry", reason="OpFailed", message="no", retry_time=TIME)
        says(run, "a", "Running", 2)
        says(run, "b", "Succeeded", attempt=2, outputs={"result": "1"})
        run.take_lines(name(), [StepReport("b", "Succeeded", 1).to_line(Signer("made up"))])
        events = look(run, runs()).events
        retried.extend((e.reason, e.op) for e in events)
        assert states(run) == {"a": "Running", "b": "Pending", "c": "Pending", "d": "Pending"}
    assert retried == [("StepRetried", "a")]
    assert events == []
    says(run, "d", "Succeeded")
    look(run, runs())
    assert states(run)["d"] == "Pending", "a pod speaks of its own steps"


@pytest.mark.parametrize(
    ("outputs", "stored", "reason"),
    [
        ({"result": "1"}, {}, ""),
        ({}, {"result": {"format": "pickle", "data": "AAAA", "mac": "0" * 32}}, ""),
        ({}, {"result": {"format": "json", "size": 5, "sha256": "0" * 64, "mac": "0" * 32}}, ""),
        ({}, {}, "WrongOutputs"),
        ({"result": "no json"}, {}, "WrongOutputs"),
        ({"result": "1", "other": "2"}, {}, "WrongOutputs"),
        ({}, {"result": {"format": "pickle", "data": "AAAA", "mac": "0" * 32, "key": "elsewhere"}}, "WrongOutputs"),
        ({"result": '"' + "x" * 4_000 + '"'}, {}, "OutputTooLarge"),
    ],
)
def test_what_is_needed_outside_counts_only_when_it_is_told_whole(outputs: Obj, stored: Obj, reason: str) -> None:
    run = shared()
    look(run)
    says(run, "b", "Succeeded", outputs=outputs, stored=stored)
    actions = look(run, runs())
    assert run.steps is not None
    record = run.steps.records["b"]
    assert (record.state, record.reason) == ("Failed" if reason else "Succeeded", reason)
    assert len(actions.creates) == (not reason)
    if "size" in str(stored):
        assert '"key":"default/j/u1/@p/1/ops/b/1/result"' in record.outputs["result"]


def test_outputs_that_nobody_needs_are_left_out_when_the_status_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgraph.planning.job.run.output_budget", lambda *_: 3)
    run = shared()
    look(run)
    says(run, "a", "Succeeded", outputs={"result": "12345"})
    look(run, runs())
    assert run.steps is not None
    assert (states(run)["a"], run.steps.records["a"].outputs) == ("Succeeded", {})
    says(run, "b", "Succeeded", outputs={"result": "12345"})
    look(run, runs())
    assert (states(run)["b"], run.steps.records["b"].reason) == ("Failed", "OutputsFull")


def test_a_restart_finds_the_pod_whether_or_not_it_was_written() -> None:
    first = shared()
    actions = look(first)
    first.created(name(), "p1")
    for run in (after(first, actions), shared()):
        assert made(look(run, runs())) == []
        says(run, "a", "Succeeded")
        look(run, runs())
        assert states(run)["a"] == "Succeeded"


def test_a_pod_that_was_asked_for_and_never_seen_is_asked_for_again() -> None:
    first = shared()
    assert made(look(after(first, look(first)))) == [name()]


def test_the_next_attempt_is_due_after_a_while_and_found_by_a_restart() -> None:
    run = shared()
    look(run)
    says(run, "a", "Running")
    look(run, runs())
    actions = look(run, pod(gone=True))
    assert actions.requeue_time is not None
    assert NOW + 5 <= actions.requeue_time <= NOW + 6.25
    assert actions.flush_status
    assert [(e.reason, e.op) for e in actions.events] == [("PodRetried", "")]
    status = {**actions.status, **run.patch(NOW)}
    again, found = shared(status), shared(status)
    assert made(look(again, now=actions.requeue_time - 1)) == []
    assert made(look(again, now=actions.requeue_time)) == [name(2)]
    assert made(look(found, runs(2), now=actions.requeue_time)) == []
    says(found, "a", "Running", 2, 2)
    look(found, runs(2))
    assert states(found)["a"] == "Running"


def test_losses_beyond_the_bound_end_the_steps() -> None:
    run = shared(execution={"infrastructureRetries": 0})
    look(run)
    says(run, "a", "Running")
    look(run, runs())
    look(run, pod(gone=True))
    assert states(run) == {"a": "Failed", **dict.fromkeys("bcd", "UpstreamFailed")}
    assert run.finished


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (pod(ContainerState(waiting=Waiting("ErrImagePull", "not found"))), "ErrImagePull"),
        (ended(Record(names.shared_nonce("u1", "p", 1), "Failed", reason="CodeError", message="no"), 1), "CodeError"),
        (ended(code=1), "ContainerFailed"),
    ],
)
def test_what_no_other_pod_could_mend_ends_its_steps(seen: Pod, reason: str) -> None:
    run = shared()
    look(run)
    actions = look(run, seen)
    if actions.read_logs:
        run.take_lines(name(), [], True)
        actions = look(run, seen)
    assert states(run) == {"a": "Failed", **dict.fromkeys("bcd", "UpstreamFailed")}
    assert run.steps is not None
    assert run.steps.records["a"].reason == reason
    assert [(e.reason, e.op) for e in actions.events][:1] == [("StepFailed", "a")]


def test_a_pod_that_never_starts_is_made_again_and_no_step_has_had_an_attempt() -> None:
    run = shared(execution={"pendingTimeoutSeconds": 60})
    look(run)
    assert look(run, pod()).requeue_time == NOW + 60
    actions = run.advance({name(): pod()}, [], NOW + 60)
    assert actions.deletes == [name()]
    assert run.patch(NOW)["pods"]["p"]["reason"] == "PendingTimeout"
    assert actions.requeue_time is not None
    again = run.advance({}, [], actions.requeue_time)
    assert made(again) == [name(2)]
    assert told(again)["ops"]["a"] == {}
    late = run.advance({name(): pod()}, [name()], actions.requeue_time)
    assert late.deletes == [name()]


def test_a_pod_the_api_server_refuses_ends_its_steps() -> None:
    run = shared()
    look(run)
    run.not_created(name(), "Forbidden", "quota", NOW)
    assert states(run) == {"a": "Failed", **dict.fromkeys("bcd", "UpstreamFailed")}


def test_inputs_that_are_too_many_end_its_steps() -> None:
    big = {"ops": {"a": {"inputs": {"x": "y" * 250_000}}}}
    ops = [Op("a", (Input("x"),), pod="p"), Op("b", (Input("a", (OutputRef("a"),)),), pod="p")]
    run = make_run(code=CODE, status={"graph": pack(Graph.of("j", ops))}, runConfig=big)
    assert made(look(run)) == []
    assert run.steps is not None
    assert run.steps.records["a"].reason == "InputTooLarge"
    assert "250," in run.steps.records["a"].message
    assert run.finished


def test_the_record_tells_what_the_log_does_not() -> None:
    run = shared(opSelection=["a", "b", "c"])
    look(run)
    assert look(run, well("Succeeded", "Failed", "UpstreamFailed")).read_logs == [name()]
    assert run.advance({name(): well("Succeeded")}, [], NOW).read_logs == [name()], "until it is read"
    run.take_lines(name(), [], True)
    look(run, well("Succeeded", "Failed", "UpstreamFailed"))
    assert states(run) == {"a": "Succeeded", "b": "Failed", "c": "UpstreamFailed"}
    assert run.steps is not None
    assert run.steps.records["b"].reason == "ReportLost"


def test_a_deadline_ends_the_pod_and_then_its_steps() -> None:
    run = shared(activeDeadlineSeconds=60)
    look(run)
    says(run, "a", "Running")
    look(run, runs())
    actions = look(run, runs(), now=NOW + 60)
    assert actions.deletes == [name()]
    assert states(run) == {"a": "Stopping", "b": "Pending", "c": "Pending", "d": "Canceled"}
    status = {"startTime": utc(NOW), **actions.status, **run.patch(NOW)}
    restarted, late = (shared(status, activeDeadlineSeconds=60) for _ in range(2))
    assert look(restarted, runs(), now=NOW + 61).deletes == [name()]
    for each in (run, restarted, late):
        look(each, pod(gone=True), now=NOW + 62)
        assert states(each) == {"a": "Failed", "b": "Canceled", "c": "Canceled", "d": "Canceled"}
        assert each.steps is not None
        assert each.steps.records["a"].reason == "DeadlineExceeded"
        assert each.finished


def test_a_job_canceled_before_its_pod_makes_none() -> None:
    run = shared(suspend=True)
    look(run)
    run.control = type(run.control)(cancel=True)
    actions = look(run)
    assert made(actions) == []
    assert set(states(run).values()) == {"Canceled"}
    assert run.finished


def test_a_repeated_step_that_fails_fails_those_that_wait_for_it() -> None:
    run = shared()
    look(run)
    says(run, "a", "Succeeded")
    says(run, "b", "Running")
    look(run, runs())
    actions = look(run, pod(gone=True))
    assert actions.requeue_time is not None
    assert set(told(run.advance({}, [], actions.requeue_time))["ops"]) == {"a", "b", "c"}
    says(run, "a", "Failed", 2, 2, reason="OpFailed", message="no")
    look(run, runs(2))
    assert states(run) == {"a": "Succeeded", "b": "Failed", "c": "UpstreamFailed", "d": "UpstreamFailed"}
    assert run.steps is not None
    assert run.steps.records["b"].reason == "InputLost"
    assert "op 'a'" in run.steps.records["b"].message


def test_a_step_is_not_left_out_for_a_failure_that_nobody_sees() -> None:
    """a and b are run again for c; a fails, so b is not run, and both had succeeded before."""
    run = shared(opSelection=["a", "b", "c"])
    look(run)
    for step in "ab":
        says(run, step, "Succeeded")
    says(run, "c", "Running")
    look(run, runs())
    actions = look(run, pod(gone=True))
    assert actions.requeue_time is not None
    assert list(told(run.advance({}, [], actions.requeue_time))["ops"]) == ["a", "b", "c"]
    says(run, "a", "Failed", 2, 2, reason="OpFailed", message="no")
    says(run, "b", "UpstreamFailed", 1, 2, message="not run: a failed")
    says(run, "c", "UpstreamFailed", 1, 2, message="not run: b failed")
    look(run, runs(2))
    assert states(run) == {"a": "Succeeded", "b": "Succeeded", "c": "Failed"}
    assert run.steps is not None
    assert run.steps.records["c"].reason == "InputLost"


def test_a_second_pod_may_have_stored_what_nobody_told_of() -> None:
    steps = {"a": {"state": "Succeeded", "attempt": 1}}
    assert not needs_cleaning({"steps": steps, "pods": {"p": {"attempt": 1}}})
    assert needs_cleaning({"steps": steps, "pods": {"p": {"attempt": 2}}})
    assert needs_cleaning({"steps": {}, "storage": {"logs": True}, "pods": {"p": {"attempt": 1}}})
