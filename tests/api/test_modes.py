"""Jobs whose steps all run in one pod, against the fake API server: logs break, operators restart, pods die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from api.driving import Driver, PythonPods, assignment_of, condition, driving
from api.fake import AutoKubelet
from api.steering import change, events, said, states
from podgraph.planning.model.names import run_nonce, run_pod
from podgraph.protocol.reports import StepReport, pack_states
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Record
from podgraph.reconcile.log_follower import LogFollower

Obj = dict[str, Any]
SOURCE = """
from podgraph import RetryPolicy, job, op

@op
def one():
    return 1

@op(retry_policy=RetryPolicy(max_retries=1))
def add(context, x):
    if not context.retry_number:
        raise ValueError("not yet")
    return x + 2

@op
def odd(x):
    return {x}

@op
def last(x):
    return len(x)

@job(config={"execution": {"config": {"multiprocess": {"max_concurrent": 4}}}})
def j():
    last(odd(add(one())))
"""
STEPS = ("one", "add", "odd", "last")
IN_PROCESS: Obj = {"code": {"source": SOURCE}, "execution": {"mode": "InProcess"}}


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def uid_of(drive: Driver) -> str:
    return str(drive.fake.get("jobs", "default", "j")["metadata"]["uid"])


def name_of(drive: Driver) -> str:
    return run_pod("j", uid_of(drive))


def signer(drive: Driver) -> Signer:
    return Signer(run_nonce(uid_of(drive)), drive.keys.of(uid_of(drive)).pod)


def tells(drive: Driver, step: str, state: str, attempt: int = 1, **more: Any) -> None:
    """Be the pod that says something of a step."""
    line = StepReport(step, state, attempt, "2026-01-01T00:00:00.000000Z", **more).to_line(signer(drive))
    drive.fake.append_log("default", name_of(drive), f"words of an op\n{line}\n")


def comes_to_its_end(drive: Driver, *ends: str) -> None:
    failed = "Failed" in ends
    record = Record(
        run_nonce(uid_of(drive)), "Failed" if failed else "Succeeded", reason="StepsFailed" if failed else "",
        summary=pack_states(ends),
    )  # fmt: skip
    drive.fake.finish_pod("default", name_of(drive), int(failed), record.to_line(drive.keys.of(uid_of(drive)).pod))


async def runs(drive: Driver, **spec: Any) -> None:
    """Apply the Job and let its one pod run."""
    resolving = AutoKubelet(
        drive.fake, PythonPods(drive.fake, SOURCE), select=lambda pod: not assignment_of(pod).group
    )  # fmt: skip
    async with resolving:
        drive.apply(**{**IN_PROCESS, **spec})
        await drive.fake.until(lambda: drive.fake.find("pods", "default", name_of(drive)), what="the pod")
    drive.fake.run_pod("default", name_of(drive))


async def followed(drive: Driver) -> None:
    def readers() -> list[Any]:
        return drive.fake.logs.of(drive.fake.get("pods", "default", name_of(drive))["metadata"]["uid"]).readers

    await drive.fake.until(readers, what="somebody who follows the log")


def pods_made(drive: Driver) -> int:
    return drive.creates().count(name_of(drive))


@pytest.mark.parametrize(
    "spec",
    [
        {"execution": {"mode": "InProcess"}},
        {"runConfig": {"execution": {"config": {"in_process": {}}}}},
        {"execution": {"mode": "Multiprocess"}, "runConfig": {"execution": {"config": {"in_process": {}}}}},
    ],
)
async def test_all_steps_in_one_pod(drive: Driver, spec: Obj) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE)):
        drive.apply(code={"source": SOURCE}, **spec)
        status = await drive.finished()
    assert condition(status, "Succeeded")["reason"] == "Succeeded"
    assert states(drive) == dict.fromkeys(STEPS, "Succeeded")
    steps = drive.steps()
    assert [steps[s].get("outputs") for s in STEPS] == [{"result": "1"}, {"result": "3"}, None, {"result": "1"}]
    assert steps["add"]["attempt"] == 2
    assert len({step["podUID"] for step in steps.values()}) == 1
    assert len(drive.creates()) == 2  # to read the code, and to run it
    assert (status["progress"], status["counts"]["succeeded"]) == ("4/4", 4)


async def test_what_the_code_was_written_for_is_no_mode_of_the_job(drive: Driver) -> None:
    source = SOURCE.replace("last(odd(add(one())))", "one()")
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, source)):
        drive.apply(code={"source": source})
        await drive.finished()
    assert drive.created_ops() == ["", "one"]


async def test_each_step_is_shown_as_it_happens_though_the_stream_breaks(drive: Driver) -> None:
    await runs(drive)
    await followed(drive)
    tells(drive, "one", "Running")
    await drive.step("one", "Running")
    drive.fake.cut_logs("default", name_of(drive))
    tells(drive, "one", "Succeeded", outputs={"result": "1"})  # while nobody listens
    tells(drive, "add", "Running")
    await drive.step("add", "Running")
    assert states(drive)["one"] == "Succeeded"
    drive.fake.cut_logs("default", name_of(drive))
    for step in STEPS[1:]:
        tells(drive, step, "Succeeded")
    comes_to_its_end(drive, *["Succeeded"] * 4)
    status = await drive.finished()
    assert condition(status, "Succeeded")["reason"] == "Succeeded"
    assert drive.steps()["one"]["outputs"] == {"result": "1"}
    again = [r for r in drive.fake.calls("GET", "/log$") if "sinceTime" in r.query]
    assert again, "it begins again where it broke"


@pytest.mark.parametrize("ends", ["while it is down", "later"])
async def test_an_operator_that_restarts_finds_the_pod_and_what_it_said(drive: Driver, ends: str) -> None:
    await runs(drive)
    tells(drive, "one", "Succeeded")
    await drive.step("one", "Succeeded")
    await drive.stop()
    tells(drive, "add", "Running")
    tells(drive, "add", "UpForRetry", reason="OpFailed", message="not yet")
    if ends == "while it is down":
        for step in STEPS[1:]:
            tells(drive, step, "Succeeded", 2)
        comes_to_its_end(drive, *["Succeeded"] * 4)
    await drive.start()
    if ends == "later":
        assert (await drive.step("add", "UpForRetry"))["message"] == "not yet"
        for step in STEPS[1:]:
            tells(drive, step, "Succeeded", 2)
        comes_to_its_end(drive, *["Succeeded"] * 4)
    await drive.finished()
    assert states(drive) == dict.fromkeys(STEPS, "Succeeded")
    assert pods_made(drive) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(8))
async def test_an_operator_that_dies_at_any_write_runs_the_steps_once(at: int, when: str) -> None:
    async with driving() as drive:
        fault = drive.fake.fault("POST|PATCH|DELETE", "/(pods|status)", hold=True, when=when, skip=at)
        async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE)):
            drive.apply(**IN_PROCESS)

            def is_over() -> bool:
                return condition(drive.status(), "Finished").get("status") == "True"

            await drive.fake.until(lambda: fault.waiting or is_over(), what="the write")
            await drive.stop()
            fault.release()
            await drive.fake.until(lambda: not fault.waiting, what="the end of the held request")
            await drive.start()
            await drive.finished()
        assert states(drive) == dict.fromkeys(STEPS, "Succeeded")
        uids = {step["podUID"] for step in drive.steps().values()}
        assert uids == {drive.fake.get("pods", "default", name_of(drive))["metadata"]["uid"]}


async def test_a_pod_that_dies_midway(drive: Driver) -> None:
    await runs(drive)
    tells(drive, "one", "Succeeded")
    tells(drive, "add", "Running")
    drive.fake.finish_pod("default", name_of(drive), 137, "")
    status = await drive.finished()
    assert condition(status, "Succeeded")["reason"] == "Failed"
    assert states(drive) == {"one": "Succeeded", "add": "Failed", "odd": "UpstreamFailed", "last": "UpstreamFailed"}
    assert "exit code 137" in drive.steps()["add"]["message"]
    await drive.fake.until(lambda: "StepFailed" in events(drive), what="the event")
    assert pods_made(drive) == 1


async def test_a_pod_that_is_deleted_while_the_operator_is_down(drive: Driver) -> None:
    await runs(drive)
    await drive.fake.until(lambda: drive.steps().get("one", {}).get("podUID"), what="the uid")
    await drive.stop()
    drive.fake.delete_pod("default", name_of(drive))
    await drive.start()
    await drive.finished()
    assert states(drive)["one"] == "Failed"
    assert drive.steps()["one"]["reason"] == "PodDeleted"
    assert pods_made(drive) == 1


async def test_a_cancel_ends_the_pod(drive: Driver) -> None:
    await runs(drive)
    tells(drive, "one", "Succeeded")
    tells(drive, "add", "Running")
    await drive.step("add", "Running")
    change(drive, cancel=True)
    status = await drive.finished()
    assert condition(status, "Succeeded")["reason"] == "Canceled"
    assert states(drive) == {"one": "Succeeded", "add": "Canceled", "odd": "Canceled", "last": "Canceled"}
    assert drive.fake.find("pods", "default", name_of(drive)) is None


async def test_a_suspended_job_makes_its_pod_when_it_may(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE)):
        drive.apply(**IN_PROCESS, suspend=True)
        await said(drive, "Suspended")
        assert drive.creates() == []
        change(drive, suspend=False)
        await drive.finished()
    assert states(drive) == dict.fromkeys(STEPS, "Succeeded")


async def test_a_log_that_is_not_followed_is_read_at_the_end(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogFollower, "follow", lambda *_: None)
    await runs(drive)
    for step in STEPS:
        tells(drive, step, "Succeeded", outputs={"result": "7"})
    await drive.quiet()
    assert states(drive) == dict.fromkeys(STEPS, "Pending")
    comes_to_its_end(drive, *["Succeeded"] * 4)
    await drive.finished()
    assert [drive.steps()[step]["outputs"] for step in STEPS] == [{"result": "7"}] * 4


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"status": 503, "times": 2}])
async def test_the_last_reading_of_the_log_is_tried_again(
    drive: Driver, monkeypatch: pytest.MonkeyPatch, fault: Obj
) -> None:
    monkeypatch.setattr(LogFollower, "follow", lambda *_: None)
    await runs(drive)
    for step in STEPS:
        tells(drive, step, "Succeeded", outputs={"result": "7"})
    drive.fake.fault("GET", "/log$", **fault)
    comes_to_its_end(drive, *["Succeeded"] * 4)
    await drive.finished()
    assert [drive.steps()[step]["outputs"] for step in STEPS] == [{"result": "7"}] * 4


async def test_a_log_that_cannot_be_read_leaves_the_record(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogFollower, "follow", lambda *_: None)
    drive.fake.fault("GET", "/log$", status=404, reason="NotFound", skip=0, times=None)
    await runs(drive)
    comes_to_its_end(drive, "Succeeded", "Failed", "UpstreamFailed", "UpstreamFailed")
    await drive.finished()
    assert states(drive) == {"one": "Succeeded", "add": "Failed", "odd": "UpstreamFailed", "last": "UpstreamFailed"}


async def test_a_report_behind_a_line_that_has_no_end(drive: Driver) -> None:
    await runs(drive)
    await followed(drive)
    for length in (1_000_000, 70_000):
        line = StepReport("one", "Running", 1 if length > 70_000 else 2).to_line(signer(drive))
        drive.fake.append_log("default", name_of(drive), "x" * length + line + "\n")
    await drive.fake.until(lambda: drive.steps().get("one", {}).get("attempt") == 2, what="both lines")
    drive.fake.append_log("default", name_of(drive), StepReport("add", "Succeeded", 1).to_line(signer(drive)))
    comes_to_its_end(drive, *["Succeeded"] * 4)  # and the last line has no end at all
    await drive.finished()
    assert "message" not in drive.steps()["add"]
    assert "is lost" in drive.steps()["odd"]["message"]


async def test_no_more_logs_are_followed_than_may_be() -> None:
    class Never:
        async def step_log(self, *_: Any, **__: Any) -> AsyncIterator[list[str]]:
            await asyncio.sleep(60)
            yield []

    logs = LogFollower(Never(), most=2)  # type: ignore[arg-type]

    def followed() -> set[tuple[str, str]]:
        return {(uid, pod) for uid, tasks in logs._tasks.items() for pod in tasks}

    lost: list[str] = []
    for uid, pod in (("a", "p"), ("b", "p"), ("a", "p"), ("b", "q"), ("c", "p")):
        logs.follow(uid, "default", pod, lambda _: None, lost=partial(lost.append, uid + pod))
    assert followed() == {("a", "p"), ("b", "p")}
    assert lost == ["bq", "cp"]
    logs.leave("a")
    logs.follow("b", "default", "q", lambda _: None)
    assert followed() == {("b", "p"), ("b", "q")}
    logs.leave("b", "p")
    logs.follow("c", "default", "p", lambda _: None)
    assert followed() == {("b", "q"), ("c", "p")}
    await logs.close()
