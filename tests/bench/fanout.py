"""Many steps of one Job on fake nodes: steps a second beside bare pods, and what a step costs the operator."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.process import running
from bench.world import IMAGE, World, op, say
from cluster.kube import job_manifest
from podgraph.planning.observe import Phase, observe
from podgraph.planning.pods import Pod

__all__ = ["measure"]

CREATES_AT_ONCE = 30
_SETTLE_SECONDS = 2.0


class _Event(msgspec.Struct):
    object: Pod


async def measure(world: World, folder: Path, nodes: str, counts: tuple[int, ...]) -> dict[str, Any]:
    """Run a fan-out of each count as a Job and as bare pods, and return what each took, by count."""
    return {str(count): await one(world, folder, nodes, count) for count in counts}


async def one(world: World, folder: Path, nodes: str, count: int) -> dict[str, Any]:
    name = f"fan-{count}"
    with running(folder, IMAGE, nodes, os.environ.get("BENCH_PROFILE", "")) as operator:
        await world.run_job(f"warm-{count}", [op("only")])
        before = await operator.usage()
        job = job_manifest(name, ops=[op(f"s{at}") for at in range(count)])
        sent, ended = await world.run_jobs([job])
        await asyncio.sleep(_SETTLE_SECONDS)  # the pods of steps that succeeded are deleted behind the Job's end
        used = (await operator.usage()).since(before)
        size = len(msgspec.json.encode(await world.get(f"{world.jobs_path}/{name}")))
        spec = await _step_spec(world, nodes)
    await world.clear("0")
    by_hand = await bare(world, count, spec, nodes)
    await world.clear("0")
    found = {
        "seconds": round(ended - sent, 3),
        "bare_seconds": round(by_hand, 3),
        "steps_per_second": round(count / (ended - sent), 1),
        "bare_per_second": round(count / by_hand, 1),
        "ratio": round(by_hand / (ended - sent), 3),
        "cpu_ms_per_step": round(used.cpu * 1000 / count, 3),
        "peak_mib": round(used.peak_mib, 1),
        "writes_per_step": round(used.writes / count, 3),
        "requests": used.requests,
        "job_bytes": size,
    }
    say(
        f"    {count:>5} steps: {found['steps_per_second']:.0f} a second, bare pods {found['bare_per_second']:.0f}; "
        f"{found['cpu_ms_per_step']:.2f} ms CPU and {found['writes_per_step']:.2f} writes a step, "
        f"{found['peak_mib']:.0f} MiB"
    )
    return found


async def bare(world: World, count: int, spec: dict[str, Any], nodes: str) -> float:
    """Make as many pods, as many at once, and wait until all have ended: the least that any program could do."""
    owner = await world.post(world.jobs_path, job_manifest("bare", suspend=True, ops=[op("only")]))
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": "Job",
        "name": "bare",
        "uid": owner["metadata"]["uid"],
    }
    version = (await world.get(world.pods_path, limit="1"))["metadata"]["resourceVersion"]
    turns, room, ended = itertools.cycle(nodes.split(",")), asyncio.Semaphore(CREATES_AT_ONCE), set()

    async def make(at: int) -> None:
        meta = {"name": f"bare-{at}", "ownerReferences": [reference]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {**spec, "nodeName": next(turns)}}
        async with room, world.session.post(world.pods_path, json=pod) as answer:
            answer.raise_for_status()
            await answer.read()

    begun = time.monotonic()
    making = asyncio.gather(*map(make, range(count)))
    async with contextlib.aclosing(world.lines(world.pods_path, resourceVersion=version)) as seen:
        async for line in seen:
            pod = msgspec.json.decode(line, type=_Event).object
            if observe(pod).phase is Phase.ENDED:
                ended.add(pod.metadata.name)
                if len(ended) == count:
                    break
    taken = time.monotonic() - begun
    await making
    return taken


async def _step_spec(world: World, nodes: str) -> dict[str, Any]:
    """Return the spec that the operator gives the pod of such a step, so that both sides make the same."""
    name = "like"
    await world.post(world.jobs_path, job_manifest(name, ops=[op("only")], execution={"podRetention": "Always"}))
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for pod in (await world.get(world.pods_path, labelSelector=f"podgraph.dev/job={name}"))["items"]:
            spec = pod["spec"]
            for key in ("nodeName", "serviceAccount", "serviceAccountName", "preemptionPolicy", "priority"):
                spec.pop(key, None)
            return spec
        await asyncio.sleep(0.1)
    raise TimeoutError("a Job of one step made no pod")
