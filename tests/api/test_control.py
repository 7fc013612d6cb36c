"""Suspend, cancel, limits and retention against the fake API server, with restarts in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, PythonPods, adding, condition, driving, op_of
from api.fake import AutoKubelet
from api.steering import RETRIES, Moving, again, change, made_pods, op, pod_name, pod_there, said, states

Obj = dict[str, Any]


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


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
    await drive.quiet()
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
            await drive.fake.until(lambda: fault.waiting or over(), what="the write")
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
    await drive.quiet()
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
    await drive.quiet()
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


@pytest.mark.parametrize("still", [True, False])
async def test_a_cancel_that_came_while_the_operator_stood_still_holds_before_the_next_step(
    drive: Driver, still: bool
) -> None:
    """It is stopped, the Job is canceled, its first step ends; the pod's end is heard before the cancel is."""
    assert drive.controller is not None
    drive.apply(ops=[op("a"), op("b", "a")])
    pod = await drive.pod_of("a")
    drive.fake.run_pod("default", pod["metadata"]["name"])
    await drive.step("a", "Running")
    with drive.fake.held_events("jobs"):
        change(drive, cancel=True)
        if still:
            drive.controller.standstill._beat -= 60
        drive.finish("a", "result=1")
        if not still:  # else the test would show nothing
            await drive.pod_of("b")
            return
        await drive.fake.until(lambda: condition(drive.status(), "Finished").get("status") == "True", what="the end")
        assert drive.created_ops() == ["a"]
        assert drive.steps()["b"]["state"] == "Canceled"
