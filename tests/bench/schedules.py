"""Schedules and sensors on one operator: how late Jobs are made, and what idle schedules cost.

The Jobs that are made are suspended, so that no pod of theirs takes part; the operator does all else that it does for a
Job.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from bench.numbers import percentile
from bench.process import Operator, running
from bench.report import Row
from bench.world import WAIT_SECONDS, World, op, say
from podgraph.cluster.concurrency_window import MOST as _MOST

__all__ = ["measure", "rows"]

SCHEDULES, QUICK_SCHEDULES = 1_000, 200
BURSTS, IDLE_SECONDS, CHANGES = 2, 120, 30
_AT_ONCE = 20
_API = "/apis/podgraph.dev/v1alpha1/namespaces"
_KIND = {"apiVersion": "podgraph.dev/v1alpha1"}
_TEMPLATE = {"spec": {"suspend": True, "ops": [op("a")]}}

Object = dict[str, Any]


def rows(found: Object) -> list[Row]:
    """Return what was measured."""
    of, burst = f"{found['schedules']:,} schedules", found["burst_seconds"]
    return [
        Row("full minute of schedules, tick to Job, p50", percentile(burst, 50), "s", of=of),
        Row("full minute of schedules, tick to Job, p99", percentile(burst, 99), "s", "<= 1",
            percentile(found["bare_seconds"], 99), "bare creates", of=of),
        Row("schedules between ticks", 100 * found["idle_share"], "% of a core", "<= 1", of=of),
        Row("ConfigMap changed to Job, max", max(found["config_map_seconds"]), "s", "<= 0.5"),
        Row("Job finished to Job, max", max(found["job_seconds"]), "s", "<= 0.5"),
    ]  # fmt: skip


async def measure(world: World) -> Object:
    """Return seconds from ticks and changes to the Jobs that they make, and the share of a core of idle schedules."""
    schedules = QUICK_SCHEDULES if world.quick else SCHEDULES
    bare = await _bare(world, schedules)
    with running(world.folder, world.image) as operator:
        return {"bare_seconds": bare, **await _measure(world, operator, schedules)}


async def _bare(world: World, count: int) -> list[float]:
    """Make as many of the same Jobs while no operator runs, and return how long after the first begin each was made."""
    turns, found = asyncio.Semaphore(_MOST), list[float]()
    path, begun = f"{_API}/{world.namespace}/jobs", time.monotonic()

    async def one(at: int) -> None:
        async with turns:
            await world.post(path, {**_KIND, "kind": "Job", "metadata": {"name": f"bare-{at}"}, **_TEMPLATE})
        found.append(round(time.monotonic() - begun, 4))

    await asyncio.gather(*map(one, range(count)))
    say(f"    {count} bare creates: p99 {percentile(found, 99):.2f} s")
    await world.clear()
    return found


async def _measure(world: World, operator: Operator, schedules: int) -> Object:
    say(f"    {schedules} schedules, each minute")
    await asyncio.sleep(3)  # for kopf to begin its watches
    await _make(world, schedules, "* * * * *")
    burst = [seconds for _ in range(BURSTS) for seconds in await _burst(world, schedules)]
    say("    the same, once a year")
    await _make(world, schedules, "0 0 1 1 *")
    await world.clear()
    await asyncio.sleep(10)
    before, begun = await operator.usage(), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    idle = (await operator.usage()).since(before).cpu / (time.monotonic() - begun)
    say(f"    {CHANGES} changes of a ConfigMap, {CHANGES} Jobs that finish")
    return {
        "schedules": schedules,
        "burst_seconds": burst,
        "idle_share": round(idle, 5),
        "config_map_seconds": await _config_map_changes(world),
        "job_seconds": await _finished_jobs(world),
    }


async def _make(world: World, count: int, cron: str) -> None:
    """Make so many schedules, or change them, and wait until each has a next tick of this kind."""
    path, turns = f"{_API}/{world.namespace}/jobschedules", asyncio.Semaphore(_AT_ONCE)

    async def one(at: int) -> None:
        name = f"s-{at:04}"
        spec = {"schedule": cron, "jobTemplate": _TEMPLATE}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        async with (
            turns,
            world.session.patch(
                f"{path}/{name}?fieldManager=bench&force=true",
                json={**_KIND, "kind": "JobSchedule", "metadata": {"name": name}, "spec": spec},
                headers=headers,
            ) as answer,
        ):
            answer.raise_for_status()

    await asyncio.gather(*map(one, range(count)))
    end = time.monotonic() + WAIT_SECONDS
    while True:
        items = (await world.get(path))["items"]
        ready = [
            i for i in items if (i.get("status") or {}).get("schedule") == cron and i["status"].get("nextTickTime")
        ]
        if len(ready) == count:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{len(ready)} of {count} schedules are ready")
        await asyncio.sleep(1)


async def _burst(world: World, count: int) -> list[float]:
    """Wait for a full minute and return how long after it each of its Jobs was seen by a watch."""
    tick = (time.time() // 60 + 1) * 60
    suffix, seen = f"-{int(tick)}", dict[str, float]()
    async with _jobs(world) as jobs:
        async for name, _ in jobs:
            if name.endswith(suffix):
                seen.setdefault(name, time.time() - tick)
                if len(seen) == count:
                    break
    found = [round(seconds, 4) for seconds in seen.values()]
    say(f"    p50 {percentile(found, 50):.2f} s, p99 {percentile(found, 99):.2f} s")
    return found


async def _config_map_changes(world: World) -> list[float]:
    path = f"/api/v1/namespaces/{world.namespace}/configmaps"
    await world.post(path, {"metadata": {"name": "watched"}, "data": {"version": "0"}})
    source = {"kubernetes": {"apiVersion": "v1", "resource": "configmaps", "name": "watched"}}
    source["kubernetes"]["field"] = {"path": "data.version"}  # type: ignore[assignment]
    await _sensor(world, "on-map", source)
    found = []
    async with _jobs(world) as jobs:
        for at in range(1, CHANGES + 1):
            begun = time.monotonic()
            await _patch(world, f"{path}/watched", {"data": {"version": str(at)}})
            await _next(jobs, "on-map-")
            found.append(round(time.monotonic() - begun, 4))
    return found


async def _finished_jobs(world: World) -> list[float]:
    """Return the seconds from when a watch tells that a Job is finished to when it tells of the sensor's Job."""
    await _sensor(world, "on-job", {"job": {"selector": {"matchLabels": {"bench": "ends"}}, "outcome": "Finished"}})
    found = []
    async with _jobs(world) as jobs:
        for at in range(CHANGES):
            job = {**_KIND, "kind": "Job", "metadata": {"name": f"ends-{at}", "labels": {"bench": "ends"}}}
            await world.post(world.jobs_path, {**job, **_TEMPLATE})
            await _patch(world, f"{world.jobs_path}/ends-{at}", {"spec": {"cancel": True}})
            await _next(jobs, f"ends-{at}", finished=True)
            begun = time.monotonic()
            await _next(jobs, "on-job-")
            found.append(round(time.monotonic() - begun, 4))
    return found


async def _sensor(world: World, name: str, source: Object) -> None:
    path = f"{_API}/{world.namespace}/jobsensors"
    spec = {"source": source, "jobTemplate": _TEMPLATE}
    await world.post(path, {**_KIND, "kind": "JobSensor", "metadata": {"name": name}, "spec": spec})
    end = time.monotonic() + WAIT_SECONDS
    while not (((await world.get(f"{path}/{name}")).get("status") or {}).get("cursor") or {}).get("begun"):
        if time.monotonic() > end:
            raise TimeoutError(f"sensor {name} does not look")
        await asyncio.sleep(0.2)


async def _patch(world: World, path: str, body: Object) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    async with world.session.patch(path, json=body, headers=headers) as answer:
        answer.raise_for_status()


@contextlib.asynccontextmanager
async def _jobs(world: World) -> AsyncIterator[AsyncIterator[tuple[str, bool]]]:
    """Give the names of Jobs as they come and change from now on, and whether they are finished.

    The API server ends the watch of one who reads too slowly, as on a busy machine; then it goes on with a list.
    """
    version = (await world.get(world.jobs_path, limit="1"))["metadata"]["resourceVersion"]

    async def names(version: str) -> AsyncIterator[tuple[str, bool]]:
        while True:
            with contextlib.suppress(TimeoutError):
                async for job in world.watch(world.jobs_path, resourceVersion=version):
                    yield job["metadata"]["name"], _is_finished(job)
            found = await world.get(world.jobs_path)
            for job in found["items"]:
                yield job["metadata"]["name"], _is_finished(job)
            version = found["metadata"]["resourceVersion"]

    async with contextlib.aclosing(names(version)) as found:
        yield found


def _is_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)


_told = set[str]()


async def _next(jobs: AsyncIterator[tuple[str, bool]], prefix: str, finished: bool = False) -> None:
    """Wait for a Job whose name begins so, one that was not told before, or that is finished."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for name, ended in jobs:
            if name.startswith(prefix) and (ended if finished else name not in _told):
                _told.add(name)
                return
