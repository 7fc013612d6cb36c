"""Attempts at steps against the fake API server: retries and time limits, with restarts in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, PythonPods, adding, assignment_of, condition, driving, op_of
from api.fake import AutoKubelet
from api.steering import RETRIES, Moving, again, change, events, made_pods, op, pod_name, pod_there, states, wake
from podgraph.planning.model.names import resolve_pod
from podgraph.planning.model.status import seconds_of

Obj = dict[str, Any]
NO_IMAGE = "manifest unknown: not found"


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


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
        await drive.quiet()
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


async def test_a_pod_that_a_quota_can_never_have_fails_at_once(drive: Driver) -> None:
    text = "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"
    drive.fake.fault("POST", "/pods$", status=403, message=text)
    drive.apply(ops=[op("a", retryPolicy=again(5))])
    record = (await drive.finished())["steps"]["a"]
    assert record["reason"] == "Forbidden"
    assert "exceeded quota" in record["message"]


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
            "again, as the resolve pod reported no graph; low on memory"
            in condition(drive.status(), "Accepted")["message"]
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
        await drive.quiet()
        assert drive.fake.objects("jobs")
        clock.now += 10
        await wake(drive)
        await drive.fake.until(lambda: not drive.fake.objects("jobs"), what="the job's deletion")
        await drive.fake.until(lambda: not drive.fake.objects("pods"), what="its pods' deletion")


async def test_a_job_without_a_lifetime_that_finished_is_gone_at_once(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[op("a")], ttlSecondsAfterFinished=0)
        await drive.fake.until(lambda: not drive.fake.objects("jobs"), what="the job's deletion")
