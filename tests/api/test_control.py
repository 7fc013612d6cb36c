"""Retries, time limits, suspend, cancel, limits and retention against the fake API server, with restarts in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Clock, Driver, PythonPods, adding, assignment_of, condition, driving, op_of
from api.fake import AutoKubelet
from podgraph.planning.names import resolve_pod, step_pod
from podgraph.planning.status import seconds_of

Obj = dict[str, Any]
KEEP = {"podRetention": "Always"}
NO_IMAGE = "manifest unknown: not found"


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


class Moving(Clock):
    """A clock that goes as the real one does and can be put forward: `clock.now += 60`."""

    def __init__(self) -> None:
        self.ahead = 0.0

    @property
    def now(self) -> float:  # type: ignore[override]
        return time.time() + self.ahead

    @now.setter
    def now(self, value: float) -> None:
        self.ahead = value - time.time()

    def __call__(self) -> float:
        return self.now


def op(name: str, *ups: str, **more: Any) -> Obj:
    inputs = [{"name": up, "from": {"op": up}} for up in ups]
    return {"name": name, "image": "busybox:1", "inputs": inputs, "outputs": [{"name": "result"}], **more}


def again(times: int, **more: Any) -> Obj:
    return {"maxRetries": times, **more}


def change(drive: Driver, **spec: Any) -> None:
    drive.fake.patch("jobs", "default", "j", {"spec": spec})


def pod_name(drive: Driver, name: str, attempt: int = 1) -> str:
    return step_pod("j", drive.fake.get("jobs", "default", "j")["metadata"]["uid"], name, attempt)


def made_pods(drive: Driver) -> list[str]:
    """Return a list to which the name of each pod is added that comes into being from now on."""
    made: list[str] = []

    def seen(change: Any) -> None:
        if change.type == "ADDED" and change.resource is drive.fake.pods:
            made.append(change.new.obj["metadata"]["name"])

    drive.fake.store.listeners.append(seen)
    return made


def events(drive: Driver) -> list[str]:
    return [e["reason"] for e in drive.fake.objects("events")]


def states(drive: Driver) -> dict[str, str]:
    return {name: record["state"] for name, record in drive.steps().items()}


async def pod_there(drive: Driver, name: str, attempt: int = 1) -> Obj:
    wanted = pod_name(drive, name, attempt)
    return await drive.fake.until(lambda: drive.fake.find("pods", "default", wanted), 5.0, f"attempt {attempt}")


async def wake(drive: Driver) -> None:
    """Let the controller look again, as its queue does by itself when the real clock has come as far as the test's."""
    assert drive.controller is not None
    drive.controller.queue.add(drive.fake.get("jobs", "default", "j")["metadata"]["uid"])


async def said(drive: Driver, reason: str) -> Obj:
    """Wait until the Job's state is `reason`."""
    await drive.fake.until(
        lambda: condition(drive.status(), "Succeeded").get("reason") == reason, 5.0, f"{reason}: {drive.status()}"
    )
    return drive.status()


# --- retries


async def test_a_failed_op_is_tried_again_until_it_succeeds(drive: Driver) -> None:
    tries: list[str] = []

    def behave(pod: Obj) -> tuple[int, str]:
        tries.append(pod["metadata"]["name"])
        return (3, "not yet") if len(tries) < 3 else adding(pod)

    async with AutoKubelet(drive.fake, behave):
        drive.apply(ops=[op("a", retryPolicy=again(3))])
        status = await drive.finished()
    assert tries == [pod_name(drive, "a", n) for n in (1, 2, 3)]
    record = status["steps"]["a"]
    assert (record["state"], record["attempt"]) == ("Succeeded", 3)
    assert not {"retryTime", "infrastructureFailures", "reason", "message"} & record.keys()
    assert condition(status, "Succeeded")["status"] == "True"
    await drive.fake.until(lambda: events(drive).count("StepRetried") == 2, what="two events")


async def test_the_budget_of_retries_ends(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, lambda pod: (3, "never")):
        drive.apply(ops=[op("a", retryPolicy=again(1)), op("b", "a")])
        status = await drive.finished()
    assert len(drive.creates()) == 2
    record = status["steps"]["a"]
    assert (record["state"], record["attempt"], record["reason"]) == ("Failed", 2, "ContainerFailed")
    assert record["message"] == "its container 'step' ended with exit code 3: never (attempt 2)"
    assert status["steps"]["b"]["state"] == "UpstreamFailed"


async def test_the_delay_is_told_and_kept_over_restarts() -> None:
    clock = Moving()
    async with driving(clock) as drive:
        drive.apply(ops=[op("a", retryPolicy=again(2, delaySeconds=100, backoff="Exponential"))])
        await pod_there(drive, "a")
        drive.finish("a", exit_code=1)
        record = await drive.step("a", "UpForRetry")
        assert seconds_of(record["retryTime"]) - seconds_of(record["completionTime"]) == 100
        assert record["message"].endswith(f"; attempt 2 follows at {record['retryTime'][:19]}Z")
        for _ in range(2):
            await drive.stop()
            await drive.start()
            clock.now += 30
        await wake(drive)
        await asyncio.sleep(0.05)
        assert len(drive.fake.objects("pods")) == 1
        clock.now += 41
        await wake(drive)
        await pod_there(drive, "a", 2)
        drive.fake.finish_pod("default", pod_name(drive, "a", 2), 0, "result=1")
        status = await drive.finished()
        assert status["steps"]["a"]["attempt"] == 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(14))
async def test_an_operator_that_dies_at_any_write_runs_each_attempt_once(at: int, when: str) -> None:
    """Two ops fail twice, one of them by an eviction; whatever was written, the same six pods are made, each once."""
    async with driving() as drive:
        fault = drive.fake.fault("POST|PATCH|DELETE", "/(pods|status)", hold=True, when=when, skip=at)
        made = made_pods(drive)

        def behave(pod: Obj) -> tuple[int, str] | None:
            name, which = pod["metadata"]["name"], op_of(pod)
            if name == pod_name(drive, which, 3):
                return adding(pod)
            return 1, "not yet"

        async with AutoKubelet(drive.fake, behave):
            drive.apply(ops=[op("a", retryPolicy=again(2)), op("b", "a", retryPolicy=again(2))])
            await drive.fake.until(
                lambda: fault.waiting or condition(drive.status(), "Finished").get("status") == "True", what="the write"
            )
            await drive.stop()
            fault.release()
            await drive.fake.until(lambda: not fault.waiting, what="the end of the held request")
            await drive.start()
            status = await drive.finished()
        assert sorted(made) == sorted(pod_name(drive, name, n) for name in "ab" for n in (1, 2, 3))
        assert {name: (r["state"], r["attempt"]) for name, r in status["steps"].items()} == {
            "a": ("Succeeded", 3),
            "b": ("Succeeded", 3),
        }


async def test_an_eviction_does_not_count_against_the_op(drive: Driver) -> None:
    drive.apply(ops=[op("a")], execution={"infrastructureRetries": 1})
    await pod_there(drive, "a")
    drive.fake.evict_pod("default", pod_name(drive, "a"), "Evicted", "low on memory")
    record = await drive.step("a", "UpForRetry")
    assert (record["reason"], record["attempt"], record["infrastructureFailures"]) == ("Evicted", 1, 1)
    drive.clock = lambda: 4e9
    await drive.stop()
    await drive.start()
    await pod_there(drive, "a", 2)
    # Also a pod that somebody deletes is the cluster's matter, and the budget of one is spent.
    drive.fake.run_pod("default", pod_name(drive, "a", 2))
    await drive.fake.until(lambda: drive.steps()["a"]["attempt"] == 2, what="attempt 2")
    drive.fake.delete("pods", "default", pod_name(drive, "a", 2))
    record = (await drive.finished())["steps"]["a"]
    assert (record["state"], record["reason"], record["attempt"]) == ("Failed", "PodDeleted", 2)
    assert record["infrastructureFailures"] == 2


@pytest.mark.parametrize(
    "case",
    [
        ("InvalidImageName", "couldn't parse"),
        ("ErrImagePull", NO_IMAGE),
    ],
)
async def test_what_no_retry_can_mend_is_not_retried(drive: Driver, case: tuple[str, str]) -> None:
    drive.apply(ops=[op("a", retryPolicy=again(5))])
    await pod_there(drive, "a")
    drive.fake.wait_pod("default", pod_name(drive, "a"), *case)
    record = (await drive.finished())["steps"]["a"]
    assert (record["state"], record["reason"], record["attempt"]) == ("Failed", case[0], 1)


async def test_a_pod_that_a_quota_refuses_fails_at_once(drive: Driver) -> None:
    drive.fake.fault("POST", "/pods$", status=403, message="exceeded quota: pods=0")
    drive.apply(ops=[op("a", retryPolicy=again(5))])
    record = (await drive.finished())["steps"]["a"]
    assert record["reason"] == "Forbidden"
    assert "exceeded quota" in record["message"]


RETRIES = """
from podgraph import Failure, RetryPolicy, RetryRequested, job, op

@op(retry_policy=RetryPolicy(max_retries=2))
def by_policy(context):
    if context.retry_number < 2:
        raise ValueError("not yet")
    return context.retry_number

@op
def asks(context):
    if context.retry_number < 1:
        raise RetryRequested(max_retries=1)
    return context.retry_number

@op(retry_policy=RetryPolicy(max_retries=5))
def refuses():
    raise Failure("no use", allow_retries=False)

@job
def j():
    by_policy()
    asks()
    refuses()
"""


async def test_python_ops_say_whether_they_are_tried_again(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, RETRIES)):
        drive.apply(code={"source": RETRIES})
        steps = (await drive.finished())["steps"]
    assert {n: (s["state"], s["attempt"], s.get("outputs")) for n, s in steps.items()} == {
        "by_policy": ("Succeeded", 3, {"result": "2"}),
        "asks": ("Succeeded", 2, {"result": "1"}),
        "refuses": ("Failed", 1, None),
    }


async def test_what_the_cluster_took_does_not_count_against_a_python_op_s_policy(drive: Driver) -> None:
    source = RETRIES.replace("    asks()\n    refuses()\n", "")
    play = PythonPods(drive.fake, source)
    async with AutoKubelet(
        drive.fake, play, select=lambda pod: pod["metadata"]["name"] != pod_name(drive, "by_policy")
    ):
        drive.clock = lambda: 4e9
        drive.apply(code={"source": source})
        await pod_there(drive, "by_policy")
        drive.fake.evict_pod("default", pod_name(drive, "by_policy"))
        await drive.step("by_policy", "UpForRetry")
        await drive.stop()
        await drive.start()
        await drive.finished()
    assert drive.steps()["by_policy"]["attempt"] == 3
    last = drive.fake.get("pods", "default", pod_name(drive, "by_policy", 3))
    assert (assignment_of(last).attempt, assignment_of(last).lost) == (3, 1)


async def test_a_resolve_pod_that_the_cluster_ends_is_made_again() -> None:
    source = RETRIES.replace("    asks()\n    refuses()\n", "")
    clock = Moving()
    async with driving(clock) as drive:
        drive.apply(code={"source": source}, execution={"infrastructureRetries": 2})
        first = (await drive.pod_of(""))["metadata"]["name"]
        drive.fake.evict_pod("default", first, "Evicted", "low on memory")
        await drive.fake.until(lambda: "ResolveRetried" in events(drive), what="an event")
        assert (
            "again, as the resolve pod told no graph; low on memory" in condition(drive.status(), "Accepted")["message"]
        )
        clock.now += 10
        await wake(drive)
        second = await drive.fake.until(
            lambda: drive.fake.find("pods", "default", resolve_name(drive, 2)), what="another"
        )
        await drive.stop()
        await drive.start()
        play = PythonPods(drive.fake, source)
        async with AutoKubelet(drive.fake, play):
            assert second["metadata"]["name"] != first
            assert condition(await drive.finished(), "Succeeded")["status"] == "True"
        assert drive.created_ops().count("") == 2


def resolve_name(drive: Driver, attempt: int) -> str:
    return resolve_pod("j", drive.fake.get("jobs", "default", "j")["metadata"]["uid"], attempt)


# --- time


async def test_an_op_that_runs_too_long_is_ended_and_its_policy_counts() -> None:
    clock = Moving()
    async with driving(clock) as drive:
        drive.fake.termination_delay = None
        drive.apply(ops=[op("a", timeoutSeconds=60, retryPolicy=again(1))])
        for attempt in (1, 2):
            await pod_there(drive, "a", attempt)
            drive.fake.run_pod("default", pod_name(drive, "a", attempt))
            await drive.step("a", "Running")
            clock.now += 60
            await wake(drive)
            record = await drive.step("a", "Stopping")
            assert record["reason"] == "Timeout"
            # It has 30 seconds to end by itself, and no other attempt begins before.
            pod = await pod_there(drive, "a", attempt)
            await drive.fake.until(
                lambda n=attempt: (
                    "deletionTimestamp" in drive.fake.get("pods", "default", pod_name(drive, "a", n))["metadata"]
                ),
                what="the deletion",
            )
            await drive.stop()
            await drive.start()
            assert len(drive.creates()) == attempt
            drive.fake.end_terminating_pod("default", pod["metadata"]["name"], pod["metadata"]["uid"])
        status = await drive.finished()
    record = status["steps"]["a"]
    assert (record["state"], record["reason"], record["attempt"]) == ("Failed", "Timeout", 2)
    assert record["message"] == "it ran longer than its timeout of 60 seconds (attempt 2)"
    assert record["startTime"] < record["completionTime"]


async def test_a_pod_that_never_runs_is_given_up() -> None:
    clock = Moving()
    async with driving(clock) as drive:
        drive.apply(ops=[op("a")], execution={"pendingTimeoutSeconds": 50, "infrastructureRetries": 0})
        await pod_there(drive, "a")
        drive.fake.unschedulable_pod("default", pod_name(drive, "a"), "0/1 nodes are available")
        clock.now += 45
        await drive.fake.until(lambda: drive.steps().get("a", {}).get("reason") == "Unschedulable", what="the reason")
        clock.now += 6
        await wake(drive)
        record = (await drive.finished())["steps"]["a"]
        assert record["reason"] == "PendingTimeout"
        assert record["message"] == (
            "its pod was not running within 50 seconds: Unschedulable: 0/1 nodes are available"
        )
        await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the pod's deletion")


async def test_a_node_that_does_not_tell_the_end_of_a_pod_is_given_up() -> None:
    clock = Moving()
    async with driving(clock) as drive:
        drive.fake.termination_delay = None
        drive.apply(ops=[op("a")])
        await pod_there(drive, "a")
        drive.fake.run_pod("default", pod_name(drive, "a"))
        drive.fake.delete("pods", "default", pod_name(drive, "a"))
        await drive.fake.until(lambda: states(drive) == {"a": "Running"}, what="running")
        clock.now += 61
        await wake(drive)
        record = await drive.step("a", "UpForRetry")
        assert record["reason"] == "NodeLost"


async def test_a_job_that_takes_too_long_is_ended(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, lambda pod: adding(pod) if op_of(pod) == "a" else None):
        drive.apply(ops=[op("a"), op("b", "a"), op("c", "b")], activeDeadlineSeconds=1)
        status = await drive.finished()
    ended = condition(status, "Succeeded")
    assert (ended["status"], ended["reason"]) == ("False", "DeadlineExceeded")
    assert ended["message"].endswith("(spec.activeDeadlineSeconds); 1 of 3 steps were done")
    assert states(drive) == {"a": "Succeeded", "b": "Failed", "c": "Canceled"}
    assert status["steps"]["b"]["reason"] == "DeadlineExceeded"
    assert drive.pod("b") is None


async def test_code_that_is_not_read_in_time_ends_the_job(drive: Driver) -> None:
    drive.apply(code={"module": "m"}, activeDeadlineSeconds=1)
    await drive.pod_of("")
    assert condition(await drive.finished(), "Succeeded")["reason"] == "DeadlineExceeded"
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the resolve pod's deletion")


async def test_a_finished_job_goes_when_its_time_is_over() -> None:
    clock = Moving()
    async with driving(clock) as drive:
        async with AutoKubelet(drive.fake, adding):
            drive.apply(ops=[op("a")], ttlSecondsAfterFinished=100)
            await drive.finished()
        await drive.stop()
        await drive.start()
        clock.now += 50
        change(drive, ttlSecondsAfterFinished=60)
        await asyncio.sleep(0.05)
        assert drive.fake.objects("jobs")
        clock.now += 10
        await wake(drive)
        await drive.fake.until(lambda: not drive.fake.objects("jobs"), what="the job's deletion")
        await drive.fake.until(lambda: not drive.fake.objects("pods"), what="its pods' deletion")


async def test_a_job_without_a_lifetime_that_finished_is_gone_at_once(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[op("a")], ttlSecondsAfterFinished=0)
        await drive.fake.until(lambda: not drive.fake.objects("jobs"), what="the job's deletion")


# --- suspend and cancel


@pytest.mark.parametrize("spec", [{"ops": [op("a")]}, {"code": {"source": RETRIES}}], ids=["ops", "code"])
async def test_a_job_made_suspended_starts_nothing_until_it_may(drive: Driver, spec: Obj) -> None:
    drive.apply(**spec, suspend=True)
    status = await said(drive, "Suspended")
    assert condition(status, "Finished")["status"] == "False"
    assert "startTime" not in status
    assert drive.creates() == []
    play = PythonPods(drive.fake, RETRIES)
    async with AutoKubelet(drive.fake, lambda pod: adding(pod) if "ops" in spec else play(pod)):
        change(drive, suspend=False)
        status = await drive.finished()
    assert status["observedGeneration"] == 2
    assert status["startTime"]


async def test_a_job_suspended_on_its_way_goes_on_where_it_was(drive: Driver) -> None:
    drive.apply(ops=[op("a"), op("b", "a")])
    await drive.step("a", "Starting")
    change(drive, suspend=True)
    await said(drive, "Suspended")
    drive.finish("a", "result=1")
    await drive.step("a", "Succeeded")
    await drive.stop()
    await drive.start()
    await asyncio.sleep(0.1)
    assert drive.created_ops() == ["a"]
    change(drive, suspend=None)
    await drive.pod_of("b")
    await said(drive, "Running")


async def test_a_canceled_job_ends_its_pods_first(drive: Driver) -> None:
    drive.fake.termination_delay = None
    async with AutoKubelet(drive.fake, lambda pod: adding(pod) if op_of(pod) == "a" else None):
        drive.apply(ops=[op("a"), op("b", "a"), op("c", "b"), op("d", retryPolicy=again(1))])
        await drive.step("b", "Running")
        change(drive, cancel=True)
        status = await said(drive, "Stopping")
        assert condition(status, "Finished")["status"] == "False"
        assert states(drive) == {"a": "Succeeded", "b": "Stopping", "c": "Canceled", "d": "Stopping"}
        await drive.stop()
        await drive.start()
        for name in "bd":
            pod = await pod_there(drive, name)
            await drive.fake.until(
                lambda n=name: "deletionTimestamp" in (drive.pod(n) or {}).get("metadata", {}), what="the deletion"
            )
            drive.fake.end_terminating_pod("default", pod["metadata"]["name"], pod["metadata"]["uid"])
        status = await drive.finished()
    assert states(drive) == {"a": "Succeeded", "b": "Canceled", "c": "Canceled", "d": "Canceled"}
    ended = condition(status, "Succeeded")
    assert (ended["status"], ended["reason"]) == ("False", "Canceled")
    assert ended["message"] == "the job was canceled (spec.cancel); 1 of 4 steps were done"
    assert status["counts"]["canceled"] == 3
    assert [op_of(p) for p in drive.fake.objects("pods")] == ["a"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancel_while_pods_are_made_leaves_none_behind(drive: Driver, when: str) -> None:
    """The third create hangs, and the operator dies with it: its pod may come when nobody expects it any more."""
    fault = drive.fake.fault("POST", "/pods$", hold=True, when=when, skip=2)
    drive.apply(ops=[op(f"n{i}") for i in range(5)])
    await drive.fake.until(lambda: fault.waiting, what="the create")
    change(drive, cancel=True)
    await drive.stop()
    await drive.start()
    await drive.finished()
    fault.release()
    await drive.fake.until(lambda: not fault.waiting, what="the held create")
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the pods' deletion")
    assert set(states(drive).values()) == {"Canceled"}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(14))
async def test_an_operator_that_dies_at_any_write_of_a_cancel_leaves_no_pod_behind(at: int, when: str) -> None:
    async with driving() as drive:
        fault = drive.fake.fault("POST|PATCH|DELETE", "/(pods|status)", hold=True, when=when, skip=at)

        def over() -> bool:
            return condition(drive.status(), "Finished").get("status") == "True"

        async with AutoKubelet(drive.fake, lambda pod: adding(pod) if op_of(pod) == "a" else None):
            drive.apply(ops=[op("a"), *(op(f"n{i}", "a") for i in range(5))], execution={"maxConcurrent": 3})
            await drive.fake.until(lambda: drive.pod("n1") or fault.waiting, what="a pod")
            change(drive, cancel=True)
            await drive.fake.until(lambda: fault.waiting or over(), what="the write")
            await drive.stop()
            fault.release()
            await drive.fake.until(lambda: not fault.waiting, what="the end of the held request")
            await drive.start()
            status = await drive.finished()
            await drive.fake.until(
                lambda: {op_of(p) for p in drive.fake.objects("pods")} <= {"a"}, what="the pods' deletion"
            )
        assert condition(status, "Succeeded")["reason"] == "Canceled"
        assert set(states(drive).values()) <= {"Succeeded", "Canceled"}
        assert [states(drive)[f"n{i}"] for i in range(5)] == ["Canceled"] * 5


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(10))
async def test_an_operator_that_dies_at_any_write_counts_a_timeout_once(at: int, when: str) -> None:
    """Whatever was written, both attempts end by the timeout, none is taken for the cluster's fault, and no third."""
    async with driving(Moving()) as drive:
        fault = drive.fake.fault("POST|PATCH|DELETE", "/(pods|status)", hold=True, when=when, skip=at)

        def over() -> bool:
            return condition(drive.status(), "Finished").get("status") == "True"

        made = made_pods(drive)
        async with AutoKubelet(drive.fake, lambda pod: None):
            drive.apply(ops=[op("a", timeoutSeconds=0.2, retryPolicy=again(1))])
            await drive.fake.until(lambda: fault.waiting or over(), 10, what="the write")
            await drive.stop()
            fault.release()
            await drive.fake.until(lambda: not fault.waiting, what="the end of the held request")
            await drive.start()
            record = (await drive.finished())["steps"]["a"]
        assert (record["state"], record["reason"], record["attempt"]) == ("Failed", "Timeout", 2)
        assert "infrastructureFailures" not in record
        assert made == [pod_name(drive, "a", n) for n in (1, 2)]


async def test_a_create_that_the_server_does_not_take_is_forgotten_with_the_cancel(drive: Driver) -> None:
    drive.fake.fault("POST", "/pods$", status=500, times=None)
    drive.apply(ops=[op("a")])
    await drive.fake.until(lambda: drive.fake.calls("POST", "/pods$"), what="a create")
    change(drive, cancel=True)
    await drive.finished(timeout=20)
    drive.fake.faults.clear()
    await asyncio.sleep(0.2)
    assert drive.fake.objects("pods") == []
    assert states(drive) == {"a": "Canceled"}


async def test_a_job_canceled_while_its_code_is_read_has_no_steps(drive: Driver) -> None:
    drive.apply(code={"source": RETRIES})
    pod = await drive.pod_of("")
    drive.fake.run_pod("default", pod["metadata"]["name"])
    change(drive, cancel=True)
    status = await drive.finished()
    assert condition(status, "Succeeded")["reason"] == "Canceled"
    assert "steps" not in status
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the resolve pod's deletion")


async def test_a_suspended_job_can_be_canceled(drive: Driver) -> None:
    drive.apply(ops=[op("a")], suspend=True)
    await said(drive, "Suspended")
    change(drive, cancel=True)
    status = await drive.finished()
    assert states(drive) == {"a": "Canceled"}
    assert drive.creates() == []
    assert status["steps"]["a"]["message"] == "not run: the job was canceled (spec.cancel)"


async def test_a_retry_that_waits_is_canceled(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, lambda pod: (1, "")):
        drive.apply(ops=[op("a", retryPolicy=again(1, delaySeconds=1000))])
        await drive.step("a", "UpForRetry")
    change(drive, cancel=True)
    await drive.finished()
    assert states(drive) == {"a": "Canceled"}
    assert len(drive.creates()) == 1


# --- limits and priority


async def test_no_more_run_at_once_than_may(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding, run_delay=0.01) as kubelet:
        drive.apply(ops=[op(f"n{i}") for i in range(12)], execution={"maxConcurrent": 3})
        await drive.finished()
        assert kubelet.most_running == 3


async def test_limits_for_tags_hold_over_a_restart(drive: Driver) -> None:
    tagged = [op(f"db{i}", tags={"db": f"{i % 2}"}) for i in range(6)]
    limit = {"key": "db", "perValue": True, "limit": 1}
    drive.apply(ops=[*tagged, op("free")], execution={"tagConcurrencyLimits": [limit]})
    await drive.pod_of("free")
    await drive.step("db1", "Starting")
    await drive.stop()
    await drive.start()
    await asyncio.sleep(0.1)
    assert sorted(drive.created_ops()) == ["db0", "db1", "free"]
    drive.finish("db0", "result=1")
    await drive.pod_of("db2")
    assert sorted(drive.created_ops()) == ["db0", "db1", "db2", "free"]
    async with AutoKubelet(drive.fake, adding):
        await drive.finished()


async def test_a_higher_priority_starts_first(drive: Driver) -> None:
    ops = [op("low", tags={"podgraph/priority": "-1"}), op("plain"), op("high", tags={"podgraph/priority": "10"})]
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=ops, execution={"maxConcurrent": 1})
        await drive.finished()
    assert drive.created_ops() == ["high", "plain", "low"]


async def test_a_priority_that_is_no_number_refuses_the_job(drive: Driver) -> None:
    drive.apply(ops=[op("a", tags={"podgraph/priority": "high"})])
    accepted = condition(await drive.finished(), "Accepted")
    assert accepted["reason"] == "InvalidTags"
    assert "'high'; it must be a whole number" in accepted["message"]
    assert drive.creates() == []


# --- retention


@pytest.mark.parametrize(
    ("retention", "left"), [("Always", ["a", "a", "b", "c"]), ("OnFailure", ["a", "b"]), ("Never", [])]
)
@pytest.mark.parametrize("restart", [False, True])
async def test_which_pods_stay(drive: Driver, retention: str, left: list[str], restart: bool) -> None:
    first: list[str] = []

    def behave(pod: Obj) -> tuple[int, str]:
        which = op_of(pod)
        first.append(which)
        return (1, "") if which == "b" or (which == "a" and first.count("a") == 1) else adding(pod)

    held = drive.fake.fault("DELETE", "/pods/", hold=True) if restart else None
    async with AutoKubelet(drive.fake, behave):
        drive.apply(ops=[op("a", retryPolicy=again(1)), op("b"), op("c")], execution={"podRetention": retention})
        await drive.finished()
    if held is not None:
        await drive.stop()
        drive.fake.faults.clear()
        await drive.start()
    await drive.fake.until(
        lambda: sorted(op_of(p) for p in drive.fake.objects("pods")) == left, what=f"the pods {left}"
    )


async def test_the_resolve_pod_goes_with_the_others(drive: Driver) -> None:
    source = RETRIES.replace("    asks()\n    refuses()\n", "")
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, source)):
        drive.apply(code={"source": source}, execution={"podRetention": "OnFailure"})
        await drive.finished()
    await drive.fake.until(
        lambda: [op_of(p) for p in drive.fake.objects("pods")] == ["by_policy"] * 2, what="only what failed"
    )
