"""The resolve pod of a Job becomes its first step's, followed through one `Run` and through restarts of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from builders import NOW, look, make_run, states
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op, Output, OutputRef
from podgraph.planning.actions import Actions, Assign
from podgraph.planning.job.resolver import RESOLVE_SECONDS
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
from podgraph.planning.prestart.resolve_handoff import STAY_SECONDS
from podgraph.protocol.graph_codec import pack
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import LINE_MARK, Assignment, Record
from podgraph.protocol.times import utc
from podgraph.runtime.pod.resolve import resolve

Obj = dict[str, Any]
NAME, NONCE = names.resolve_pod("j", "u1"), names.nonce("u1", "", 1)
TEMPLATE = '{"spec": {"priorityClassName": "high"}}'
KUEUE = {"kueue.x-k8s.io/queue-name": "q"}


def op(name: str, *ups: str, **more: Any) -> Op:
    inputs = tuple(Input(up, (OutputRef(up, "result"),)) for up in ups)
    return Op(name, inputs, (Output("result"),), **more)


CHAIN = [op("a"), op("b", "a")]


def told(*ops: Op) -> str:
    return Record(NONCE, "Succeeded", graph=pack(Graph.of("j", ops or CHAIN))).to_line()


STARTING = ContainerState(waiting=Waiting("ContainerCreating", ""))


def code(status: Obj | None = None, **spec: Any) -> Run:
    execution = {"prestart": 0, **spec.pop("execution", {})}
    return make_run(code={"module": "m"}, execution=execution, status=status, **spec)


def pod(state: ContainerState | None = None, uid: str = "p1", labels: Obj | None = None, name: str = NAME) -> Pod:
    marked = {names.AHEAD_LABEL: names.WAITING, **(labels or {})}
    containers = [ContainerStatus(names.CONTAINER, state or ContainerState(running=Running(utc(NOW))))]
    return Pod(Meta(name, "default", uid, labels=marked), PodStatus(container_statuses=containers))


def assigned(pod: Pod, item: Assign) -> Pod:
    """Return the pod as it is when it was told that."""
    labels = {**pod.metadata.labels, **item.labels}
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, labels=labels))


def ended(pod: Pod, record: Record, exit_code: int = 0) -> Pod:
    state = ContainerState(terminated=Terminated(exit_code, 0, "", record.to_line(), utc(NOW)[:19] + "Z"))
    status = PodStatus(container_statuses=[ContainerStatus(names.CONTAINER, state)])
    return msgspec.structs.replace(pod, status=status)


def begun(run: Run, line: str = "", *pods: Pod) -> Actions:
    """Bring a run to where it knows the graph from the log of its resolve pod."""
    look(run)
    assert look(run, *(pods or (pod(),))).follow == [NAME]
    run.take_lines(NAME, ["the user's own words", line or told()])
    actions = look(run, *(pods or (pod(),)))
    if actions.check_pods:
        run.pods_checked(actions.check_pods)
        actions = look(run, *(pods or (pod(),)))
    return actions


def work(item: Assign) -> Assignment:
    return Assignment.from_text(item.annotations[names.ASSIGNMENT])


def tells_to_end(actions: Actions) -> bool:
    """Whether the one pod that is told anything is the resolve pod, and that it has nothing to wait for."""
    [item] = actions.assigns
    return item.pod == NAME and not (work(item).op or work(item).ahead or names.OP_LABEL in item.labels)


def test_the_resolve_pod_is_made_to_stay() -> None:
    [made] = look(code()).creates
    assert made["metadata"]["labels"][names.AHEAD_LABEL] == names.WAITING
    assert work(Assign("", "", made["metadata"]["annotations"])).ahead == STAY_SECONDS
    assert "activeDeadlineSeconds" not in made["spec"]  # a step's may take as long as it likes


@pytest.mark.parametrize(
    "spec", [{"execution": {"mode": "InProcess"}}, {"runConfig": {"execution": {"config": {"multiprocess": {}}}}}]
)
def test_one_pod_for_all_steps_is_another(spec: Obj) -> None:
    [made] = look(code(**spec)).creates
    assert names.AHEAD_LABEL not in made["metadata"]["labels"]
    assert not work(Assign("", "", made["metadata"]["annotations"])).ahead


def test_the_pods_of_a_queue_are_others() -> None:
    run = code()
    meta = {"name": "j", "namespace": "default", "uid": "u1", "generation": 1, "labels": KUEUE}
    run = Run({"metadata": meta, "spec": {"code": {"module": "m"}}}, run.settings)
    [made] = look(run).creates
    assert names.AHEAD_LABEL not in made["metadata"]["labels"]


def test_the_graph_comes_by_the_log_and_the_first_step_in_the_same_pod() -> None:
    run = code()
    actions = begun(run)
    [item] = actions.assigns
    assert (item.pod, item.uid, actions.creates, actions.deletes, actions.leave) == (NAME, "p1", [], [], [])
    assert (work(item).op, work(item).attempt, work(item).ahead) == ("a", 1, 0)
    assert work(item).nonce == names.nonce("u1", "a", 1)
    assert item.labels == {names.AHEAD_LABEL: names.ASSIGNED, names.OP_LABEL: "a"}
    assert item.annotations[names.OP_ANNOTATION] == "a"
    assert states(run) == {"a": "Running", "b": "Pending"}
    assert actions.status["graph"]

    run.take_lines(NAME, [Record(names.nonce("u1", "a", 1), "Succeeded", outputs={"result": 1}).to_line()])
    actions = look(run, assigned(pod(), item))
    assert states(run) == {"a": "Succeeded", "b": "Starting"}
    assert (actions.leave, [made["metadata"]["name"] for made in actions.creates]) == (
        [NAME], [names.step_pod("j", "u1", "b", 1)],
    )  # fmt: skip
    assert run.patch(NOW)["steps"]["a"]["podUID"] == "p1"


def test_the_graph_comes_by_its_link_before_the_pod_is_seen_to_run() -> None:
    run = code()
    look(run)
    look(run, pod(STARTING))
    run.take_lines(NAME, [told()])
    actions = look(run, pod(STARTING))
    [item] = actions.assigns
    assert (item.pod, work(item).op, actions.creates) == (NAME, "a", [])
    run.take_lines(NAME, [Record(names.nonce("u1", "a", 1), "Succeeded", outputs={"result": 1}).to_line()])
    look(run, assigned(pod(STARTING), item))
    assert states(run) == {"a": "Succeeded", "b": "Starting"}


def test_its_end_alone_tells_the_graph_too() -> None:
    run = code()
    look(run)
    look(run, pod())
    actions = look(run, ended(pod(), Record(NONCE, "Succeeded", graph=pack(Graph.of("j", CHAIN)))))
    assert not actions.assigns
    assert actions.leave[0] == NAME
    assert [made["metadata"]["name"] for made in actions.creates] == [names.step_pod("j", "u1", "a", 1)]


@pytest.mark.parametrize(
    "line",
    [
        Record("other", "Succeeded", graph=pack(Graph.of("j", CHAIN))).to_line(),
        Record(NONCE, "Failed", reason="CodeError", message="x").to_line(),  # its pod is read at its end
    ],
)
def test_other_lines_tell_nothing(line: str) -> None:
    run = code()
    actions = begun(run, line)
    assert not run.steps
    assert not run.finished
    assert not actions.deletes


@pytest.mark.parametrize("whole", [True, False], ids=["all lines came", "some did not"])
def test_a_graph_too_long_for_a_line_comes_by_the_link(whole: bool) -> None:
    ops = [op(f"op-{hashlib.sha256(str(at).encode()).hexdigest()}") for at in range(200)]
    packed = pack(Graph.of("j", ops))
    record = Record(NONCE, "Succeeded", graph_digest=hashlib.sha256(packed.encode()).hexdigest())
    lines = [
        Signer(NONCE).line(f"{LINE_MARK}graph ", f"{at} {packed[at : at + 8_000]}")
        for at in range(0, len(packed), 8_000)
    ]
    run = code()
    look(run)
    look(run, pod(STARTING))
    for line in (*(lines if whole else lines[1:]), record.to_line()):
        run.take_lines(NAME, [line])
    actions = look(run, pod(STARTING))
    if not whole:
        assert not actions.read_log, "it cannot be read yet"
        assert look(run, pod()).read_log == NAME
        return
    assert len(states(run)) == 200
    assert not actions.read_log


def test_a_graph_too_long_for_a_line_is_read_from_the_log_of_the_pod_that_stays() -> None:
    run = code()
    look(run)
    look(run, pod())
    record = Record(NONCE, "Succeeded", graph_digest="x")
    run.take_lines(NAME, [record.to_line()])
    assert look(run, pod()).read_log == NAME
    assert run.resolve_record({NAME: pod()}) == record
    run.graph_from_log(pack(Graph.of("j", CHAIN)))
    assert [work(item).op for item in look(run, pod()).assigns] == ["a"]


@pytest.mark.parametrize(
    ("ops", "first", "others"),
    [
        ([op("a", pod_template=TEMPLATE), op("b"), op("c")], "b", 2),  # the first that has no wishes of its own
        ([op("a", pod="p"), op("b", "a", pod="p"), op("c")], "c", 1),
        ([op("a", tags={"podgraph/priority": "1"}), op("b", tags={"podgraph/priority": "2"})], "b", 1),
    ],
)
def test_it_is_the_first_that_begins_of_those_whose_pods_are_as_it_is(ops: list[Op], first: str, others: int) -> None:
    run = code()
    actions = begun(run, told(*ops))
    assert [work(item).op for item in actions.assigns] == [first]
    assert len(actions.creates) == others


@pytest.mark.parametrize(
    ("ops", "spec"),
    [
        ([op("a", pod_template=TEMPLATE), op("b", "a")], {}),  # b is not ready, and nothing is held for it
        ([op("a", pod="p"), op("b", "a", pod="p")], {}),
        ([op("a"), op("b", "a")], {"runConfig": {"ops": {"a": {"pod": {"resources": {"limits": {"cpu": 1}}}}}}}),
    ],
)
def test_it_ends_where_no_step_is_as_it_is(ops: list[Op], spec: Obj) -> None:
    run = code(**spec)
    actions = begun(run, told(*ops))
    assert tells_to_end(actions)
    assert actions.leave == [NAME]
    assert len(actions.creates) == 1
    assert not look(run, assigned(pod(), actions.assigns[0])).assigns


@pytest.mark.parametrize("mode", ["PodPerStep", "InProcess"])
def test_it_is_deleted_when_it_goes_on_only_for_another_container(mode: str) -> None:
    run = code(execution={"mode": mode})
    begun(run, told(op("a", pod_template=TEMPLATE)))
    there = ended(pod(), Record(NONCE, "Succeeded", graph="x"))
    assert look(run, there).deletes == []
    sidecar = ContainerStatus("proxy", ContainerState(running=Running()))
    status = PodStatus(container_statuses=[*there.status.container_statuses, sidecar])
    assert look(run, msgspec.structs.replace(there, status=status)).deletes == [NAME]


def test_a_limit_holds_for_it() -> None:
    run = code(execution={"maxConcurrent": 1})
    actions = begun(run, told(op("a"), op("b")))
    assert ([work(item).op for item in actions.assigns], actions.creates) == (["a"], [])


def test_a_step_that_is_not_selected_is_not_run_in_it() -> None:
    run = code(opSelection=["b"])
    actions = begun(run, told(op("a"), op("b")))
    assert [work(item).op for item in actions.assigns] == ["b"]


def test_a_suspended_job_has_it_end_and_begins_with_another() -> None:
    run = code()
    look(run)
    look(run, pod())
    run.spec_changed({**run._object, "spec": {**run.job_spec, "suspend": True}})  # type: ignore[dict-item]
    run.take_lines(NAME, [told()])
    actions = look(run, pod())
    assert tells_to_end(actions)
    assert states(run) == {"a": "Pending", "b": "Pending"}
    run.spec_changed({**run._object, "spec": {**run.job_spec, "suspend": False}})  # type: ignore[dict-item]
    actions = look(run, assigned(pod(), actions.assigns[0]))
    assert [made["metadata"]["name"] for made in actions.creates] == [names.step_pod("j", "u1", "a", 1)]


def test_what_is_refused_once_the_graph_is_known_has_it_end_in_its_own_time() -> None:
    run = code(runConfig={"ops": {"nobody": {}}})
    actions = begun(run)
    assert run.finished
    assert run.steps is None
    assert tells_to_end(actions)
    assert actions.deletes == []
    assert run.waits_for_exit
    told_so = assigned(pod(), actions.assigns[0])
    assert look(run, told_so, now=NOW + 59).deletes == []
    assert look(run, told_so, now=NOW + 60).deletes == [NAME]
    # With what it printed it stays, as the Job was refused.
    assert look(run, ended(told_so, Record(NONCE, "Succeeded", graph="x"))).deletes == []


def test_a_cancel_while_it_reads_deletes_it() -> None:
    run = code()
    look(run)
    look(run, pod())
    run.spec_changed({**run._object, "spec": {**run.job_spec, "cancel": True}})  # type: ignore[dict-item]
    run.take_lines(NAME, [told()])
    actions = look(run, pod())
    assert run.finished
    assert actions.deletes == [NAME]
    assert not actions.assigns or tells_to_end(actions)


def test_a_retry_has_a_pod_of_its_own() -> None:
    run = code()
    [item] = begun(run, told(op("a", retry=_retry()))).assigns
    run.take_lines(NAME, [Record(names.nonce("u1", "a", 1), "Failed", reason="OpFailed", message="x").to_line()])
    look(run, assigned(pod(), item))
    assert states(run) == {"a": "UpForRetry"}
    [made] = look(run, assigned(pod(), item), now=NOW + 100).creates
    assert made["metadata"]["name"] == names.step_pod("j", "u1", "a", 2)


def test_one_that_ends_before_it_was_told_of_its_step_costs_no_try_of_the_op() -> None:
    run = code()
    [item] = begun(run).assigns
    look(run, ended(assigned(pod(), item), Record(NONCE, "Succeeded", graph="x")))
    assert run.steps is not None
    record = run.steps.records["a"]
    assert (record.state, record.reason, record.infra_failures, record.attempt) == ("UpForRetry", "NotAssigned", 1, 1)


@pytest.mark.parametrize("written", [True, False])
def test_a_restart_before_the_assignment_finds_it_waiting(written: bool) -> None:
    first = code()
    status = {**begun(first).status, **(first.patch(NOW) if written else {})}
    second = code(status)
    actions = look(second, pod())
    assert [(item.pod, work(item).op) for item in actions.assigns] == [(NAME, "a")]
    assert not actions.creates


@pytest.mark.parametrize("written", [True, False])
def test_a_restart_after_the_assignment_finds_whose_it_is(written: bool) -> None:
    first = code()
    actions = begun(first)
    status = {**actions.status, **first.patch(NOW)}
    if not written:
        status = {"graph": status["graph"], "conditions": status["conditions"]}
    second = code(status)
    there = assigned(pod(), actions.assigns[0])
    again = look(second, there)
    assert (again.creates, again.assigns, again.deletes) == ([], [], [])
    assert again.follow == [NAME]
    assert states(second) == {"a": "Running", "b": "Pending"}
    second.take_lines(NAME, [Record(names.nonce("u1", "a", 1), "Succeeded", outputs={"result": 1}).to_line()])
    look(second, there)
    assert states(second) == {"a": "Succeeded", "b": "Starting"}


def test_a_restart_before_the_graph_was_written_reads_it_again() -> None:
    run = code()
    assert look(run, pod()).follow == [NAME]
    run.take_lines(NAME, [told()])
    assert [work(item).op for item in look(run, pod()).assigns] == ["a"]


def test_a_log_that_cannot_be_followed_has_it_end_so_that_its_status_tells_the_graph() -> None:
    run = code()
    look(run)
    look(run, pod())
    run.log_unavailable(NAME)
    actions = look(run, pod())
    assert tells_to_end(actions)
    there = assigned(pod(), actions.assigns[0])
    assert not look(run, there).assigns
    actions = look(run, ended(there, Record(NONCE, "Succeeded", graph=pack(Graph.of("j", CHAIN)))))
    assert [made["metadata"]["name"] for made in actions.creates] == [names.step_pod("j", "u1", "a", 1)]


def test_code_that_hangs_while_it_is_read_is_given_up() -> None:
    run = code()
    look(run)
    assert look(run, pod()).requeue_time == NOW + RESOLVE_SECONDS
    actions = look(run, pod(), now=NOW + RESOLVE_SECONDS)
    assert run.finished
    assert actions.deletes == [NAME]
    [refused] = [c for c in actions.status["conditions"] if c["type"] == "Accepted"]
    assert (refused["reason"], refused["message"]) == (
        "ResolveFailed", f"reading the code took longer than {RESOLVE_SECONDS} seconds",
    )  # fmt: skip


def test_the_records_that_come_by_line_are_those_that_the_pods_write() -> None:
    from podgraph import job
    from podgraph import op as define

    @job
    def j() -> None:
        define(name="a")(lambda: 1)()

    record, lines = resolve(j, replace(Assignment("", NONCE, "u1")))
    assert lines == []
    run = code()
    assert [work(item).op for item in begun(run, record.to_line()).assigns] == ["a"]


def test_one_of_another_name_is_not_taken() -> None:
    run = code()
    stranger = pod(name="j-resolve-other")
    look(run)
    look(run, pod(), stranger)
    run.take_lines("j-resolve-other", [told()])
    assert not look(run, pod(), stranger).assigns
    with pytest.raises(DefinitionError):
        run.not_created(NAME, "Forbidden", "x", NOW)


def _retry() -> Any:
    from podgraph.definition.retry import RetryPolicy

    return RetryPolicy(max_retries=1, delay=1)
