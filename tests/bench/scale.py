"""What many steps cost: `python -m bench.scale` (`BENCH=quick`: up to 500). Writes `.bench/scale.json` and a plot.

A fan-out on fake nodes beside as many bare pods in the same run, and what a step costs the operator. Exits with 1 when
a figure is outside its range in `ranges.toml`, with 2 without a cluster; a bar that is missed is only said.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.fanout import measure
from bench.kwok import fake_nodes
from bench.world import World, say
from cluster.kube import CHECKOUT, Kube, KubeError, find_kube, new_namespace, no_other_operator
from podgraph.cluster.connection import connect, login

__all__ = ["figures", "main", "outside"]

COUNTS, QUICK_COUNTS = (100, 500, 1_000, 2_000), (100, 500)
RESULT, PLOT = CHECKOUT / ".bench" / "scale.json", CHECKOUT / ".bench" / "scale.png"
RANGES = Path(__file__).with_name("ranges.toml")

Figures = dict[str, tuple[float, str]]


def figures(found: dict[str, Any]) -> Figures:
    """Return each figure that has a bar: its value and the bar, `>= x` or `<= x`."""
    largest = max(found, key=int)
    least, most = found[min(found, key=int)], found[largest]
    beside = found.get("1000", most)
    return {
        "steps a second beside bare pods": (beside["ratio"], ">= 0.9"),
        "operator CPU a step, ms": (most["cpu_ms_per_step"], "<= 2"),
        "CPU a step, largest beside smallest": (most["cpu_ms_per_step"] / least["cpu_ms_per_step"], "<= 1.3"),
        "peak memory, MiB": (most["peak_mib"], "<= 120"),
        "writes a step": (most["writes_per_step"], "<= 1.2"),
    }


def holds(value: float, bar: str) -> bool:
    """Whether a value keeps to a bar.

    >>> holds(0.8, ">= 0.9"), holds(1.0, "<= 1.2")
    (False, True)
    """
    sign, limit = bar.split()
    return value >= float(limit) if sign == ">=" else value <= float(limit)


def outside(found: Figures, ranges: dict[str, str]) -> list[str]:
    """Return the figures that have got worse than their range allows."""
    return [name for name, bar in ranges.items() if name in found and not holds(found[name][0], bar)]


def show(found: Figures) -> None:
    say(f"\n{'':<40}{'value':>10}{'bar':>10}")
    for name, (value, bar) in found.items():
        say(f"{name:<40}{value:>10.2f}{bar:>10}   {'met' if holds(value, bar) else 'MISSED'}")


def plot(found: dict[str, Any]) -> None:
    """Draw what a step costs against how many there are."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    counts = [int(count) for count in found]
    _, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    left.plot(counts, [entry["cpu_ms_per_step"] for entry in found.values()], marker="o")
    left.set(xlabel="steps", ylabel="operator CPU a step, ms", ylim=0)
    for key, label in (("steps_per_second", "podgraph"), ("bare_per_second", "bare pods")):
        right.plot(counts, [entry[key] for entry in found.values()], marker="o", label=label)
    right.set(xlabel="steps", ylabel="steps a second", ylim=0)
    right.legend()
    pyplot.savefig(PLOT)


async def run(kube: Kube, nodes: str, folder: Path, counts: tuple[int, ...]) -> dict[str, Any]:
    async with connect(login()) as session:
        return await measure(World(session, kube), folder, nodes, counts)


def main() -> int:
    """Measure, print, write the files."""
    quick = os.environ.get("BENCH") == "quick"
    try:
        kube = find_kube()
        os.environ["KUBECONFIG"] = kube.kubeconfig
        with no_other_operator(kube), tempfile.TemporaryDirectory() as name:
            kube.run("apply", "--server-side", "--force-conflicts", "-f", str(CHECKOUT / "crds"))
            with fake_nodes(kube) as nodes, new_namespace(kube) as made:
                say("fan-out on fake nodes")
                found = asyncio.run(run(made, nodes, Path(name), QUICK_COUNTS if quick else COUNTS))
    except KubeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    told = figures(found)
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    result = {"at": stamp, "quick": quick, "cpus": os.cpu_count(), "fan_out": found, "figures": told}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    plot(found)
    show(told)
    worse = outside(told, tomllib.loads(RANGES.read_text())["scale"])
    for name in worse:
        say(f"WORSE THAN BEFORE: {name} is {told[name][0]:.2f}")
    say(f"written to {RESULT.relative_to(CHECKOUT)} and {PLOT.relative_to(CHECKOUT)}")
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
