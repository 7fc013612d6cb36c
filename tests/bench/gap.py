"""The gap between steps: chains of Python ops, a pod each, on the real node, beside bare pods.

A gap is the time from the end of an op's work to the begin of the next one's, by their own records.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from bench import bare
from bench.numbers import gaps, summary
from bench.process import Operator, Usage, running
from bench.report import Row
from bench.world import World, in_turns, say
from podgraph.planning.model.status import seconds_of

__all__ = ["CASES", "Case", "measure", "rows"]

STEPS = 10
ROUNDS = 3
QUICK_BARE_STEPS = 3

CODE = """
import time
from podgraph import job, op

@op
def first():
    time.sleep({work})
    return 0

@op
def step(x):
    time.sleep({work})
    return x + 1

@job
def chain():
    x = first()
    for _ in range({steps} - 1):
        x = step(x)
"""


@dataclass(frozen=True)
class Case:
    """A chain: the seconds each step works, how many levels ahead pods are started, and the bars."""

    work: int
    prestart: int
    p50_bar: str
    p99_bar: str = ""
    ratio_bar: str = ""

    @property
    def work_says(self) -> str:
        return f"{self.work} s of work" if self.work else "no work"

    @property
    def says(self) -> str:
        return f"{self.work_says}, prestart {self.prestart}"


CASES = (
    Case(3, 1, "<= 0.2", "<= 0.6", "<= 0.1"),
    Case(0, 3, "<= 0.5"),
    Case(0, 0, "<= 0.9"),
)


async def measure(world: World) -> dict[str, Any]:
    """Return the gaps and the writes of each case, and the gaps of bare pods by their work."""
    found: dict[str, Any] = {"chains": {}, "bare": {}}
    with running(world.folder, world.image) as operator:
        like = await world.step_spec("warm", "first", code={"source": CODE.format(work=0, steps=2)})
        await world.clear()
        for work in sorted({case.work for case in CASES}, reverse=True):
            cases = [case for case in CASES if case.work == work]
            say(f"    chains of {STEPS}, {', '.join(case.says for case in cases)}, and bare pods")
            turns = [partial(by_podgraph, world, operator, case) for case in cases]
            *ours, theirs = await in_turns(
                1 if world.quick else ROUNDS, *turns, partial(by_hand, world, bare.python_spec(like, work))
            )
            for case, rounds in zip(cases, ours, strict=True):
                found["chains"][case.says] = {
                    "gaps": [gap for one, _ in rounds for gap in one],
                    "writes": [used.writes / STEPS for _, used in rounds if used],
                    "requests": [used.requests for _, used in rounds if used],
                }
            found["bare"][cases[0].work_says] = [gap for one, _ in theirs for gap in one]
    return found


async def by_podgraph(world: World, operator: Operator, case: Case, at: int) -> tuple[list[float], Usage]:
    """Run the chain as a Job; return its gaps and what the operator used."""
    name = f"chain-{case.work}-{case.prestart}-{at}"
    before = await operator.usage()
    source = CODE.format(work=case.work, steps=STEPS)
    await world.run_job(name, code={"source": source}, execution={"prestart": case.prestart})
    steps = (await world.job(name))["status"]["steps"].values()
    await world.clear()
    used = (await operator.usage()).since(before)
    return gaps((seconds_of(step["startTime"]), seconds_of(step["completionTime"])) for step in steps), used


async def by_hand(world: World, spec: dict[str, Any], at: int) -> tuple[list[float], None]:
    """Run the chain as bare pods, of which a quick look has fewer; return its gaps."""
    steps = QUICK_BARE_STEPS if world.quick else STEPS
    graph = {f"s{at}": [f"s{at - 1}"] if at else [] for at in range(steps)}
    done = await bare.run(world, graph, dict.fromkeys(graph, spec))
    await world.clear()
    return gaps(done.spans()), None


def rows(found: dict[str, Any]) -> list[Row]:
    """Return the figures that have a bar."""
    told: list[Row] = []
    for case in CASES:
        chain, beside = found["chains"][case.says], summary(found["bare"][case.work_says])["p50"]
        name, all_gaps = f"gap, {case.says}", summary(chain["gaps"])
        of = f"{all_gaps['count']} gaps"
        told.append(Row(f"{name}, p50", all_gaps["p50"], "s", case.p50_bar, beside, "bare pods", case.ratio_bar, of))
        if case.p99_bar:
            told.append(Row(f"{name}, p99", all_gaps["p99"], "s", case.p99_bar, of=of))
        bar = "<= 2.2" if case.prestart else "<= 1.2"
        told.append(
            Row(f"API writes a step, {case.says}", summary(chain["writes"])["p50"], "", bar, of=f"chain of {STEPS}")
        )
    return told
