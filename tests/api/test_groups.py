"""Jobs in which some ops share a pod, against the fake API server: pods die, logs break, operators restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, PythonPods, assignment_of, condition, driving
from api.fake import AutoKubelet
from api.steering import Moving, change, events, made_pods, states, wake
from podgraph.planning.model.names import OP_LABEL, POD_LABEL, shared_nonce, shared_pod
from podgraph.protocol.reports import StepReport, pack_states
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Record
from podgraph.protocol.times import utc
from podgraph.reconcile.log_follower import LogFollower

Obj = dict[str, Any]
SOURCE = """
from podgraph import Out, RetryPolicy, job, op

@op
def source():
    return [3, 1, 2]

@op(pod="prep")
def load(rows):
    return {"rows": set(rows), "size": "x" * 10_000}

@op(pod="prep", out={"odd": Out(), "even": Out()}, retry_policy=RetryPolicy(max_retries=1))
def part(context, loaded):
    if not context.retry_number:
        raise ValueError("not yet")
    return [x for x in loaded["rows"] if x % 2], {x for x in loaded["rows"] if not x % 2}

@op(pod="prep")
def size(loaded):
    return len(loaded["size"])

@op
def total(rows):
    return sum(rows)

@op
def report(odd, even, size):
    return [odd, even, size]

@job
def j():
    loaded = load(source())
    odd, even = part(loaded)
    report(total.alias("odd")(odd), total.alias("even")(even), size(loaded))
"""
STEPS = ("source", "load", "part", "size", "odd", "even", "report")
MEMBERS = ("load", "part", "size")
CODE: Obj = {"code": {"source": SOURCE}}


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def uid_of(drive: Driver) -> str:
    return str(drive.fake.get("jobs", "default", "j")["metadata"]["uid"])


def name_of(drive: Driver, attempt: int = 1) -> str:
    return shared_pod("j", uid_of(drive), "prep", attempt)


def tells(drive: Driver, step: str, state: str, number: int = 1, pod: int = 1, **more: Any) -> None:
    """Be the shared pod that says something of a step."""
    nonce = shared_nonce(uid_of(drive), "prep", pod)
    line = StepReport(step, state, number, "2026-01-01T00:00:00.000000Z", **more).to_line(
        Signer(nonce, drive.keys.of(uid_of(drive)).pod)
    )
    drive.fake.append_log("default", name_of(drive, pod), f"words of an op\n{line}\n")


def comes_to_its_end(drive: Driver, *ends: str, pod: int = 1) -> None:
    nonce, failed = shared_nonce(uid_of(drive), "prep", pod), "Failed" in ends
    record = Record(
        nonce, "Failed" if failed else "Succeeded", reason="StepsFailed" if failed else "", summary=pack_states(ends)
    )
    drive.fake.finish_pod("default", name_of(drive, pod), int(failed), record.to_line(drive.keys.of(uid_of(drive)).pod))


def plays(drive: Driver, source: str = SOURCE, shared: bool = False) -> AutoKubelet:
    """Play all pods but the shared one, or that as well."""
    return AutoKubelet(
        drive.fake, PythonPods(drive.fake, source), select=lambda pod: shared or not assignment_of(pod).shared
    )  # fmt: skip


async def there(drive: Driver, attempt: int = 1) -> Obj:
    """Wait for the shared pod and let it run."""
    await drive.fake.until(lambda: drive.fake.find("pods", "default", name_of(drive, attempt)), what="the shared pod")
    return drive.fake.run_pod("default", name_of(drive, attempt))


async def test_ops_that_share_a_pod_run_in_it_beside_the_pods_of_the_others(drive: Driver) -> None:
    async with plays(drive, shared=True):
        drive.apply(**CODE)
        status = await drive.finished()
    assert condition(status, "Succeeded")["reason"] == "Succeeded"
    steps = drive.steps()
    assert states(drive) == dict.fromkeys(STEPS, "Succeeded")
    assert steps["report"]["outputs"] == {"result": "[4,2,10000]"}
    assert "outputs" not in steps["load"], "a set, and large: it stayed in the pod"
    assert steps["part"]["outputs"] == {"odd": "[1,3]"}
    assert steps["part"]["stored"]["even"]["format"] == "pickle"
    assert (steps["part"]["attempt"], steps["load"]["attempt"]) == (2, 1)
    assert len({steps[step]["podUID"] for step in MEMBERS}) == 1
    assert len(drive.creates()) == 1 + 1 + 4
    assert status["pods"] == {"prep": {"state": "Ended", "attempt": 1, "podUID": steps["load"]["podUID"]}}
    labels = drive.fake.get("pods", "default", name_of(drive))["metadata"]["labels"]
    assert (labels[POD_LABEL], OP_LABEL in labels) == ("prep", False)


async def test_what_one_step_gives_is_used_while_the_pod_goes_on(drive: Driver) -> None:
    async with plays(drive):
        drive.apply(**CODE)
        await there(drive)
        tells(drive, "load", "Running")
        await drive.step("load", "Running")
        tells(drive, "load", "Succeeded")
        tells(drive, "part", "Succeeded", 2, outputs={"odd": "[1,3]", "even": "[2]"})
        assert (await drive.step("even", "Succeeded"))["outputs"] == {"result": "2"}
        assert states(drive)["size"] == "Pending"
        assert states(drive)["report"] == "Pending"
        tells(drive, "size", "Succeeded", outputs={"result": "9"})
        assert (await drive.step("report", "Succeeded"))["outputs"] == {"result": "[4,2,9]"}
        assert condition(drive.status(), "Finished")["status"] == "False", "the pod still runs"
        comes_to_its_end(drive, *["Succeeded"] * 3)
        await drive.finished()
    assert not [r for r in drive.fake.calls("GET", "/log$") if "follow" not in r.query and "prep" in r.path]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(14))
async def test_an_operator_that_dies_at_any_write_runs_each_step_once(at: int, when: str) -> None:
    async with driving() as drive:
        fault = drive.fake.fault("POST|PATCH|DELETE", "/(pods|status)", hold=True, when=when, skip=at)
        async with plays(drive, shared=True):
            drive.apply(**CODE)

            def is_over() -> bool:
                return condition(drive.status(), "Finished").get("status") == "True"

            await drive.fake.until(lambda: fault.waiting or is_over(), what="the write")
            await drive.stop()
            fault.release()
            await drive.fake.until(lambda: not fault.waiting, what="the end of the held request")
            await drive.start()
            await drive.finished()
        assert states(drive) == dict.fromkeys(STEPS, "Succeeded")
        assert drive.steps()["report"]["outputs"] == {"result": "[4,2,10000]"}
        assert len(drive.fake.objects("pods")) == 6


@pytest.mark.parametrize("how", ["deleted", "evicted"])
async def test_a_pod_that_is_lost_is_followed_by_another_for_the_rest(how: str) -> None:
    async with driving(Moving()) as drive:
        made = made_pods(drive)
        async with plays(drive):
            drive.apply(**CODE)
            await there(drive)
            tells(drive, "load", "Succeeded")
            tells(drive, "size", "Succeeded", outputs={"result": "9"})
            tells(drive, "part", "Running")
            await drive.step("part", "Running")
            if how == "deleted":
                drive.fake.delete_pod("default", name_of(drive))
            else:
                drive.fake.evict_pod("default", name_of(drive))
            record = await drive.step("part", "UpForRetry")
            assert record["reason"] == ("PodDeleted" if how == "deleted" else "Evicted")
            assert drive.status()["pods"]["prep"]["state"] == "UpForRetry"
            assert (states(drive)["load"], states(drive)["size"]) == ("Succeeded", "Succeeded")
            await drive.fake.until(lambda: "PodRetried" in events(drive), what="the event")
            drive.clock.now += 60  # type: ignore[union-attr]
            await wake(drive)
            told = assignment_of(await there(drive, 2)).shared
            assert {op: (t.get("attempt", 0), t.get("lost", 0)) for op, t in told["ops"].items()} == {
                "load": (1, 1), "part": (1, 1)  # what load gave is gone with the pod; size is done
            }  # fmt: skip
            tells(drive, "load", "Succeeded", 2, 2)
            tells(drive, "part", "Succeeded", 2, 2, outputs={"odd": "[1,3]", "even": "[2]"})
            await drive.step("report", "Succeeded")
            comes_to_its_end(drive, "Succeeded", "Succeeded", "", pod=2)
            status = await drive.finished()
    assert drive.steps()["report"]["outputs"] == {"result": "[4,2,9]"}
    assert (drive.steps()["load"]["attempt"], drive.steps()["size"]["attempt"]) == (2, 1)
    assert drive.steps()["part"]["infrastructureFailures"] == 1
    assert (status["pods"]["prep"]["attempt"], status["pods"]["prep"]["infrastructureFailures"]) == (2, 1)
    assert [name for name in made if "prep" in name] == [name_of(drive, 1), name_of(drive, 2)]


async def test_a_pod_that_crashes_fails_the_step_that_ran(drive: Driver) -> None:
    async with plays(drive):
        drive.apply(**CODE)
        await there(drive)
        tells(drive, "load", "Running")
        drive.fake.finish_pod("default", name_of(drive), 139, "")
        await drive.finished()
    assert states(drive) == {"source": "Succeeded", "load": "Failed", **dict.fromkeys(STEPS[2:], "UpstreamFailed")}
    assert "exit code 139" in drive.steps()["load"]["message"]


async def test_a_crash_is_followed_by_another_pod_as_the_op_s_policy_says(drive: Driver) -> None:
    async with plays(drive):
        drive.apply(**CODE)
        await there(drive)
        tells(drive, "load", "Succeeded")
        tells(drive, "part", "Running")
        drive.fake.finish_pod("default", name_of(drive), 137, "")
        told = assignment_of(await there(drive, 2)).shared
        assert {op: (t.get("attempt", 0), t.get("lost", 0)) for op, t in told["ops"].items()} == {
            "load": (1, 1), "part": (1, 0), "size": (0, 0)
        }  # fmt: skip
        tells(drive, "load", "Succeeded", 2, 2)
        tells(drive, "part", "Running", 2, 2)
        drive.fake.finish_pod("default", name_of(drive, 2), 137, "")
        told = assignment_of(await there(drive, 3)).shared
        assert list(told["ops"]) == ["load", "size"], "part has had its retries, and size has no part in it"
        tells(drive, "load", "Succeeded", 3, 3)
        tells(drive, "size", "Succeeded", 1, 3, outputs={"result": "9"})
        comes_to_its_end(drive, "Succeeded", "", "Succeeded", pod=3)
        await drive.finished()
    assert states(drive) == {
        "source": "Succeeded", "load": "Succeeded", "part": "Failed", "size": "Succeeded",
        **dict.fromkeys(("odd", "even", "report"), "UpstreamFailed"),
    }  # fmt: skip


async def test_a_cancel_ends_the_pod(drive: Driver) -> None:
    async with plays(drive):
        drive.apply(**CODE)
        await there(drive)
        tells(drive, "load", "Succeeded")
        tells(drive, "part", "Running")
        await drive.step("part", "Running")
        change(drive, cancel=True)
        status = await drive.finished()
    assert condition(status, "Succeeded")["reason"] == "Canceled"
    assert states(drive) == {"source": "Succeeded", "load": "Succeeded", **dict.fromkeys(STEPS[2:], "Canceled")}
    assert drive.fake.find("pods", "default", name_of(drive)) is None


async def test_a_suspended_job_starts_no_shared_pod(drive: Driver) -> None:
    async with plays(drive, shared=True):
        drive.apply(**CODE, suspend=True)
        await drive.fake.until(lambda: condition(drive.status(), "Succeeded").get("reason") == "Suspended")
        assert drive.creates() == []
        change(drive, suspend=False)
        await drive.finished()
    assert states(drive) == dict.fromkeys(STEPS, "Succeeded")


@pytest.mark.parametrize(("retention", "fails", "stays"), [
    ("OnFailure", False, False), ("OnFailure", True, True), ("Never", True, False), ("Always", False, True)
])  # fmt: skip
async def test_shared_pods_stay_as_others_do(drive: Driver, retention: str, fails: bool, stays: bool) -> None:
    source = SOURCE.replace('return len(loaded["size"])', "return 1 / 0") if fails else SOURCE
    async with plays(drive, source, shared=True):
        drive.apply(code={"source": source}, execution={"podRetention": retention})
        await drive.finished()
        if stays:
            assert drive.fake.find("pods", "default", name_of(drive))
        else:
            await drive.fake.until(lambda: drive.fake.find("pods", "default", name_of(drive)) is None, what="its end")


@pytest.mark.parametrize("limits", [{"maxConcurrent": 1}, {"tagConcurrencyLimits": [{"key": "db", "limit": 1}]}])
async def test_a_shared_pod_counts_as_one(drive: Driver, limits: Obj) -> None:
    source = SOURCE.replace('@op(pod="prep")\ndef size', '@op(pod="prep", tags={"db": "x"})\ndef size')
    source = source.replace("@op\ndef total", '@op(tags={"db": "y"})\ndef total')
    assert source.count("tags=") == 2
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, source), run_delay=0.02) as kubelet:
        drive.apply(code={"source": source}, execution=limits)
        await drive.finished()
    assert states(drive) == dict.fromkeys(STEPS, "Succeeded")
    assert kubelet.most_running == 1


async def test_pods_that_would_wait_for_each_other_are_refused(drive: Driver) -> None:
    source = SOURCE.replace("@op\ndef report", '@op(pod="prep")\ndef report')
    async with plays(drive, source, shared=True):
        drive.apply(code={"source": source})
        status = await drive.finished()
    told = condition(status, "Accepted")
    assert told["reason"] == "PodCycle"
    assert "part -> odd -> report" in told["message"]
    assert len(drive.creates()) == 1


async def test_of_a_selection_only_the_selected_ops_share_the_pod(drive: Driver) -> None:
    async with plays(drive, shared=True):
        drive.apply(**CODE, opSelection=["*size"])
        status = await drive.finished()
    assert states(drive) == dict.fromkeys(("source", "load", "size"), "Succeeded")
    assert status["pods"]["prep"]["attempt"] == 1
    assert drive.steps()["size"]["outputs"] == {"result": "10000"}


async def test_an_op_left_alone_in_its_pod_has_one_of_its_own(drive: Driver) -> None:
    async with plays(drive):
        drive.apply(**CODE, opSelection=["size"], runConfig={"ops": {"size": {"inputs": {"loaded": {"size": "abc"}}}}})
        status = await drive.finished()
    assert drive.steps()["size"]["outputs"] == {"result": "3"}
    assert "pods" not in status


async def test_a_log_that_is_not_followed_is_read_at_the_end(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogFollower, "follow", lambda *_: None)
    drive.fake.fault("GET", "/log$", status=503, times=2)
    async with plays(drive, shared=True):
        drive.apply(**CODE)
        await drive.finished()
    assert drive.steps()["report"]["outputs"] == {"result": "[4,2,10000]"}


async def test_what_the_log_does_not_tell_is_done_again_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogFollower, "follow", lambda *_: None)
    async with driving(Moving()) as drive:
        fault = drive.fake.fault("GET", "/log$", status=404, reason="NotFound", times=None)
        async with plays(drive, shared=True):
            drive.apply(**CODE)
            await drive.step("load", "Succeeded")
            await drive.fake.until(lambda: drive.status()["pods"]["prep"]["state"] == "UpForRetry", what="the loss")
            assert drive.status()["pods"]["prep"]["reason"] == "ReportLost"
            fault.times = 0
            drive.clock.now += 60  # type: ignore[union-attr]
            await wake(drive)
            await drive.finished()
        assert drive.steps()["report"]["outputs"] == {"result": "[4,2,10000]"}


LATE = SOURCE.replace('@op(pod="prep")\ndef size', '@op(pod="prep", timeout=30)\ndef size')


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_step_that_runs_for_too_long_ends_the_pod_and_the_others_go_on(restarted: bool) -> None:
    async with driving(Moving()) as drive, plays(drive, LATE):
        drive.apply(code={"source": LATE})
        await there(drive)
        tells(drive, "load", "Succeeded")
        now = utc(drive.clock())  # type: ignore[misc]
        nonce = shared_nonce(uid_of(drive), "prep", 1)
        line = StepReport("size", "Running", 1, now).to_line(Signer(nonce, drive.keys.of(uid_of(drive)).pod))
        drive.fake.append_log("default", name_of(drive), f"{line}\n")
        await drive.step("size", "Running")
        drive.clock.now += 31  # type: ignore[union-attr]
        await wake(drive)
        await drive.step("size", "Stopping")
        if restarted:
            await drive.stop()
            await drive.start()
        name = name_of(drive)

        def deleted() -> bool:
            found = drive.fake.find("pods", "default", name)
            return found is None or bool(found["metadata"].get("deletionTimestamp"))

        await drive.fake.until(deleted, what="the deletion")
        if drive.fake.find("pods", "default", name) is not None:
            drive.fake.finish_pod("default", name, 143)
            drive.fake.delete_pod("default", name)
        record = await drive.step("size", "Failed")
        assert (record["reason"], record["message"]) == ("Timeout", "it ran longer than its timeout of 30 seconds")
        told = assignment_of(await there(drive, 2)).shared
        assert set(told["ops"]) == {"load", "part"}
        assert drive.status()["pods"]["prep"].get("infrastructureFailures") is None
