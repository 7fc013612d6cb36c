"""What keeps large Jobs cheap for the API server and small ones beside them quick."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, PythonPods, driving
from api.fake import AutoKubelet

Obj = dict[str, Any]
LARGEST = """
from podgraph import job, op

@op
def load():
    return 0

@op
def transform(x):
    return x + 1

@job
def j():
    loaded = load()
    for at in range(4_999):
        transform.alias(f"transform_partition_{at}")(loaded)
"""


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def fan(count: int) -> list[Obj]:
    return [{"name": f"s{at}", "image": "busybox:1"} for at in range(count)]


def deletes(drive: Driver) -> list[Obj]:
    return [call for call in drive.fake.calls("DELETE", "/pods") if call.status == 200]


async def test_pods_that_succeeded_are_deleted_together(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, lambda _: (0, "")):
        drive.apply(ops=fan(300), execution={"podRetention": "OnFailure"})
        await drive.finished(timeout=30)
        await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the pods gone")
    calls = deletes(drive)
    assert [call.path for call in calls] == ["/api/v1/namespaces/default/pods"] * 2  # 250, and the rest
    assert "status.phase=Succeeded" in calls[0].query["fieldSelector"]


async def test_pods_that_failed_stay(drive: Driver) -> None:
    def play(pod: Obj) -> tuple[int, str]:
        return (1 if pod["metadata"]["annotations"]["podgraph.dev/op"] == "s7" else 0), ""

    async with AutoKubelet(drive.fake, play):
        drive.apply(ops=fan(40), execution={"podRetention": "OnFailure"})
        await drive.finished()
        await drive.fake.until(lambda: len(drive.fake.objects("pods")) == 1, what="one pod left")
    assert drive.fake.objects("pods")[0]["metadata"]["annotations"]["podgraph.dev/op"] == "s7"
    assert len(deletes(drive)) == 1


async def test_pods_of_other_jobs_and_of_others_stay(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, lambda _: (0, "")):
        drive.apply("kept", ops=fan(2), execution={"podRetention": "Always"})
        await drive.finished("kept")
        drive.apply("large", ops=fan(40), execution={"podRetention": "OnFailure"})
        await drive.finished("large")
        await drive.fake.until(lambda: len(drive.fake.objects("pods")) == 2, what="the large job's pods gone")
    assert {pod["metadata"]["labels"]["podgraph.dev/job"] for pod in drive.fake.objects("pods")} == {"kept"}


async def test_a_status_write_that_takes_long_makes_the_next_one_later(drive: Driver) -> None:
    drive.fake.fault("PATCH", "/status$", delay=0.2)
    async with AutoKubelet(drive.fake, lambda _: (0, "")):
        uid = drive.apply(ops=[{"name": "held", "image": "busybox:1", "after": ["s0"]}, *fan(1)])["metadata"]["uid"]
        controller = drive.controller
        assert controller is not None
        await drive.fake.until(lambda: uid in controller.jobs.states and controller.jobs.states[uid].write_seconds >= 4)
        await drive.finished()  # that is told at once all the same


async def test_pods_are_made_while_a_large_status_is_written(drive: Driver) -> None:
    held = drive.fake.fault("PATCH", "/status$", hold=True)
    async with AutoKubelet(drive.fake, lambda _: (0, "")):
        drive.apply(ops=fan(250))
        await drive.fake.until(lambda: held.waiting and len(drive.creates()) == 250, what="all pods made")
        held.release()
        status = await drive.finished(timeout=30)
    assert status["progress"] == "250/250"


async def test_a_refusal_while_the_status_is_written_is_not_forgotten(drive: Driver) -> None:
    held = drive.fake.fault("PATCH", "/status$", hold=True)
    drive.fake.fault("POST", "/pods$", status=403, message="denied by a webhook", skip=200)
    async with AutoKubelet(drive.fake, lambda _: (0, "")):
        drive.apply(ops=fan(250), execution={"infrastructureRetries": 0})
        await drive.fake.until(lambda: held.waiting and len(drive.creates()) == 249, what="all others made")
        held.release()
        status = await drive.finished(timeout=30)
    assert status["counts"]["failed"] == 1
    assert [e["reason"] for e in drive.fake.objects("events")].count("StepFailed") == 1


async def test_a_small_job_is_not_held_up_by_a_large_one(drive: Driver) -> None:
    """Its pods are made between those of the other one, whose creates are hundreds and slow."""
    drive.fake.fault("POST", "/pods$", delay=0.01, times=None)
    async with AutoKubelet(drive.fake, lambda _: (0, "")):
        drive.apply("large", ops=fan(600))
        await drive.fake.until(lambda: len(drive.creates()) > 60, what="the large job on its way")
        drive.apply("small", ops=fan(3))
        await drive.finished("small")
        small = [at for at, name in enumerate(drive.creates()) if name.startswith("small-")]
        await drive.finished("large", timeout=30)
    assert len(small) == 3
    assert small[-1] < 400


async def test_a_server_that_is_busy_gets_fewer_creates_at_once(drive: Driver) -> None:
    controller = drive.controller
    assert controller is not None
    before = controller.client._creating.size
    drive.fake.fault("POST", "/pods$", status=429, retry_after=0, times=5)
    async with AutoKubelet(drive.fake, lambda _: (0, "")):
        drive.apply(ops=fan(20))
        await drive.fake.until(lambda: controller.client._creating.size < before, what="a smaller window")
        await drive.finished()
    assert sorted(drive.creates()) == sorted(set(drive.creates()))
    assert len(drive.creates()) == 20


async def test_a_job_of_as_many_ops_as_there_may_be_completes_and_is_less_than_a_mebibyte(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, LARGEST)):
        drive.apply(code={"source": LARGEST}, execution={"podRetention": "OnFailure"})
        status = await drive.finished(timeout=300)
        await drive.fake.until(lambda: not drive.fake.objects("pods"), 60, "the pods gone")
    assert status["progress"] == "5000/5000"
    assert {record["outputs"]["result"] for record in status["steps"].values()} == {"0", "1"}
    assert len(json.dumps(drive.fake.get("jobs", "default", "j"), separators=(",", ":"))) < 900_000  # as it is stored
    assert drive.status_writes() < 40


async def test_pods_of_a_large_job_are_told_apart_after_a_restart(drive: Driver) -> None:
    """Its status does not tell which pod a step that has ended had."""

    def play(pod: Obj) -> tuple[int, str]:
        return (1 if pod["metadata"]["annotations"]["podgraph.dev/op"] == "s7" else 0), ""

    held = drive.fake.fault("DELETE", "/pods", status=500, times=None)
    async with AutoKubelet(drive.fake, play):
        drive.apply(ops=fan(1_001), execution={"podRetention": "OnFailure"})
        status = await drive.finished(timeout=120)
        assert not any("podUID" in record for name, record in status["steps"].items() if name != "s0")
        await drive.stop()
        held.times = 0
        await drive.start()
        await drive.fake.until(lambda: len(drive.fake.objects("pods")) == 1, 60, "one pod left")
    assert drive.fake.objects("pods")[0]["metadata"]["annotations"]["podgraph.dev/op"] == "s7"
