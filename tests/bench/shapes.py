"""Whole small Jobs on the real node, from their POST to their end as a watch tells it, beside the same as bare pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from bench import bare
from bench.process import running
from bench.report import Row
from bench.world import World, in_turns, say

__all__ = ["SHAPES", "measure", "rows"]

WORK = 1
ROUNDS = 3

OPS = f"""
import time
from podgraph import In, Nothing, job, op

@op
def source():
    time.sleep({WORK})
    return 1

@op
def step(x):
    time.sleep({WORK})
    return x

@op(pod="shared")
def member(x):
    time.sleep({WORK})
    return x

@op
def join(xs: list):
    time.sleep({WORK})
    return sum(xs)

@job
def shape():
"""


@dataclass(frozen=True)
class Shape:
    """A graph: the body of its job function, and as pods, each after others; `work` where one works longer."""

    body: str
    pods: Mapping[str, Sequence[str]]
    work: Mapping[str, int] = field(default_factory=dict)


SHAPES = {
    "fan-out of 10": Shape("[step.alias(f's{at}')(at) for at in range(10)]", {f"s{at}": () for at in range(10)}),
    "diamond": Shape(
        "x = source()\njoin([step.alias('left')(x), step.alias('right')(x)])",
        {"source": (), "left": ("source",), "right": ("source",), "join": ("left", "right")},
    ),
    "three ops in a pod between two pods": Shape(
        "step(member.alias('c')(member.alias('b')(member.alias('a')(source()))))",
        {"source": (), "shared": ("source",), "step": ("shared",)},
        {"shared": 3 * WORK},
    ),
}


async def measure(world: World) -> dict[str, Any]:
    """Return the seconds of each shape's rounds, ours and those of bare pods."""
    found: dict[str, Any] = {}
    with running(world.folder, world.image):
        like = await world.step_spec("warm", "source", code={"source": _source("source()")})
        await world.clear()
        for at, (name, shape) in enumerate(SHAPES.items()):
            say(f"    {name}, and bare pods")
            specs = {pod: bare.python_spec(like, shape.work.get(pod, WORK)) for pod in shape.pods}
            ours, theirs = await in_turns(
                1 if world.quick else ROUNDS,
                partial(by_podgraph, world, f"shape-{at}", _source(shape.body)),
                partial(by_hand, world, shape.pods, specs),
            )
            found[name] = {"seconds": ours, "bare_seconds": theirs, "pods": len(shape.pods)}
    return found


async def by_podgraph(world: World, name: str, source: str, at: int) -> float:
    sent, ended = await world.run_job(f"{name}-{at}", code={"source": source})
    await world.clear()
    return round(ended - sent, 3)


async def by_hand(
    world: World, graph: Mapping[str, Sequence[str]], specs: Mapping[str, dict[str, Any]], at: int
) -> float:
    done = await bare.run(world, graph, specs)
    await world.clear()
    return round(done.seconds, 3)


def rows(found: dict[str, Any]) -> list[Row]:
    """Return how long each took beside bare pods."""
    return [
        Row(f"Job applied to its end, {name}", median(one["seconds"]), "s", beside=median(one["bare_seconds"]),
            peer="bare pods", ratio_bar="<= 1", of=f"{one['pods']} pods, {WORK} s of work an op")
        for name, one in found.items()
    ]  # fmt: skip


def _source(body: str) -> str:
    return OPS + "\n".join(f"    {line}" for line in body.splitlines()) + "\n"
