"""Pods that find no room in the ResourceQuota of their namespace wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from podgraph.planning.model.names import AHEAD_LABEL, WAITING

from .driving import Driver, PythonPods, adding, condition, driving, op_of
from .fake import FakeCluster
from .fake.kubelet import AutoKubelet

Obj = dict[str, Any]


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def op(name: str, *ups: str, **more: Any) -> Obj:
    inputs = [{"name": up, "from": {"op": up}} for up in ups]
    return {"name": name, "image": "i", "inputs": inputs, "outputs": [{"name": "result"}], **more}


def quota(drive: Driver, hard: Obj, name: str = "q2") -> None:
    drive.fake.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}})


def refusals(drive: Driver) -> int:
    return sum(r.status == 403 for r in drive.fake.calls("POST", "/pods$"))


def reasons(drive: Driver, name: str = "j") -> list[str | None]:
    return [step.get("reason") for step in drive.steps(name).values()]


CHAIN = [op("a"), op("b", "a"), op("c", "b")]
SOURCE = """
from podgraph import job, op

@op
def one(): return 1

@op
def two(one): return one + 1

@op
def three(two): return two + 1

@job
def j(): three(two(one()))
"""


class Exiting:
    """Python pods that tell their result, or wait for what they are to do, and take a while to exit."""

    def __init__(self, fake: FakeCluster) -> None:
        self.fake, self.python = fake, PythonPods(fake, SOURCE)

    async def __call__(self, pod: Obj) -> tuple[int, str]:
        name, told = pod["metadata"]["name"], (0, "")
        if not op_of(pod):
            told = self.python(pod)
            self.fake.append_log("default", name, f"{told[1]}\n")
        while pod["metadata"]["labels"].get(AHEAD_LABEL) == WAITING:
            await asyncio.sleep(0.02)
            pod = self.fake.get("pods", "default", name)
        if op_of(pod):
            told = self.python(pod)
            self.fake.append_log("default", name, f"{told[1]}\n")
        await asyncio.sleep(0.3)
        return told


@pytest.mark.parametrize("prestart", [0, 1])
async def test_a_chain_runs_where_there_is_room_for_one_pod(drive: Driver, prestart: int) -> None:
    quota(drive, {"pods": "1"})
    async with AutoKubelet(drive.fake, Exiting(drive.fake)) as kubelet:
        drive.apply(code={"source": SOURCE}, execution={"prestart": prestart})
        status = await drive.finished()
    assert [(s["state"], s["attempt"]) for s in status["steps"].values()] == [("Succeeded", 1)] * 3
    assert kubelet.most_running == 1


async def test_a_chain_of_containers_runs_where_there_is_room_for_one_pod(drive: Driver) -> None:
    quota(drive, {"pods": "1"})
    async with AutoKubelet(drive.fake, adding, run_delay=0.2):
        drive.apply(ops=CHAIN)
        status = await drive.finished()
    assert [(s["state"], s["attempt"]) for s in status["steps"].values()] == [("Succeeded", 1)] * 3


async def test_a_step_that_waits_tells_why_and_counts_no_attempt(drive: Driver) -> None:
    quota(drive, {"pods": "1"})
    other = {"containers": [{"name": "c", "image": "i"}]}
    drive.fake.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": other})
    drive.apply(ops=[op("a", retryPolicy={"maxRetries": 2})], execution={"pendingTimeoutSeconds": 1})
    await drive.fake.until(lambda: drive.steps().get("a", {}).get("reason"), what="a reason")
    await drive.fake.until(lambda: "exceeded quota" in condition(drive.status(), "Succeeded")["message"], timeout=2)
    record = drive.steps()["a"]
    assert (record["state"], record["reason"], record.get("attempt")) == ("Pending", "QuotaExceeded", None)
    said = "is forbidden: exceeded quota: q2, requested: pods=1, used: pods=1, limited: pods=1"
    assert said in record["message"]
    await asyncio.sleep(2.5)
    assert 2 <= refusals(drive) <= 5
    assert drive.steps()["a"]["state"] == "Pending"  # pendingTimeoutSeconds is about pods that exist
    drive.fake.delete("pods", "default", "other")
    async with AutoKubelet(drive.fake, adding):
        status = await drive.finished()
    assert (status["steps"]["a"]["state"], status["steps"]["a"]["attempt"]) == ("Succeeded", 1)
    assert "reason" not in status["steps"]["a"]


async def test_a_restart_keeps_those_that_wait(drive: Driver) -> None:
    quota(drive, {"pods": "1"})
    drive.apply(ops=[op("a"), op("b")])
    await drive.fake.until(lambda: "QuotaExceeded" in reasons(drive))
    await drive.stop()
    await drive.start()
    async with AutoKubelet(drive.fake, adding):
        status = await drive.finished()
    assert [s["attempt"] for s in status["steps"].values()] == [1, 1]


async def test_a_job_that_waits_can_end(drive: Driver) -> None:
    quota(drive, {"pods": "1"})
    drive.apply("first", ops=[op("a")])
    await drive.fake.until(lambda: drive.pod("a"))
    drive.apply("canceled", ops=[op("a"), op("b", "a")])
    drive.apply("late", ops=[op("a")], activeDeadlineSeconds=1)
    await drive.fake.until(lambda: "QuotaExceeded" in reasons(drive, "canceled"))
    drive.fake.patch("jobs", "default", "canceled", {"spec": {"cancel": True}})
    assert (await drive.finished("canceled"))["steps"]["a"]["state"] == "Canceled"
    assert condition(await drive.finished("late"), "Succeeded")["reason"] == "DeadlineExceeded"


async def test_four_at_once_where_there_is_room_for_two(drive: Driver) -> None:
    quota(drive, {"count/pods": "9", "pods": "2"})
    async with AutoKubelet(drive.fake, adding, run_delay=0.1) as kubelet:
        drive.apply(ops=[op(name) for name in "abcd"])
        status = await drive.finished()
    assert [s["state"] for s in status["steps"].values()] == ["Succeeded"] * 4
    assert kubelet.most_running == 2


async def test_many_that_wait_send_few_requests(drive: Driver) -> None:
    quota(drive, {"pods": "3"})
    drive.apply(ops=[op(f"s{i}") for i in range(300)])
    await drive.fake.until(lambda: drive.status().get("counts", {}).get("pending") == 297)
    before = refusals(drive)
    assert before <= 100
    await asyncio.sleep(2.5)
    assert refusals(drive) - before <= 4


async def test_what_can_never_fit_is_refused_at_once(drive: Driver) -> None:
    quota(drive, {"pods": "0"})
    drive.apply(ops=[op("a", retryPolicy={"maxRetries": 2})])
    record = (await drive.finished(timeout=5))["steps"]["a"]
    assert (record["state"], record["reason"], record["attempt"]) == ("Failed", "Forbidden", 1)
    assert "exceeded quota: q2, requested: pods=1, used: pods=0, limited: pods=0" in record["message"]


async def test_a_template_that_can_never_fit_is_refused_before_the_first_step(drive: Driver) -> None:
    quota(drive, {"requests.cpu": "1"})
    container = {"name": "step", "resources": {"requests": {"cpu": "1500m"}}}
    drive.apply(ops=[op("a"), op("b", podTemplate={"spec": {"containers": [container]}})])
    accepted = condition(await drive.finished(timeout=5), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidPodTemplate")
    assert "requested: requests.cpu=1500m, used: requests.cpu=0, limited: requests.cpu=1" in accepted["message"]


async def test_what_has_to_be_named_is_refused_at_once(drive: Driver) -> None:
    quota(drive, {"limits.cpu": "1"})
    drive.apply(ops=[op("a")])
    record = (await drive.finished(timeout=5))["steps"]["a"]
    assert (record["state"], record["reason"]) == ("Failed", "Forbidden")
    assert "must specify limits.cpu" in record["message"]


async def test_another_namespace_is_not_delayed(drive: Driver) -> None:
    quota(drive, {"pods": "1"})
    drive.apply("full", ops=[op(f"s{i}") for i in range(20)])
    await drive.fake.until(lambda: "QuotaExceeded" in reasons(drive, "full"))
    manifest = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": {"name": "j", "namespace": "else"}}
    async with AutoKubelet(drive.fake, adding, select=lambda pod: pod["metadata"]["namespace"] == "else"):
        drive.fake.create({**manifest, "spec": {"ops": CHAIN, "execution": {"prestart": 1}}})

        def over() -> bool:
            return condition(drive.fake.get("jobs", "else", "j").get("status", {}), "Finished").get("status") == "True"

        await drive.fake.until(over, timeout=3, what="the end of the job in another namespace")


async def test_a_pod_that_waits_for_inputs_makes_room(drive: Driver) -> None:
    quota(drive, {"pods": "2"})
    drive.apply("ahead", code={"source": SOURCE}, execution={"prestart": 1})
    pod = await drive.pod_of("")
    drive.fake.finish_pod("default", pod["metadata"]["name"], *PythonPods(drive.fake, SOURCE)(pod))
    await drive.step("two", "Waiting", "ahead")
    async with AutoKubelet(drive.fake, adding, select=lambda pod: pod["metadata"]["name"].startswith("urgent")):
        drive.apply("urgent", ops=[op("u")])
        await drive.finished("urgent", timeout=5)
    await drive.step("two", "Pending", "ahead")


@pytest.mark.parametrize("execution", [{}, {"mode": "InProcess"}], ids=str)
async def test_the_resolve_pod_waits(drive: Driver, execution: Obj) -> None:
    quota(drive, {"pods": "1"})
    drive.apply("first", ops=[op("a")])
    await drive.fake.until(lambda: drive.pod("a"))
    drive.apply(code={"source": SOURCE}, execution=execution)
    await drive.fake.until(lambda: "exceeded quota" in condition(drive.status(), "Accepted").get("message", ""))
    python = PythonPods(drive.fake, SOURCE)
    async with AutoKubelet(drive.fake, lambda pod: adding(pod) if op_of(pod) == "a" else python(pod)):
        status = await drive.finished()
    assert condition(status, "Succeeded")["status"] == "True", status


async def test_pod_groups_wait(drive: Driver) -> None:
    quota(drive, {"pods": "1"})
    drive.apply("first", ops=[op("a")])
    await drive.fake.until(lambda: drive.pod("a"))
    drive.apply(ops=[op("x", pod="p", script="true"), op("y", "x", pod="p", script="true"), op("z", "y")])
    await drive.fake.until(lambda: drive.steps().get("x", {}).get("reason") == "QuotaExceeded")
    pod = drive.status()["pods"]["p"]
    assert (pod["state"], pod["reason"], pod.get("attempt")) == ("Pending", "QuotaExceeded", None)
    drive.finish("a")
    await drive.fake.until(lambda: drive.status()["pods"]["p"].get("attempt") == 1)
    assert "reason" not in drive.steps()["x"]


@pytest.mark.parametrize(("status", "reason"), [(409, "Conflict"), (429, "TooManyRequests")])
async def test_a_busy_server_counts_no_attempt(drive: Driver, status: int, reason: str) -> None:
    drive.fake.fault("POST", "/pods$", status=status, reason=reason, message="busy", times=6)
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[op("a")])
        await drive.fake.until(lambda: drive.steps().get("a", {}).get("reason") == reason)
        record = (await drive.finished(timeout=60))["steps"]["a"]
    assert (record["state"], record["attempt"]) == ("Succeeded", 1)


async def test_the_resolve_pod_of_a_definition_waits(drive: Driver) -> None:
    quota(drive, {"pods": "1"})
    drive.apply("first", ops=[op("a")])
    await drive.fake.until(lambda: drive.pod("a"))
    meta = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition", "metadata": {"name": "d"}}
    drive.fake.create({**meta, "spec": {"code": {"source": SOURCE}}})

    def ready() -> Obj:
        return condition(drive.fake.get("jobdefinitions", "default", "d").get("status") or {}, "Ready")

    await drive.fake.until(lambda: "exceeded quota" in ready().get("message", ""))
    assert (ready()["status"], ready()["reason"]) == ("Unknown", "Resolving")
    python = PythonPods(drive.fake, SOURCE)
    async with AutoKubelet(drive.fake, lambda pod: adding(pod) if op_of(pod) == "a" else python(pod)):
        await drive.fake.until(lambda: ready().get("status") == "True")


async def test_a_job_that_needs_more_room_does_not_keep_others_waiting(drive: Driver) -> None:
    quota(drive, {"pods": "2"})
    drive.apply("first", ops=[op("a"), op("b")])
    await drive.fake.until(lambda: len(drive.creates()) == 2)
    for name in ("second", "third"):
        drive.apply(name, ops=[op("s"), op("t"), op("u", "s")])
        await drive.fake.until(lambda name=name: "QuotaExceeded" in reasons(drive, name))
    async with AutoKubelet(drive.fake, adding, run_delay=0.1) as kubelet:
        for name in ("first", "second", "third"):
            await drive.finished(name, timeout=15)
    assert kubelet.most_running <= 2
    ran = [name.partition("-")[0] for name in kubelet.started[2:]]
    assert "third" in ran[:3]  # both get their share
