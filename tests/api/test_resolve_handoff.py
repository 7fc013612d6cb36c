"""The resolve pod becomes the first step's, against the fake API server, with faults and restarts in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, PythonPods, assignment_of, condition, driving, key_of, op_of
from api.steering import change, states
from podgraph.planning.model.names import AHEAD_LABEL, OP_ANNOTATION, OP_LABEL
from podgraph.protocol.step import Record
from podgraph.runtime.pod.resolve import resolve

Obj = dict[str, Any]
SOURCE = """
from podgraph import RetryPolicy, job, op

@op(retry_policy=RetryPolicy(max_retries=1))
def a():
    return 1

@op
def b(x):
    return x + 1

@job
def one():
    a()

@job
def two():
    b(a())

@op(pod_template={"spec": {"nodeSelector": {"disk": "ssd"}}})
def own():
    return 1

@job
def other():
    own()

@job
def wide():
    for at in range(2_000):
        a.alias(f"a_{at}_of_many")()
"""


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def the_pod(drive: Driver) -> Obj:
    """The only pod there is."""
    [pod] = drive.fake.objects("pods")
    return pod


def say(drive: Driver, pod: Obj, *lines: str) -> None:
    drive.fake.append_log("default", pod["metadata"]["name"], "".join(f"{line}\n" for line in ("words", *lines)))


def graph_of(drive: Driver, pod: Obj) -> tuple[Record, list[str]]:
    """What the runtime would tell in this pod."""
    work = assignment_of(pod)
    return resolve(PythonPods(drive.fake, SOURCE).job(work), work, key_of(drive.fake, pod))


async def read(drive: Driver, job: str = "two", **spec: Any) -> Obj:
    """Apply the Job and bring it to where its code is being read; return the resolve pod."""
    drive.apply(code={"source": SOURCE, "job": job}, **spec)
    pod = await drive.pod_of("")
    assert assignment_of(pod).ahead > 0
    return drive.fake.run_pod("default", pod["metadata"]["name"])


async def resolved(drive: Driver, job: str = "two", **spec: Any) -> Obj:
    """Bring it to where the pod has told the graph, and waits."""
    pod = await read(drive, job, **spec)
    record, lines = graph_of(drive, pod)
    say(drive, pod, *lines, record.to_line(key_of(drive.fake, pod)))
    return pod


async def begun(drive: Driver, job: str = "two", **spec: Any) -> Obj:
    """Bring it to where the pod has the first step; return it as it is then."""
    before = await resolved(drive, job, **spec)
    pod = await drive.pod_of("a")
    assert pod["metadata"]["uid"] == before["metadata"]["uid"]
    await drive.step("a", "Running")
    return pod


async def told_to_end(drive: Driver) -> Obj:
    """Wait until the resolve pod was told to end, and let it."""

    def told() -> Obj | None:
        found = drive.pod("")
        return found if found and not assignment_of(found).ahead else None

    pod = await drive.fake.until(told, what="it is told to end")
    assert pod["metadata"]["labels"][AHEAD_LABEL] == "assigned"
    drive.fake.finish_pod(
        "default", pod["metadata"]["name"], 0, graph_of(drive, pod)[0].to_line(key_of(drive.fake, pod))
    )
    return pod


def done(drive: Driver, pod: Obj, **more: Any) -> None:
    """Let a step's pod tell its record, and exit."""
    record = Record(assignment_of(pod).nonce, "Succeeded", outputs={"result": 1}, **more)
    say(drive, pod, record.to_line(key_of(drive.fake, pod)))
    drive.fake.finish_pod("default", pod["metadata"]["name"], 0, record.to_line(key_of(drive.fake, pod)))


async def lost(drive: Driver) -> str:
    """Wait until the cluster, and not the op, is blamed for the end of the first attempt; return what is said of it."""
    await drive.fake.until(lambda: drive.steps().get("a", {}).get("infrastructureFailures") == 1, 30, "a loss")
    [event] = [e["message"] for e in drive.fake.objects("events") if e["reason"] == "StepRetried"]
    return str(event)


async def test_a_job_of_one_op_has_one_pod(drive: Driver) -> None:
    pod = await begun(drive, "one")
    assert pod["metadata"]["labels"][OP_LABEL] == pod["metadata"]["annotations"][OP_ANNOTATION] == "a"
    assert (assignment_of(pod).op, assignment_of(pod).attempt, assignment_of(pod).ahead) == ("a", 1, 0)
    assert len(drive.fake.calls("PATCH", "/pods/")) == 1
    done(drive, pod)
    status = await drive.finished()
    assert status["steps"]["a"]["podUID"] == pod["metadata"]["uid"]
    assert (status["steps"]["a"]["attempt"], status["progress"]) == (1, "1/1")
    assert len(drive.creates()) == 1
    # One log was followed, for the graph and for the step.
    assert len(drive.fake.calls("GET", "/log$")) == 1


async def test_the_next_step_has_its_own_pod_and_the_value(drive: Driver) -> None:
    done(drive, await begun(drive))
    pod = await drive.pod_of("b")
    assert assignment_of(pod).inputs == {"x": 1}
    done(drive, drive.fake.run_pod("default", pod["metadata"]["name"]))
    await drive.finished()
    assert drive.created_ops() == ["", "b"]


async def test_it_goes_with_the_others_when_the_job_is_over(drive: Driver) -> None:
    done(drive, await begun(drive, "one", execution={"podRetention": "OnFailure"}))
    await drive.finished()
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="no pods")


async def test_steps_are_started_ahead_of_it_as_of_any_other(drive: Driver) -> None:
    await begun(drive, execution={"prestart": 1})
    await drive.step("b", "Waiting")
    assert drive.created_ops() == ["", "b"]


async def test_a_retry_has_a_pod_of_its_own(drive: Driver) -> None:
    pod = await begun(drive, "one")
    record = Record(assignment_of(pod).nonce, "Failed", reason="OpFailed", message="not yet")
    say(drive, pod, record.to_line(key_of(drive.fake, pod)))
    drive.fake.finish_pod("default", pod["metadata"]["name"], 1, record.to_line(key_of(drive.fake, pod)))
    await drive.fake.until(lambda: len(drive.creates()) == 2, what="another pod")
    [second] = [p for p in drive.fake.objects("pods") if p["metadata"]["uid"] != pod["metadata"]["uid"]]
    assert (op_of(second), assignment_of(second).attempt) == ("a", 2)
    done(drive, drive.fake.run_pod("default", second["metadata"]["name"]))
    assert (await drive.finished())["steps"]["a"]["attempt"] == 2


@pytest.mark.parametrize(("retention", "stays"), [("Always", True), ("OnFailure", True), ("Never", False)])
async def test_run_config_that_is_wrong_refuses_the_job_and_lets_it_go(
    drive: Driver, retention: str, stays: bool
) -> None:
    config = {"ops": {"nobody": {}}}
    await resolved(drive, "one", runConfig=config, execution={"podRetention": retention})
    status = await drive.finished()
    assert condition(status, "Accepted")["reason"] == "InvalidRunConfig"
    assert "steps" not in status
    await told_to_end(drive)
    if not stays:
        await drive.fake.until(lambda: not drive.fake.objects("pods"), what="no pod")
    assert len(drive.creates()) == 1
    assert len(drive.fake.objects("pods")) == stays


async def test_where_no_step_is_as_it_is_it_ends_and_the_step_has_a_pod(drive: Driver) -> None:
    await resolved(drive, "other")
    pod = await drive.pod_of("own")
    assert pod["spec"]["nodeSelector"] == {"disk": "ssd"}
    await told_to_end(drive)
    done(drive, drive.fake.run_pod("default", pod["metadata"]["name"]))
    await drive.finished()
    assert drive.created_ops() == ["", "own"]


async def test_a_graph_that_is_too_long_is_read_while_the_pod_waits(drive: Driver) -> None:
    await resolved(drive, "wide", execution={"maxConcurrent": 1})
    pod = await drive.pod_of("a_0_of_many")
    assert pod["metadata"]["name"].startswith("j-resolve-")
    logs = drive.fake.calls("GET", "/log$")
    assert ["follow" in call.query for call in logs] == [True], "all of it is among the lines that are followed"


@pytest.mark.parametrize("status", [403, 500])
async def test_a_log_that_breaks_is_made_up_for_by_the_pod_s_status(drive: Driver, status: int) -> None:
    drive.fake.fault("GET", "/log$", status=status, times=None)
    await resolved(drive, "one")
    await told_to_end(drive)
    done(drive, drive.fake.run_pod("default", (await drive.pod_of("a"))["metadata"]["name"]))
    await drive.finished()
    assert drive.created_ops() == ["", "a"]


async def test_a_cancel_or_a_suspension_while_it_reads_begins_nothing(drive: Driver) -> None:
    pod = await read(drive)
    change(drive, suspend=True)
    await drive.fake.until(lambda: drive.status().get("observedGeneration", 0) >= 1, what="seen")
    record, lines = graph_of(drive, pod)
    say(drive, pod, *lines, record.to_line(key_of(drive.fake, pod)))
    await told_to_end(drive)
    assert set(states(drive).values()) <= {"Pending"}
    change(drive, suspend=False)
    pod = await drive.pod_of("a")
    assert pod["metadata"]["name"].startswith("j-a-")
    change(drive, cancel=True)
    await drive.finished()
    assert states(drive) == {"a": "Canceled", "b": "Canceled"}


async def test_a_cancel_ends_the_step_in_it(drive: Driver) -> None:
    await begun(drive)
    change(drive, cancel=True)
    await drive.finished()
    assert states(drive) == {"a": "Canceled", "b": "Canceled"}
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="no pods")


async def test_it_goes_with_its_job(drive: Driver) -> None:
    await resolved(drive)
    drive.fake.delete("jobs", "default", "j")
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="no pods")


async def test_an_assignment_that_is_lost_is_given_again(drive: Driver) -> None:
    drive.fake.fault("PATCH", "/pods/", status=500, times=6)
    await begun(drive, "one")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_restart_at_the_assignment_makes_no_other_pod(drive: Driver, when: Any) -> None:
    drive.fake.fault("PATCH", "/pods/", status=500, times=None, when=when)
    pod = await resolved(drive)
    await drive.fake.until(lambda: drive.fake.calls("PATCH", "/pods/"), what="a try")
    await drive.stop()
    drive.fake.faults.clear()
    await drive.start()
    await drive.step("a", "Running")
    assert (await drive.pod_of("a"))["metadata"]["uid"] == pod["metadata"]["uid"]
    done(drive, the_pod(drive))
    await drive.pod_of("b")
    assert drive.created_ops() == ["", "b"]


async def test_a_restart_while_the_step_runs_in_it_finds_whose_it_is(drive: Driver) -> None:
    pod = await begun(drive)
    await drive.stop()
    done(drive, pod)
    await drive.start()
    await drive.pod_of("b")
    assert (await drive.step("a", "Succeeded"))["podUID"] == pod["metadata"]["uid"]
    assert drive.created_ops() == ["", "b"]


async def test_one_that_goes_just_then_costs_no_try_of_the_op(drive: Driver) -> None:
    held = drive.fake.fault("PATCH", "/pods/", hold=True)
    pod = await resolved(drive, "one")
    with drive.fake.held_events("pods"):
        await drive.fake.until(lambda: held.waiting, what="a try")
        drive.fake.delete_pod("default", pod["metadata"]["name"])
        held.release()
        await drive.fake.until(lambda: drive.fake.calls("GET", pod["metadata"]["name"] + "$"), what="a look")
    assert "PodDeleted" in await lost(drive)


async def test_one_that_ended_before_it_heard_of_its_step_costs_no_try_of_the_op(drive: Driver) -> None:
    before = await resolved(drive, "one")
    await drive.step("a", "Running")
    drive.fake.finish_pod(
        "default", before["metadata"]["name"], 0, graph_of(drive, before)[0].to_line(key_of(drive.fake, before))
    )
    assert "NotAssigned: its pod ended before it received its assignment" in await lost(drive)
