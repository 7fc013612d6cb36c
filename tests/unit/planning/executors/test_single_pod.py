"""The one pod that runs all steps of a Job, followed through one `Run` and through restarts of it."""

from __future__ import annotations

from typing import Any

import pytest

from builders import NOW, look, make_run, states
from podgraph.definition.graph import Graph, Input, Op, Output, OutputRef
from podgraph.planning.actions import Actions
from podgraph.planning.job.run import Run
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
NAME, NONCE = names.run_pod("j", "u1"), names.run_nonce("u1")
TIME = "2026-11-23T09:00:00.000000Z"


def graph() -> Graph:
    """a -> b -> c, and d alone."""

    def op(name: str, *ups: str) -> Op:
        inputs = tuple(Input(up, (OutputRef(up, "result"),)) for up in ups)
        return Op(name, inputs, (Output("result"),))

    return Graph.of("j", [op("a"), op("b", "a"), op("c", "b"), op("d")])


def one_pod(status: Obj | None = None, **spec: Any) -> Run:
    execution = {"mode": "InProcess", **spec.pop("execution", {})}
    return make_run(
        code={"source": "x"}, execution=execution, status={"graph": pack(graph()), **(status or {})}, **spec
    )  # fmt: skip


def pod(state: ContainerState | None = None, uid: str = "p1", deleted: float | None = None, **more: Any) -> Pod:
    containers = [ContainerStatus(names.CONTAINER, state)] if state else []
    meta = Meta(NAME, "default", uid, deletion_timestamp=None if deleted is None else utc(deleted))
    return Pod(meta, PodStatus(container_statuses=containers), **more)


def runs(**more: Any) -> Pod:
    return pod(ContainerState(running=Running(TIME)), **more)


def ended(record: Record | None = None, code: int = 0, reason: str = "", text: str = "", **more: Any) -> Pod:
    text = record.to_line() if record else text
    return pod(ContainerState(terminated=Terminated(code, 0, reason, text, TIME, TIME)), **more)


def well(*ends: str) -> Pod:
    reason = "StepsFailed" if "Failed" in ends else ""
    outcome = "Failed" if reason else "Succeeded"
    return ended(Record(NONCE, outcome, reason=reason, summary=pack_states(ends)), code=int(bool(reason)))


def says(run: Run, *reports: StepReport, whole: bool = False) -> None:
    run.take_lines(NAME, [report.to_line(Signer(NONCE)) for report in reports], whole)


def step(name: str, state: str, attempt: int = 1, **more: Any) -> StepReport:
    times = {"start_time": TIME, "completion_time": TIME if state == "Succeeded" else ""} if attempt else {}
    return StepReport(name, state, attempt, **{**times, **more})


def written(run: Run, actions: Actions, before: Obj) -> Obj:
    return {**before, **actions.status, **run.patch(NOW)}


def test_one_pod_is_told_all_and_made_once() -> None:
    config = {"ops": {"a": {}}, "execution": {"config": {"in_process": {}}}}
    run = one_pod(runConfig=config, opSelection=["*b"])
    actions = look(run)
    (made,) = actions.creates
    assert made["metadata"]["name"] == NAME
    assert "activeDeadlineSeconds" not in made["spec"]
    assignment = Assignment.from_text(made["metadata"]["annotations"][names.ASSIGNMENT])
    assert (assignment.op, assignment.nonce, assignment.run_id) == ("", NONCE, "u1")
    assert assignment.group == {
        "selection": ["*b"], "runConfig": {"ops": {"a": {}}}, "execution": {"config": {"in_process": {}}}
    }  # fmt: skip
    assert states(run) == {"a": "Pending", "b": "Pending"}
    assert look(run).creates == []
    assert look(run, runs()).follow_log == NAME


def test_steps_are_as_their_reports_say_in_whatever_order_and_however_often() -> None:
    run = one_pod()
    look(run)
    reports = [
        step("a", "Running"),
        step("a", "UpForRetry", reason="OpFailed", message="no", retry_time=TIME),
        step("a", "Running", 2),
        step("a", "Succeeded", 2, outputs={"result": "1"}),
        step("b", "Running"),
    ]
    for many in (reports, reports[:2], [*reversed(reports)], []):
        says(run, *many)
        actions = look(run, runs())
        assert states(run) == {"a": "Succeeded", "b": "Running", "c": "Pending", "d": "Pending"}
        assert [(e.reason, e.op) for e in actions.events] == ([("StepRetried", "a")] if many is reports else [])
    assert run.steps is not None
    a = run.steps.records["a"]
    assert (a.attempt, a.outputs, a.start_time, a.pod_uid, a.reason, a.retry_time) == (
        2, {"result": "1"}, TIME, "p1", "", None
    )  # fmt: skip
    says(run, step("b", "Running"), step("nobody", "Running"))
    look(run, runs())
    assert run.patch(NOW)["counts"]["running"] == 1


def test_the_log_is_read_once_more_before_the_job_is_at_its_end() -> None:
    run = one_pod()
    look(run)
    look(run, runs())
    says(run, *(step(name, "Succeeded") for name in "abcd"))
    assert look(run, runs()).follow_log
    assert not run.finished  # its pod still puts resources away
    actions = look(run, well(*["Succeeded"] * 4))
    assert actions.read_reports == NAME
    assert not run.finished
    says(run, *(step(name, "Succeeded") for name in "abcd"), whole=True)
    actions = look(run, well(*["Succeeded"] * 4))
    assert run.finished
    assert actions.deletes == [NAME]  # by podRetention OnFailure
    assert actions.status["conditions"][1]["reason"] == "Succeeded"


def test_what_no_line_tells_the_record_does() -> None:
    run = one_pod()
    look(run)
    says(run, step("a", "Succeeded"), whole=True)
    actions = look(run, well("Succeeded", "Failed", "UpstreamFailed", "Succeeded"))
    assert states(run) == {"a": "Succeeded", "b": "Failed", "c": "UpstreamFailed", "d": "Succeeded"}
    assert run.steps is not None
    assert (run.steps.records["b"].reason, run.steps.records["d"].pod_uid) == ("ReportLost", "p1")
    assert run.finished
    assert actions.deletes == []


DEATHS = {
    "OOMKilled": (ended(code=137, reason="OOMKilled"), "exit code 137, SIGKILL, OOMKilled"),
    "ContainerFailed": (ended(code=3, text="Segmentation fault"), "exit code 3: Segmentation fault"),
    "NoResult": (ended(), "left no result"),
    "PodDeleted": (runs(gone=True), "deleted before it ended"),
    "InvalidRunConfig": (ended(Record(NONCE, "Failed", reason="InvalidRunConfig", message="x is no int"), 1), "no int"),
    "Evicted": (
        Pod(Meta(NAME, "default", "p1"), PodStatus(phase="Failed", reason="Evicted", message="low on memory")),
        "low on memory",
    ),
}


@pytest.mark.parametrize("reason", DEATHS)
def test_a_pod_that_dies_fails_what_was_not_done_and_gives_up_what_follows(reason: str) -> None:
    dead, text = DEATHS[reason]
    run = one_pod()
    look(run)
    look(run, runs())
    says(run, step("a", "Succeeded"), step("b", "Running"))
    if look(run, dead).read_reports:
        says(run, whole=True)
        actions = look(run, dead)
        assert next((e.reason, e.op) for e in actions.events if e.type == "Warning") == ("StepFailed", "b")
    assert states(run) == {"a": "Succeeded", "b": "Failed", "c": "UpstreamFailed", "d": "Failed"}
    assert run.finished
    assert run.steps is not None
    b = run.steps.records["b"]
    assert (b.reason, bool(b.completion_time)) == (reason, True)
    assert text in b.message
    assert look(run, dead).creates == []


def test_a_restart_finds_the_pod_and_makes_no_other() -> None:
    run = one_pod()
    status = written(run, look(run), {})
    run.created(NAME, "p1")
    status = written(run, look(run, runs()), status)
    says(run, step("a", "Succeeded"))  # its output is not told, which skips nothing
    before = written(run, look(run, runs()), status)
    again = one_pod(before)
    actions = look(again, runs())
    assert (actions.creates, actions.follow_log) == ([], NAME)
    assert states(again) == {"a": "Succeeded", "b": "Pending", "c": "Pending", "d": "Pending"}
    for known in (status, before):
        lost = one_pod(known)
        assert (look(lost).creates, lost.finished) == ([], False)
        assert look(lost).confirm == [NAME]
        lost.confirm_gone(NAME)
        look(lost)
        assert lost.finished
    assert states(lost) == {"a": "Succeeded", "b": "Failed", "c": "UpstreamFailed", "d": "Failed"}


def test_another_pod_under_its_name_is_not_taken_for_it() -> None:
    run = one_pod()
    look(run)
    run.created(NAME, "p1")
    actions = look(run, runs(uid="p2"))
    assert NAME in actions.deletes
    assert run.finished
    assert states(run)["a"] == "Failed"


def test_a_cancel_ends_the_pod_and_then_the_steps() -> None:
    run = one_pod()
    look(run)
    says(run, step("a", "Running"))
    look(run, runs())
    run.spec_changed({"metadata": {"generation": 2}, "spec": {"cancel": True}})
    assert look(run, runs()).deletes == [NAME]
    assert states(run) == {"a": "Stopping", "b": "Pending", "c": "Pending", "d": "Pending"}
    says(run, step("a", "UpForRetry"), step("b", "Running"))  # said before it heard of its end
    assert look(run, runs(deleted=NOW + 30)).requeue_time == NOW + 60
    assert not run.finished
    dead = ended(Record(NONCE, "Failed", reason="Interrupted", message="told to end"), 1, deleted=NOW + 30)
    assert look(run, dead).read_reports == NAME
    says(run, whole=True)
    look(run, dead)
    assert states(run) == dict.fromkeys("abcd", "Canceled")
    assert run.finished
    assert run.conditions.holds("Succeeded", "False")


@pytest.mark.parametrize("seen", [(), (pod(),)], ids=["not seen yet", "pending"])
def test_a_cancel_before_it_runs_waits_for_the_pod_that_was_asked_for(seen: tuple[Pod, ...]) -> None:
    run = one_pod()
    look(run)
    run.spec_changed({"metadata": {"generation": 2}, "spec": {"cancel": True}})
    assert NAME in look(run, *seen).deletes
    assert not run.finished
    assert look(run).confirm == [NAME]
    run.confirm_gone(NAME)
    look(run)
    assert states(run) == dict.fromkeys("abcd", "Canceled")
    assert run.finished


def test_a_cancel_while_suspended_makes_nothing() -> None:
    run = one_pod(suspend=True)
    assert look(run).creates == []
    run.spec_changed({"metadata": {"generation": 2}, "spec": {"suspend": True, "cancel": True}})
    actions = look(run)
    assert (actions.creates, actions.deletes, run.finished) == ([], [], True)
    assert states(run) == dict.fromkeys("abcd", "Canceled")


def test_the_job_s_deadline_fails_what_ran_and_cancels_the_rest() -> None:
    run = one_pod(activeDeadlineSeconds=10)
    assert look(run).requeue_time == NOW + 10
    says(run, step("a", "Succeeded"), step("b", "Running"))
    look(run, runs())
    assert look(run, runs(), now=NOW + 10).deletes == [NAME]
    look(run, runs(gone=True), now=NOW + 12)
    assert states(run) == {"a": "Succeeded", "b": "Failed", "c": "Canceled", "d": "Canceled"}
    assert run.finished
    assert run.steps is not None
    assert run.steps.records["b"].reason == "DeadlineExceeded"


def test_a_pod_that_cannot_start_is_given_up() -> None:
    run = one_pod()
    look(run)
    stuck = pod(ContainerState(waiting=Waiting("ErrImagePull", "not found")))
    actions = look(run, stuck)
    assert NAME in actions.deletes
    assert run.finished
    assert states(run) == {"a": "Failed", "b": "UpstreamFailed", "c": "UpstreamFailed", "d": "Failed"}
    refused = one_pod()
    look(refused)
    refused.not_created(NAME, "Forbidden", "exceeded quota", NOW)
    look(refused)
    assert states(refused)["d"] == "Failed"
    assert refused.finished


def test_outputs_for_which_there_is_no_room_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgraph.planning.model.limits.MAX_JOB_OUTPUTS", 10)
    run = one_pod()
    look(run)
    says(run, step("a", "Succeeded", outputs={"result": "1" * 9}), step("b", "Succeeded", outputs={"result": "22"}))
    says(run, step("c", "Succeeded", outputs={"result": "3"}))
    look(run, runs())
    assert run.steps is not None
    assert [run.steps.records[name].outputs for name in "abc"] == [{"result": "1" * 9}, {}, {"result": "3"}]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"execution": {"startMethod": "Spawn"}}, "startMethod is for the mode Multiprocess; the mode is InProcess"),
        ({"runConfig": {"execution": {"config": {"dask": {}}}}}, "dask"),
        ({"runConfig": {"execution": {"config": "dask"}}}, "execution"),
        ({"runConfig": {"execution": {"config": {"in_process": {"max_concurrent": 1}}}}}, "max_concurrent"),
        ({"opSelection": ["*d"] * 60_000}, "takes at most"),
    ],
)
def test_what_is_not_right_is_refused(spec: Obj, text: str) -> None:
    run = one_pod(**spec)
    actions = look(run)
    assert run.finished
    assert actions.creates == []
    assert text in str(actions.status["conditions"])


@pytest.mark.parametrize(
    "spec", [{"execution": {"mode": "InProcess"}}, {"runConfig": {"execution": {"config": {"in_process": None}}}}]
)
def test_container_ops_have_no_mode(spec: Obj) -> None:
    run = make_run({"name": "a", "image": "busybox"}, **spec)
    actions = look(run)
    assert run.finished
    assert "are for Python ops (spec.code)" in str(actions.status["conditions"])
