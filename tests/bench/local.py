"""Local execution beside Dagster, which has an environment of its own; no cluster is needed.

(a) `execute_in_process` of a chain of 500 ops, after a first run of one op that imports what a run needs; (b) the
whole command that runs the seed's job, each step in a process of a fork server; (c) importing podgraph and `podgraph
--help`; (d) the cost per op and the memory of chains of 10 to 10,000 ops.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.report import Row
from bench.world import say
from cluster.kube import CHECKOUT

__all__ = ["measure", "rows"]

DAGSTER = "dagster==1.13.29"
CHAIN = 500
LENGTHS = (10, 100, 1_000, 10_000)
LIMIT_SECONDS = 600

SEED = """
from {library} import job, op

@op
def return_one():
    return 1

@op
def add_two(i: int):
    return i + 2

@op
def multi_three(i: int):
    return i * 3

MULTIPROCESS = {{"start_method": {{"forkserver": {{}}}}, "max_concurrent": 4}}

@job(config={{"execution": {{"config": {{"multiprocess": MULTIPROCESS}}}}}})
def my_job():
    multi_three(add_two(return_one()))
"""

CHAINED = """
import json, logging, resource, sys, time
from {library} import job, op

logging.disable()
length = int(sys.argv[1])

@op
def start() -> int:
    return 0

@op
def step(i: int) -> int:
    return i + 1

@job
def warm():
    start()

begun = time.perf_counter()
warm.execute_in_process()
first = time.perf_counter() - begun
begun = time.perf_counter()

@job
def chain():
    value = start.alias("s0")()
    for at in range(1, length):
        value = step.alias("s" + str(at))(value)

defined = time.perf_counter()
result = chain.execute_in_process()
ended = time.perf_counter()
assert result.success and result.output_for_node("s" + str(length - 1)) == length - 1
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
figures = {{"first": first, "define": defined - begun, "run": ended - defined, "peak_mib": peak / 1024}}
print(json.dumps(figures))
"""


def measure(quick: bool) -> dict[str, Any]:
    """Return the figures of each."""
    rounds = 1 if quick else 5
    other = dagster_python()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for library in ("podgraph", "dagster"):
            (folder / f"{library}_chain.py").write_text(CHAINED.format(library=library))
            (folder / f"{library}_job.py").write_text(SEED.format(library=library))
        return {
            "dagster": DAGSTER,
            "in_process": in_process(folder, other, rounds),
            "command": command(folder, other, rounds),
            "start": starts(4 * rounds),
            "lengths": lengths(folder, 2 * rounds),
        }


def dagster_python() -> Path:
    """Return the Python of an environment that has Dagster and nothing of ours; it is made once."""
    home = CHECKOUT / ".bench" / "dagster"
    python = home / "bin" / "python"
    if not python.exists():
        say(f"    install {DAGSTER} into an environment of its own")
        uv = [str(Path(sys.executable).with_name("uv"))]
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), DAGSTER], check=True)
    return python


def in_process(folder: Path, other: Path, rounds: int) -> dict[str, Any]:
    """Run the chain by turns with both and return the seconds per op."""
    ours, theirs = by_turns(
        rounds,
        lambda: chain(Path(sys.executable), folder / "podgraph_chain.py", CHAIN)["run"] / CHAIN,
        lambda: chain(other, folder / "dagster_chain.py", CHAIN, folder)["run"] / CHAIN,
    )
    return compared(ours, theirs)


def command(folder: Path, other: Path, rounds: int) -> dict[str, Any]:
    """Run the seed's job by turns with both command lines and return the seconds of the whole command."""
    ours, theirs = by_turns(
        rounds,
        lambda: timed([*our_command(), "job", "execute", "-f", str(folder / "podgraph_job.py")], folder),
        lambda: timed(
            [str(other.with_name("dagster")), "job", "execute", "-f", str(folder / "dagster_job.py")], folder
        ),
    )
    return compared(ours, theirs)


def starts(rounds: int) -> dict[str, float]:
    """Return the median seconds that `import podgraph` adds to a bare interpreter, and those of `podgraph --help`."""
    bare, imported, helped = by_turns(
        rounds,
        lambda: timed([sys.executable, "-c", "pass"]),
        lambda: timed([sys.executable, "-c", "import podgraph"]),
        lambda: timed([*our_command(), "--help"]),
    )
    return {"import": median(imported) - median(bare), "help": median(helped)}


def lengths(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return for each length of chain the microseconds per op (the best round's) and the peak memory in MiB."""
    told = {}
    for length in LENGTHS:
        runs = [chain(Path(sys.executable), folder / "podgraph_chain.py", length) for _ in range(rounds)]
        told[str(length)] = {
            "define_us": min(run["define"] for run in runs) / length * 1e6,
            "run_us": min(run["run"] for run in runs) / length * 1e6,
            "first_ms": median(run["first"] for run in runs) * 1e3,
            "peak_mib": median(run["peak_mib"] for run in runs),
        }
    return told


def rows(result: dict[str, Any]) -> list[Row]:
    """Return the figures."""
    process, command, start = result["in_process"], result["command"], result["start"]
    lengths = result["lengths"]
    # A run has a cost of its own, about 0.2 ms, which shows in the shortest chain: what counts is that none grows.
    costs = [entry["run_us"] for entry in lengths.values()]
    return [
        Row("execute_in_process, an op", process["podgraph"] * 1e3, "ms", beside=process["dagster"] * 1e3,
            peer="Dagster", ratio_bar="<= 0.01", of=f"chain of {CHAIN}"),
        Row("job execute, the whole command", command["podgraph"], "s", beside=command["dagster"],
            peer="Dagster", ratio_bar="<= 0.1", of="3 ops, fork server"),
        Row("import podgraph", start["import"] * 1e3, "ms", "<= 30"),
        Row("podgraph --help", start["help"] * 1e3, "ms", "<= 150"),
        Row("execute_in_process, an op of the longest chain", costs[-1], "us", beside=min(costs),
            peer="the cheapest length", ratio_bar="<= 1.5", of=f"chain of {LENGTHS[-1]:,}"),
        Row("memory of the longest chain", lengths[str(LENGTHS[-1])]["peak_mib"], "MiB",
            of=f"chain of {LENGTHS[-1]:,}"),
    ]  # fmt: skip


def by_turns(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Call each in turn, so that the machine's slower times meet all alike; the first call of each is not counted."""
    times: list[list[float]] = [[] for _ in measures]
    for at in range(rounds + 1):
        for kept, measure in zip(times, measures, strict=True):
            seconds = measure()
            if at:
                kept.append(seconds)
    return times


def compared(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    return {
        "podgraph": median(ours),
        "dagster": median(theirs),
        "ratio": median(theirs) / median(ours),
        "podgraph_all": [round(value, 7) for value in ours],
        "dagster_all": [round(value, 7) for value in theirs],
    }


def chain(python: Path, script: Path, length: int, home: Path | None = None) -> dict[str, float]:
    done = subprocess.run(
        [str(python), str(script), str(length)], env=environment(home), capture_output=True, text=True,
        timeout=LIMIT_SECONDS, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def timed(arguments: list[str], home: Path | None = None) -> float:
    begun = time.perf_counter()
    subprocess.run(arguments, env=environment(home), capture_output=True, timeout=LIMIT_SECONDS, check=True)
    return time.perf_counter() - begun


def our_command() -> list[str]:
    return [str(Path(sys.executable).with_name("podgraph"))]


def environment(home: Path | None) -> dict[str, str]:
    """Return this environment without what would steer either side; Dagster keeps its runs in a folder of ours.

    Compiled modules are kept, as they are where a package is installed.
    """
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    return env | {"DAGSTER_HOME": "", "DAGSTER_DISABLE_TELEMETRY": "1"} if home else env
