"""Direct links against the fake API server: pods that are told and heard by them, and by annotation and log without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, assignment_of, driving, key_of
from api.steering import states
from api.test_prestart import assigned, begun, ended_well, pods, record_of, run, tell, waiting
from podgraph.protocol.step import Assignment
from podgraph.reconcile.jobs.link_server import LinkServer
from podgraph.runtime.pod.link import Link

Obj = dict[str, Any]


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    links = LinkServer()
    async with links.serving("127.0.0.1:0"), driving(links=links) as driver:
        yield driver


async def linked(drive: Driver, pod: Obj) -> Link:
    link = Link(assignment_of(pod).link, key_of(drive.fake, pod))
    await asyncio.to_thread(link.open)
    assert link._tls is not None
    return link


async def told(link: Link) -> Assignment:
    text = await asyncio.to_thread(link.hear, 5)
    assert text is not None
    return Assignment.from_text(text)


async def say(drive: Driver, link: Link, pod: Obj, outcome: str = "Succeeded", **more: Any) -> None:
    await asyncio.to_thread(link.say, record_of(pod, outcome, **more).to_line(key_of(drive.fake, pod)))


def logs_read(drive: Driver, pod: Obj) -> int:
    return len(drive.fake.calls("GET", f"/pods/{pod['metadata']['name']}/log"))


async def test_values_pass_by_links_alone(drive: Driver) -> None:
    await begun(drive)
    a, b = pods(drive, "a")[0], await waiting(drive, "b")
    first, second = await linked(drive, a), await linked(drive, b)
    await say(drive, first, a, outputs={"result": 1})
    found = await told(second)
    assert (found.op, found.inputs, found.ahead) == ("b", {"x": 1}, 0)
    assert assignment_of(await assigned(drive, "b")) == found, "its annotation says the same, for who comes later"
    await say(drive, second, b, outputs={"result": 2})
    c = await drive.pod_of("c")
    third = await linked(drive, c)
    assert (await told(third)).inputs == {"x": 2}
    await say(drive, third, c, outputs={"result": 3})
    status = await drive.finished()
    assert {n: s["outputs"]["result"] for n, s in status["steps"].items()} == {"a": "1", "b": "2", "c": "3"}
    assert not logs_read(drive, b)
    assert not logs_read(drive, c)
    for op in "abc":
        drive.finish(op, ended_well(drive, op))
    assert drive.links is not None
    await drive.fake.until(lambda: not drive.links.count, 5.0, "no links")


async def test_a_pod_that_comes_after_it_was_assigned_is_told(drive: Driver) -> None:
    await begun(drive)
    await waiting(drive, "b")
    tell(drive, "a", outputs={"result": 1})
    b = await assigned(drive, "b")
    assert (await told(await linked(drive, b))).inputs == {"x": 1}


async def test_where_a_link_breaks_the_log_goes_on(drive: Driver) -> None:
    await begun(drive)
    await waiting(drive, "b")
    a = pods(drive, "a")[0]
    link = await linked(drive, a)
    link._drop(link._tls)  # type: ignore[arg-type]
    tell(drive, "a", outputs={"result": 1})
    assert assignment_of(await assigned(drive, "b")).inputs == {"x": 1}
    assert logs_read(drive, a)


async def test_a_record_of_another_step_is_not_its_own(drive: Driver) -> None:
    await begun(drive)
    a, b = pods(drive, "a")[0], await waiting(drive, "b")
    await run(drive, "b")
    await say(drive, await linked(drive, b), a, outputs={"result": 666})
    await say(drive, await linked(drive, a), a, outputs={"result": 1})
    assert assignment_of(await assigned(drive, "b")).inputs == {"x": 1}


async def test_an_operator_that_starts_anew_hears_old_pods_by_their_logs(drive: Driver) -> None:
    await begun(drive)
    a, b = pods(drive, "a")[0], await waiting(drive, "b")
    first, second = await linked(drive, a), await linked(drive, b)
    await drive.stop()
    drive.links = LinkServer()
    async with drive.links.serving("127.0.0.1:0"):
        await drive.start()
        await run(drive, "b")
        await drive.step("a", "Running")
        await say(drive, first, a, outputs={"result": 1})
        tell(drive, "a", outputs={"result": 1})
        assert assignment_of(await assigned(drive, "b")).inputs == {"x": 1}
        assert await asyncio.to_thread(second.hear, 0.05) is None
        await drive.stop()


async def test_the_pod_of_an_attempt_that_failed_stays_though_the_job_is_over_before_it_exits(drive: Driver) -> None:
    await begun(drive)
    failed = pods(drive, "a")[0]
    await say(drive, await linked(drive, failed), failed, "Failed", reason="OpFailed", message="not yet")
    second = await drive.fake.until(lambda: next(iter(pods(drive, "a")[1:]), None), what="the second attempt")
    await say(drive, await linked(drive, second), second, outputs={"result": 1})
    for op, value in (("b", 2), ("c", 3)):
        pod = await drive.pod_of(op)
        await say(drive, await linked(drive, pod), pod, outputs={"result": value})
    await drive.finished()
    drive.fake.run_pod("default", failed["metadata"]["name"])  # the kubelet is behind: it has only begun
    await drive.quiet()
    name = failed["metadata"]["name"]
    drive.fake.finish_pod("default", name, 1, "")
    await drive.quiet()
    assert name not in [request.path.rpartition("/")[2] for request in drive.fake.calls("DELETE", "/pods/")]


async def test_a_failure_is_heard_as_well(drive: Driver) -> None:
    await begun(drive)
    for _ in range(2):
        a = await drive.fake.until(
            lambda: next((p for p in pods(drive, "a") if p["status"].get("phase") != "Failed"), None), 5.0, "a pod"
        )
        link = await linked(drive, a)
        record = record_of(a, "Failed", reason="OpFailed", message="no")
        await asyncio.to_thread(link.say, record.to_line(key_of(drive.fake, a)))
        await asyncio.to_thread(link.close)
        drive.fake.finish_pod("default", a["metadata"]["name"], 1, record.to_line(key_of(drive.fake, a)))
    await drive.finished()
    assert states(drive) == {"a": "Failed", "b": "UpstreamFailed", "c": "UpstreamFailed"}
