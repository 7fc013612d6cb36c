"""Many steps on fake nodes: steps a second beside bare pods, and what a step costs the operator.

`fan_out` is one Job that grows wide, `many_jobs` many small ones at once, `ahead` one of many chains whose steps are
started ahead. Each round has an operator of its own: peak memory is that of a process's whole life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import msgspec

from bench import bare
from bench.kwok import fake_nodes
from bench.process import running
from bench.report import Row
from bench.world import IMAGE, World, in_turns, op, say
from cluster.kube import job_manifest

__all__ = [
    "ahead",
    "ahead_rows",
    "chained_job",
    "fan_out",
    "fan_out_rows",
    "job_rows",
    "many_jobs",
    "small_jobs",
    "wide_job",
]

WIDTHS, QUICK_WIDTHS = (100, 500, 1_000, 2_000, 5_000), (100, 200)
JOBS, QUICK_JOBS = (1, 10, 100, 500), (20,)
CHAINS, QUICK_CHAINS, LINKS = (20, 200), (20,), 5
SMALL = 10
ROUNDS, LARGE_ROUNDS, LARGE = 3, 1, 2_500
COMPARED_WIDTH, BAR_WIDTH = 1_000, 2_000
_SETTLE_SECONDS = 2.0

Graph = Mapping[str, Sequence[str]]


def wide_job(width: int) -> dict[str, Graph]:
    """Return one Job of so many steps, none after another."""
    return {f"fan-{width}": {f"s{at}": () for at in range(width)}}


def small_jobs(count: int) -> dict[str, Graph]:
    """Return so many Jobs of ten steps: by turns a chain, and one that fans out and in again."""
    chain = {f"s{at}": (f"s{at - 1}",) if at else () for at in range(SMALL)}
    middle = [f"s{at}" for at in range(1, SMALL - 1)]
    diamond = {"s0": (), **dict.fromkeys(middle, ("s0",)), f"s{SMALL - 1}": tuple(middle)}
    return {f"j{at}": diamond if at % 2 else chain for at in range(count)}


def chained_job(count: int) -> dict[str, Graph]:
    """Return one Job of so many chains."""
    links = [(chain, at) for chain in range(count) for at in range(LINKS)]
    return {f"chains-{count}": {f"c{chain}s{at}": (f"c{chain}s{at - 1}",) if at else () for chain, at in links}}


async def fan_out(world: World) -> dict[str, Any]:
    """Return what Jobs of each width took, by width."""
    return await _measure(world, "steps", QUICK_WIDTHS if world.quick else WIDTHS, wide_job)


async def many_jobs(world: World) -> dict[str, Any]:
    """Return what so many small Jobs at once took, by their count."""
    return await _measure(world, f"Jobs of {SMALL} steps", QUICK_JOBS if world.quick else JOBS, small_jobs)


async def ahead(world: World) -> dict[str, Any]:
    """Return what a Job of so many chains of scripts took; their pods wait for one another as on a real node."""
    return await _measure(world, f"chains of {LINKS}", QUICK_CHAINS if world.quick else CHAINS, chained_job, _script)


def _script(name: str, *after: str) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "script": "true", "after": list(after)}


async def _measure(
    world: World,
    noun: str,
    counts: Sequence[int],
    jobs_of: Callable[[int], dict[str, Graph]],
    op_of: Callable[..., dict[str, Any]] = op,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with fake_nodes(world.kube) as nodes:
        with running(world.folder, world.image, nodes):
            spec = await world.step_spec("like", "only", ops=[op_of("only")])
        await world.clear("0")
        for count in counts:
            jobs = jobs_of(count)
            steps = sum(map(len, jobs.values()))
            rounds = 1 if world.quick else LARGE_ROUNDS if steps > LARGE else ROUNDS
            ours, theirs = await in_turns(
                rounds, partial(by_podgraph, world, nodes, jobs, op_of), partial(by_hand, world, nodes, jobs, spec)
            )
            found[str(count)] = merged(steps, ours, theirs)
            say(f"    {count:>5} {noun}: {told(found[str(count)])}")
    return found


async def by_podgraph(
    world: World, nodes: Sequence[str], jobs: dict[str, Graph], op_of: Callable[..., dict[str, Any]], _: int
) -> dict[str, Any]:
    """Run the Jobs at once; return what it took."""
    manifests = [
        job_manifest(name, ops=[op_of(step, *after) for step, after in graph.items()]) for name, graph in jobs.items()
    ]
    with running(world.folder, world.image, nodes) as operator:
        await world.run_job("warm", ops=[op("only")])
        before = await operator.usage()
        sent, ended = await world.run_jobs(manifests)
        await asyncio.sleep(_SETTLE_SECONDS)  # the pods of steps that succeeded are deleted behind the Job's end
        used = (await operator.usage()).since(before)
        largest = max(jobs, key=lambda name: len(jobs[name]))
        size = len(msgspec.json.encode(await world.job(largest)))
    await world.clear("0")
    return {
        "seconds": ended - sent,
        "cpu": used.cpu,
        "peak_mib": used.peak_mib,
        "writes": used.writes,
        "requests": used.requests,
        "job_bytes": size,
    }


async def by_hand(
    world: World, nodes: Sequence[str], jobs: dict[str, Graph], spec: dict[str, Any], _: int
) -> dict[str, Any]:
    """Make the same pods; return what it took."""
    graph = {
        f"{name}-{step}": [f"{name}-{up}" for up in after] for name, one in jobs.items() for step, after in one.items()
    }
    done = await bare.run(world, graph, dict.fromkeys(graph, spec), nodes)
    await world.clear("0")
    return {"seconds": done.seconds}


def merged(steps: int, ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the medians of the rounds, by step where that says more."""
    middle = {key: median(one[key] for one in ours) for key in ours[0] if key != "requests"}
    return {
        "steps": steps,
        "rounds": len(ours),
        "steps_per_second": round(steps / middle["seconds"], 2),
        "bare_per_second": round(steps / median(one["seconds"] for one in theirs), 2),
        "cpu_ms_per_step": round(middle["cpu"] * 1e3 / steps, 4),
        "writes_per_step": round(middle["writes"] / steps, 4),
        "peak_mib": round(middle["peak_mib"], 1),
        "job_bytes": int(middle["job_bytes"]),
        "all": {"podgraph": list(ours), "bare": list(theirs)},
    }


def told(one: Mapping[str, Any]) -> str:
    return (
        f"{one['steps_per_second']:.0f} steps a second, bare pods {one['bare_per_second']:.0f}; "
        f"{one['cpu_ms_per_step']:.2f} ms CPU and {one['writes_per_step']:.2f} writes a step, {one['peak_mib']:.0f} MiB"
    )


def fan_out_rows(found: dict[str, Any]) -> list[Row]:
    """Return the figures of one wide Job: at the widths that the bars are about, or the largest that was run."""
    counts = sorted(map(int, found))
    narrowest, widest = counts[0], counts[-1]
    beside, most = (width if width in counts else widest for width in (COMPARED_WIDTH, BAR_WIDTH))
    one, large, largest = found[str(beside)], found[str(most)], found[str(widest)]
    of = f"{most:,} wide"
    return [
        Row("fan-out, steps a second", one["steps_per_second"], beside=one["bare_per_second"], peer="bare pods",
            ratio_bar=">= 0.9", of=f"{beside:,} wide"),
        Row("operator CPU a step", large["cpu_ms_per_step"], "ms", "<= 2", found[str(narrowest)]["cpu_ms_per_step"],
            f"{narrowest} wide", "<= 1.3", of),
        Row("operator's peak memory", large["peak_mib"], "MiB", "<= 120", of=of),
        Row("API writes a step, nothing started ahead", large["writes_per_step"], bar="<= 1.2", of=of),
        Row("size of the Job at its end", largest["job_bytes"] / 1024, "KiB", "<= 1023", of=f"{widest:,} wide"),
    ]  # fmt: skip


def job_rows(found: dict[str, Any]) -> list[Row]:
    """Return the figures of the most small Jobs at once."""
    most = max(map(int, found))
    one = found[str(most)]
    of = f"{most:,} Jobs of {SMALL} steps at once"
    return [
        Row("small Jobs, steps a second", one["steps_per_second"], beside=one["bare_per_second"], peer="bare pods",
            ratio_bar=">= 0.9", of=of),
        Row("small Jobs, operator CPU a step", one["cpu_ms_per_step"], "ms", of=of),
        Row("small Jobs, operator's peak memory", one["peak_mib"], "MiB", of=of),
        Row("small Jobs, API writes a step", one["writes_per_step"], bar="<= 1.2", of=of),
    ]  # fmt: skip


def ahead_rows(found: dict[str, Any]) -> list[Row]:
    """Return the figures of the most chains."""
    most = max(map(int, found))
    one = found[str(most)]
    of = f"{most:,} chains of {LINKS} in a Job"
    return [
        Row("API writes a step, started ahead", one["writes_per_step"], bar="<= 2.2", of=of),
        Row("operator CPU a step, started ahead", one["cpu_ms_per_step"], "ms", of=of),
    ]
