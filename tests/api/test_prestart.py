"""Steps started ahead and results by log line, against the fake API server, with restarts in between."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, PythonPods, assignment_of, driving, key_of, op_of
from api.steering import change, events, states
from podgraph.planning.model.names import AHEAD_LABEL
from podgraph.protocol.step import Record
from podgraph.protocol.times import utc

Obj = dict[str, Any]
SOURCE = """
from podgraph import RetryPolicy, job, op

@op(retry_policy=RetryPolicy(max_retries=1, delay=1))
def a():
    return 1

@op
def b(x):
    return x + 1

@op
def c(x):
    return x + 1

@job
def j():
    c(b(a()))
"""


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


async def begun(drive: Driver, **execution: Any) -> None:
    """Apply the Job and bring it to where its first step runs."""
    drive.apply(code={"source": SOURCE}, execution={"prestart": 1, **execution})
    pod = await drive.pod_of("")
    code, message = PythonPods(drive.fake, SOURCE)(pod)
    drive.fake.finish_pod("default", pod["metadata"]["name"], code, message)
    await run(drive, "a")


def names_made(drive: Driver, op: str) -> set[str]:
    """The names of all pods that were made for an op."""
    made = [r.body for r in drive.fake.calls("POST", "/pods$") if r.status == 201]
    return {body["metadata"]["name"] for body in made if op_of(body) == op}


def pods(drive: Driver, op: str) -> list[Obj]:
    """The pods of an op, those of later attempts last."""
    found = [p for p in drive.fake.objects("pods") if op_of(p) == op]
    return sorted(found, key=lambda pod: assignment_of(pod).attempt)


async def run(drive: Driver, op: str) -> Obj:
    pod = await drive.pod_of(op)
    return drive.fake.run_pod("default", pod["metadata"]["name"])


def record_of(pod: Obj, outcome: str = "Succeeded", **more: Any) -> Record:
    times = (utc(time.time() - 1), utc(time.time()))
    return Record(assignment_of(pod).nonce, outcome, *times, **more)


def ended_well(drive: Driver, op: str) -> str:
    """The termination message of an op's first pod that gives 1."""
    pod = pods(drive, op)[0]
    return record_of(pod, outputs={"result": 1}).to_line(key_of(drive.fake, pod))


def tell(drive: Driver, op: str, outcome: str = "Succeeded", **more: Any) -> None:
    """Let the newest pod of an op print its record, and run on."""
    pod = pods(drive, op)[-1]
    line = record_of(pod, outcome, **more).to_line(key_of(drive.fake, pod))
    drive.fake.append_log("default", pod["metadata"]["name"], f"an open line {line}\n")


async def waiting(drive: Driver, op: str) -> Obj:
    pod = await drive.pod_of(op)
    assert pod["metadata"]["labels"][AHEAD_LABEL] == "waiting"
    assert assignment_of(pod).ahead > 0
    assert not assignment_of(pod).inputs
    await drive.step(op, "Waiting")
    return pod


async def assigned(drive: Driver, op: str) -> Obj:
    def there() -> Obj | None:
        return next((p for p in pods(drive, op) if p["metadata"]["labels"].get(AHEAD_LABEL) == "assigned"), None)

    return await drive.fake.until(there, what=f"{op} assigned")


def counted(drive: Driver, name: str) -> float:
    """A figure that the operator tells Prometheus."""
    assert drive.controller is not None
    lines = drive.controller.metrics.text().decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name)


async def no_pod(drive: Driver, op: str) -> None:
    def gone() -> bool:
        return all(p["metadata"].get("deletionTimestamp") for p in pods(drive, op))

    await drive.fake.until(gone, what=f"no pod of {op}")


async def test_a_step_goes_on_from_the_line_of_the_one_before_in_a_pod_that_is_there(drive: Driver) -> None:
    await begun(drive)
    first = await waiting(drive, "b")
    await run(drive, "b")
    tell(drive, "a", outputs={"result": 1})
    pod = await assigned(drive, "b")
    assert pod["metadata"]["uid"] == first["metadata"]["uid"]
    assert assignment_of(pod).inputs == {"x": 1}
    assert not assignment_of(pod).ahead
    assert (await drive.step("b", "Running"))["startTime"] > "2026-01-01"
    await waiting(drive, "c")
    await run(drive, "c")
    tell(drive, "b", outputs={"result": 2})
    await assigned(drive, "c")
    tell(drive, "c", outputs={"result": 3})
    status = await drive.finished()
    assert {n: s["outputs"]["result"] for n, s in status["steps"].items()} == {"a": "1", "b": "2", "c": "3"}
    assert [s["attempt"] for s in status["steps"].values()] == [1, 1, 1]
    assert counted(drive, 'podgraph_waiting_pods_ended_total{outcome="used"}') == 2
    assert counted(drive, "podgraph_waiting_pods") == 0
    assert drive.created_ops() == ["", "a", "b", "c"]


async def test_pods_that_told_their_results_may_still_exit_when_the_job_is_over(drive: Driver) -> None:
    await begun(drive, podRetention="OnFailure")
    for op, value in (("a", 1), ("b", 2), ("c", 3)):
        await run(drive, op)
        await drive.step(op, "Running")
        tell(drive, op, outputs={"result": value})
    await drive.finished()
    assert len(pods(drive, "c")) == 1
    assert not pods(drive, "c")[0]["metadata"].get("deletionTimestamp")
    for op in "abc":
        drive.finish(op, ended_well(drive, op))
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="no pods")


async def test_one_that_fails_after_its_line_has_succeeded_and_is_told_of(drive: Driver) -> None:
    await begun(drive)
    await run(drive, "b")
    tell(drive, "a", outputs={"result": 1})
    await assigned(drive, "b")
    drive.fake.finish_pod("default", pods(drive, "a")[0]["metadata"]["name"], 137, "", "OOMKilled")
    await drive.fake.until(lambda: "FailedAfterResult" in events(drive), what="an event")
    await drive.step("a", "Succeeded")
    assert events(drive).count("FailedAfterResult") == 1


@pytest.mark.parametrize("line", ["made up", "of another attempt"])
async def test_only_the_pod_s_own_line_counts(drive: Driver, line: str) -> None:
    await begun(drive)
    pod = pods(drive, "a")[0]
    text = (
        "::podgraph-record x::{}"
        if line == "made up"
        else Record("other", "Succeeded").to_line(key_of(drive.fake, pod))
    )
    drive.fake.append_log("default", pod["metadata"]["name"], text + "\n")
    drive.fake.finish_pod(
        "default",
        pod["metadata"]["name"],
        1,
        record_of(pod, "Failed", reason="OpFailed").to_line(key_of(drive.fake, pod)),
    )
    await drive.fake.until(lambda: len(names_made(drive, "a")) == 2, what="another attempt")


async def test_a_step_that_is_tried_again_lets_go_what_waits_for_it(drive: Driver) -> None:
    await begun(drive)
    await waiting(drive, "b")
    tell(drive, "a", "Failed", reason="OpFailed", message="not yet")
    await no_pod(drive, "b")
    assert counted(drive, 'podgraph_waiting_pods_ended_total{outcome="released"}') == 1
    second = await drive.fake.until(lambda: next(iter(pods(drive, "a")[1:]), None), what="the second attempt")
    drive.fake.run_pod("default", second["metadata"]["name"])
    again = await drive.fake.until(lambda: next((p for p in pods(drive, "b")), None), what="another waiting pod")
    drive.fake.run_pod("default", again["metadata"]["name"])
    await drive.step("a", "Running")
    tell(drive, "a", outputs={"result": 5})
    assert (await assigned(drive, "b"))["metadata"]["name"] == again["metadata"]["name"]
    assert drive.steps()["a"]["attempt"] == 2


async def test_a_failure_a_suspension_and_a_cancel_leave_none_waiting(drive: Driver) -> None:
    await begun(drive)
    await waiting(drive, "b")
    change(drive, suspend=True)
    await no_pod(drive, "b")
    change(drive, suspend=False)
    await drive.fake.until(lambda: pods(drive, "b"), what="a waiting pod again")
    change(drive, cancel=True)
    await drive.finished()
    assert states(drive) == {"a": "Canceled", "b": "Canceled", "c": "Canceled"}
    await no_pod(drive, "b")


async def test_none_waits_while_a_pod_finds_no_room(drive: Driver) -> None:
    await begun(drive)
    await waiting(drive, "b")
    drive.apply("other", ops=[{"name": "big", "image": "busybox:1"}])
    pod = await drive.pod_of("big")
    drive.fake.unschedulable_pod("default", pod["metadata"]["name"])
    await no_pod(drive, "b")
    await drive.step("b", "Pending")
    assert states(drive)["a"] == "Running"


async def test_one_that_may_not_be_made_fails_nothing(drive: Driver) -> None:
    drive.fake.fault("POST", "/pods$", status=403, skip=2)  # after those of the code and of the first step
    await begun(drive)

    def refused() -> bool:
        return any(r.status == 403 for r in drive.fake.calls("POST", "/pods$"))

    await drive.fake.until(refused, what="a refusal")
    drive.finish("a", ended_well(drive, "a"))
    pod = await drive.pod_of("b")
    assert AHEAD_LABEL not in pod["metadata"]["labels"]
    assert assignment_of(pod).inputs == {"x": 1}


async def test_one_that_has_waited_for_nothing_is_followed_by_another(drive: Driver) -> None:
    await begun(drive)
    pod = await waiting(drive, "b")
    record = record_of(pod, "Failed", reason="NotAssigned", message="x")
    drive.fake.finish_pod("default", pod["metadata"]["name"], 1, record.to_line(key_of(drive.fake, pod)))
    await drive.fake.until(lambda: len(names_made(drive, "b")) == 2, what="two")
    tell(drive, "a", outputs={"result": 1})
    made = await assigned(drive, "b")
    assert made["metadata"]["name"] != pod["metadata"]["name"]
    assert (await drive.step("b", "Starting"))["attempt"] == 1


@pytest.mark.parametrize("at", ["waiting", "assigned"])
async def test_a_restart_finds_the_pod_and_makes_no_other(drive: Driver, at: str) -> None:
    await begun(drive)
    first = await waiting(drive, "b")
    await run(drive, "b")
    if at == "assigned":
        tell(drive, "a", outputs={"result": 1})
        await assigned(drive, "b")
    await drive.stop()
    if at == "waiting":
        drive.finish("a", ended_well(drive, "a"))
    await drive.start()
    pod = await assigned(drive, "b")
    assert pod["metadata"]["uid"] == first["metadata"]["uid"]
    await drive.step("b", "Running")
    tell(drive, "b", outputs={"result": 2})
    await drive.step("b", "Succeeded")
    assert drive.created_ops().count("b") == 1


async def test_an_assignment_that_is_lost_is_given_again(drive: Driver) -> None:
    await begun(drive)
    await waiting(drive, "b")
    await run(drive, "b")
    drive.fake.fault("PATCH", "/pods/", status=500, times=6)
    tell(drive, "a", outputs={"result": 1})
    await assigned(drive, "b")


async def test_a_waiting_pod_that_goes_just_then_costs_no_try_of_the_op(drive: Driver) -> None:
    await begun(drive)
    pod = await waiting(drive, "b")
    with drive.fake.held_events("pods"):
        drive.fake.delete_pod("default", pod["metadata"]["name"])
        tell(drive, "a", outputs={"result": 1})
        await drive.fake.until(lambda: drive.fake.calls("PATCH", f"/pods/{pod['metadata']['name']}"), what="a patch")
    record = await drive.step("b", "UpForRetry")
    assert (record["reason"], record["attempt"], record["infrastructureFailures"]) == ("PodDeleted", 1, 1)
