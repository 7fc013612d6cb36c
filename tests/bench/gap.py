"""The gap between steps of a chain of Python ops: `python -m bench.gap [WORK] [STEPS] [PRESTART...]`."""

from __future__ import annotations

import asyncio
import itertools
import sys
from datetime import datetime
from statistics import median
from typing import Any

from cluster.kube import Kube, find_kube, job_manifest, new_namespace, no_other_operator

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
WAIT_SECONDS = 300


def gaps(steps: dict[str, Any]) -> list[float]:
    """Return the seconds between each step's end and the next one's begin, by the records of the ops themselves."""
    times = sorted((_seconds(s["startTime"]), _seconds(s["completionTime"])) for s in steps.values())
    return [after[0] - before[1] for before, after in itertools.pairwise(times)]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def chain(kube: Kube, name: str, work: float, steps: int, prestart: int) -> list[float]:
    """Run a chain as a Job and return its gaps."""
    manifest = job_manifest(
        name, code={"source": CODE.format(work=work, steps=steps)}, execution={"prestart": prestart}
    )
    kube.create(manifest)
    kube.run(
        "wait",
        "--for=condition=Finished",
        f"jobs.podgraph.dev/{name}",
        f"--timeout={WAIT_SECONDS}s",
        seconds=WAIT_SECONDS + 10,
    )
    return gaps(kube.get("jobs.podgraph.dev", name)["status"]["steps"])


def main() -> None:
    import os

    from bench.watched import operator
    from podgraph.cluster.connection import login

    work, steps = float(sys.argv[1]), int(sys.argv[2])
    kube = find_kube()
    os.environ["KUBECONFIG"] = kube.kubeconfig

    async def measure(made: Kube) -> None:
        async with operator(login(), "podgraph/step:dev"):
            await asyncio.to_thread(chain, made, "warm", 0, 2, 1)
            for prestart in map(int, sys.argv[3:]):
                found = await asyncio.to_thread(chain, made, f"p{prestart}", work, steps, prestart)
                print(
                    f"work {work} prestart {prestart}: p50 {median(found):.3f} max {max(found):.3f}",
                    [round(g, 2) for g in found],
                    flush=True,
                )

    with no_other_operator(kube), new_namespace(kube) as made:
        kube.run("apply", "--server-side", "--force-conflicts", "-f", "crds")
        asyncio.run(measure(made))


if __name__ == "__main__":
    main()
