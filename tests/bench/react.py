"""How soon the operator does its part: container ops on the real node, with a note of when it asked for which pod."""

from __future__ import annotations

import itertools
from functools import partial
from statistics import median
from typing import Any

from bench import bare
from bench.numbers import summary
from bench.process import Notes, running
from bench.report import Row
from bench.world import World, in_turns, op, say

__all__ = ["measure", "rows"]

CHAIN, QUICK_CHAIN = 10, 5
ROUNDS, JOBS, QUICK_JOBS = 3, 20, 3
_JOBS_AT_A_TIME = 10


async def measure(world: World) -> dict[str, Any]:
    """Return the seconds from a Job's POST and from a step's end to a pod's POST, and those of chains."""
    steps = QUICK_CHAIN if world.quick else CHAIN
    graph = {f"s{at}": [f"s{at - 1}"] if at else [] for at in range(steps)}
    ops = [op(name, *after) for name, after in graph.items()]
    with running(world.folder, world.image, notes=True) as operator:
        like = await world.step_spec("warm", "s0", ops=ops[:2])
        await world.clear()
        jobs, rounds = (QUICK_JOBS, 1) if world.quick else (JOBS, ROUNDS)
        say(f"    {jobs} Jobs of one op, one after another")
        sent = {}
        for at in range(jobs):
            sent[f"one-{at}/s0"] = (await world.run_job(f"one-{at}", ops=ops[:1]))[0]
            if at % _JOBS_AT_A_TIME == _JOBS_AT_A_TIME - 1:
                await world.clear()
        await world.clear()
        say(f"    chains of {steps}, and bare pods")
        ours, theirs = await in_turns(
            rounds, partial(by_podgraph, world, ops), partial(by_hand, world, graph, dict.fromkeys(graph, like))
        )
        notes = (await operator.usage()).notes
    return {
        "first_pod_seconds": [round(notes.posted[key] - at, 6) for key, at in sent.items()],
        "reaction_seconds": [seconds for at in range(rounds) for seconds in reactions(notes, f"chain-{at}", steps)],
        "steps": steps,
        "seconds": [round(seconds / steps, 4) for seconds in ours],
        "bare_seconds": [round(seconds / steps, 4) for seconds in theirs],
    }


async def by_podgraph(world: World, ops: list[dict[str, Any]], at: int) -> float:
    sent, ended = await world.run_job(f"chain-{at}", ops=ops)
    await world.clear()
    return ended - sent


async def by_hand(world: World, graph: dict[str, list[str]], specs: dict[str, dict[str, Any]], at: int) -> float:
    done = await bare.run(world, graph, specs)
    await world.clear()
    return done.seconds


def reactions(notes: Notes, job: str, steps: int) -> list[float]:
    """Return the seconds from each step's end, as the operator's watch told it, to the next step's pod POST."""
    keys = [f"{job}/s{at}" for at in range(steps)]
    return [
        round(notes.posted[after] - notes.ended[notes.pods[before]], 6) for before, after in itertools.pairwise(keys)
    ]


def rows(found: dict[str, Any]) -> list[Row]:
    """Return the figures."""
    first, react = summary(found["first_pod_seconds"]), summary(found["reaction_seconds"])
    of, chain = f"{first['count']} Jobs", f"chain of {found['steps']}"
    return [
        Row("Job applied to its first pod's POST, p50", first["p50"] * 1e3, "ms", of=of),
        Row("Job applied to its first pod's POST, p99", first["p99"] * 1e3, "ms", of=of),
        Row("a step's end seen to the next pod's POST, p50", react["p50"] * 1e3, "ms", of=f"{react['count']} steps"),
        Row("a step's end seen to the next pod's POST, p99", react["p99"] * 1e3, "ms", of=f"{react['count']} steps"),
        Row("chain of container ops that do nothing, a step", median(found["seconds"]), "s",
            beside=median(found["bare_seconds"]), peer="bare pods", ratio_bar="<= 1.1", of=chain),
    ]  # fmt: skip
