"""What the ways to run a Job cost: many ops in one pod, reading the code, a value of 1 GiB through the storage."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Any

from bench.process import running
from bench.report import Row
from bench.world import World, in_turns, say
from cluster import s3
from cluster.volumes import node_claim
from podgraph.planning.model.status import seconds_of

__all__ = ["measure", "rows"]

OPS = 1_000
GIBIBYTE = 1 << 30
ROUNDS = 3
_RETAINED = {"podRetention": "Always"}

ONE = "from podgraph import job, op\n@op\ndef one():\n    return 1\n@job\ndef j():\n    one()\n"

MANY = "from podgraph import job, op\n@op\ndef f(x):\n    return x + 1\n@job\ndef j():\n    x = 0\n" + "\n".join(
    f"    x = f.alias('s{at}')(x)" for at in range(OPS)
)

LARGE = f"""
import os, resource
from podgraph import job, op, success_hook

@success_hook
def tell(context):
    print("peak:", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)

@op
def make():
    return os.urandom({GIBIBYTE})

@op
def use(x: bytes):
    assert len(x) == {GIBIBYTE}

@job(hooks={{tell}})
def large():
    use(make())
"""


async def measure(world: World) -> dict[str, Any]:
    """Return the figures of each."""
    rounds = 1 if world.quick else ROUNDS
    with running(world.folder, world.image):
        await world.run_job("warm", code={"source": ONE})
        say(f"    {OPS:,} ops in one pod")
        [many] = await in_turns(rounds, partial(in_process, world))
        say("    a Job of one op, from its code and from a definition")
        await world.define("defined", code={"source": ONE, "image": world.image}, execution=_RETAINED)
        code = {"code": {"source": ONE, "image": world.image}, "execution": _RETAINED}
        by_code, by_definition = await in_turns(
            rounds,
            partial(started, world, "code", code),
            partial(started, world, "definition", {"definitionRef": {"name": "defined"}}),
        )
        say("    a value of 1 GiB through the storage")
        peaks = {kind: await peaks_of(world, kind, spec) for kind, spec in storages(world)}
    return {
        "in_process_ms": many,
        "code": {"resolve_pods": [n for n, _ in by_code], "begin_seconds": [s for _, s in by_code]},
        "definition": {"resolve_pods": [n for n, _ in by_definition], "begin_seconds": [s for _, s in by_definition]},
        "peaks": peaks,
    }


async def in_process(world: World, at: int) -> float:
    """Return the milliseconds an op of many in one pod, from the first one's start to the last one's end."""
    name = f"many-{at}"
    await world.run_job(name, code={"source": MANY}, execution={"mode": "InProcess"})
    steps = (await world.job(name))["status"]["steps"]
    await world.clear()
    return round(
        (seconds_of(steps[f"s{OPS - 1}"]["completionTime"]) - seconds_of(steps["s0"]["startTime"])) * 1e3 / OPS, 4
    )


async def started(world: World, name: str, spec: dict[str, Any], at: int) -> tuple[int, float]:
    """Return how many pods of a Job of one op have run no step, and the seconds from its POST to the op's begin."""
    sent = time.time()  # the op's record has the clock of the node, which is that of this machine
    await world.run_job(f"{name}-{at}", **spec)
    job, pods = await world.job(f"{name}-{at}"), await world.pods_of(f"{name}-{at}")
    await world.clear()
    return len(pods.get("", [])), round(seconds_of(job["status"]["steps"]["one"]["startTime"]) - sent, 3)


def storages(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a claim, and an S3 server where pods reach this machine and the image can speak to it, while they are."""
    with node_claim(world.kube, "values"):
        yield "claim", {"claimRef": {"name": "values"}}
    if s3.can_serve() and world.image.startswith("podgraph/step") and not world.quick:
        with s3.serving() as server:
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "s3"},
                "stringData": server.environment,
            }
            world.kube.create(secret)
            yield "S3", {"url": f"s3://{s3.BUCKET}/bench", "secretRef": {"name": "s3"}}


async def peaks_of(world: World, kind: str, storage: dict[str, Any]) -> dict[str, float]:
    """Return the peak memory of the step that writes the value and of the one that reads it, in GiB."""
    name = f"large-{kind.lower()}"
    await world.run_job(name, code={"source": LARGE}, storage=storage, execution=_RETAINED)
    found = {}
    for op, pods in (await world.pods_of(name)).items():
        if op:
            log = await asyncio.to_thread(world.kube.logs, pods[0]["metadata"]["name"])
            found[op] = round(int(re.findall(r"peak: (\d+)", log)[-1]) / GIBIBYTE, 4)
    await world.clear()  # with the Job goes the value
    return found


def rows(found: dict[str, Any]) -> list[Row]:
    """Return the figures."""
    code, definition = found["code"], found["definition"]
    told = [
        Row("InProcess, an op", median(found["in_process_ms"]), "ms", "<= 1", of=f"{OPS:,} ops in one pod"),
        Row("resolve pods of a code Job", max(code["resolve_pods"]), bar="<= 1"),
        Row("resolve pods of a definitionRef Job", max(definition["resolve_pods"]), bar="<= 0"),
        Row("Job applied to its first op's begin, code", median(code["begin_seconds"]), "s",
            beside=median(definition["begin_seconds"]), peer="definitionRef"),
    ]  # fmt: skip
    for kind, peaks in found["peaks"].items():
        for op, verb in (("make", "writes"), ("use", "reads")):
            told.append(Row(f"peak memory of a step that {verb} 1 GiB, {kind}", peaks[op], "GiB",
                            beside=1.0, peer="the value", ratio_bar="<= 1.3"))  # fmt: skip
    return told
