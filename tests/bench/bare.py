"""The peer of all measurements in a cluster: pods made by a few lines that watch, each when those before it ended.

It makes as many pods at once as the operator would, and keeps no status, no values and no history: no program that
gives each step a pod when the step's turn has come can do with less.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.world import World
from cluster.kube import job_manifest
from podgraph.cluster.concurrency_window import ConcurrencyWindow
from podgraph.planning.pods.state import Phase, PodState, observe
from podgraph.planning.pods.types import Pod

__all__ = ["Bare", "python_spec", "run"]

PREFIX = "bare-"
# A step's own record of when its work began and ended, as podgraph's steps have one.
_WORK = (
    "import json, time; begun = time.time(); time.sleep({}); open({!r}, 'w').write(json.dumps([begun, time.time()]))"
)


class _Event(msgspec.Struct):
    object: Pod


@dataclass(frozen=True)
class Bare:
    """How long all took, and what was seen of each pod at its end."""

    seconds: float
    ended: dict[str, PodState]

    def spans(self) -> list[tuple[float, float]]:
        """Return when each one's work began and ended, for specs of :func:`python_spec`."""
        return [tuple(json.loads(seen.text)) for seen in self.ended.values()]


def python_spec(like: dict[str, Any], work: float) -> dict[str, Any]:
    """Return a step's pod spec without all that is ours: its image and rights, and a line of Python that sleeps."""
    spec = copy.deepcopy(like)
    spec.pop("volumes", None)
    [container] = spec["containers"]
    for key in ("volumeMounts", "env", "args"):
        container.pop(key, None)
    container["command"] = ["python3", "-c", _WORK.format(work, container["terminationMessagePath"])]
    return spec


async def run(
    world: World, graph: Mapping[str, Sequence[str]], specs: Mapping[str, dict[str, Any]], nodes: Sequence[str] = ()
) -> Bare:
    """Make a pod for each name of the graph when those it comes after have ended, and wait for the end of all.

    With `nodes` they are put there by turns, and are owned as a Job's are: the fake nodes go by that.
    """
    owners = [await _owner(world)] if nodes else []
    left = {name: set(after) for name, after in graph.items()}
    below: dict[str, list[str]] = {name: [] for name in graph}
    for name, after in graph.items():
        for up in after:
            below[up].append(name)
    window, turns, ended = ConcurrencyWindow(), itertools.cycle(nodes or ("",)), dict[str, PodState]()
    version = await world.version(world.pods_path)

    async def make(name: str) -> None:
        spec = {**specs[name], **({"nodeName": node} if (node := next(turns)) else {})}
        meta = {"name": f"{PREFIX}{name}", "ownerReferences": owners}
        async with window.turn(PREFIX):
            await world.post(world.pods_path, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
            window.went_well()

    begun = time.monotonic()
    async with asyncio.TaskGroup() as making, contextlib.aclosing(
        world.lines(world.pods_path, resourceVersion=version)
    ) as events:  # fmt: skip
        for name in [name for name, after in left.items() if not after]:
            making.create_task(make(name))
        async for line in events:
            pod = msgspec.json.decode(line, type=_Event).object
            name, seen = pod.metadata.name.removeprefix(PREFIX), observe(pod)
            if seen.phase is not Phase.ENDED or name in ended or name not in left:
                continue
            if seen.exit_code:
                raise RuntimeError(f"pod {pod.metadata.name} failed: {seen.message}")
            ended[name] = seen
            for down in below[name]:
                left[down].discard(name)
                if not left[down]:
                    making.create_task(make(down))
            if len(ended) == len(graph):
                break
        seconds = time.monotonic() - begun
    return Bare(seconds, ended)


async def _owner(world: World) -> dict[str, Any]:
    ops = [{"name": "only", "image": "busybox:1", "command": ["true"]}]
    owner = await world.post(world.jobs_path, job_manifest("bare", suspend=True, ops=ops))
    return {"apiVersion": owner["apiVersion"], "kind": "Job", "name": "bare", "uid": owner["metadata"]["uid"]}
