"""Measure podgraph beside its peers: `make bench`, `make bench ONLY="gap jobs"`, `BENCH=quick make bench`.

Prints one table of all that was measured; writes `.bench/PART.json` for each part and plots. Exits with 1 when a ratio
is outside its range in `ranges.toml`, with 2 when a part could not be measured; a bar that is missed is only said.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from bench import gap, local, modes, page, plots, react, scale, schedules, shapes
from bench.report import Row, outside, table
from bench.world import World, say
from cluster.kube import CHECKOUT, Kube, KubeError, find_kube, new_namespace, no_other_operator, step_image
from podgraph.cluster.connection import connect, login

__all__ = ["PARTS", "RANGES", "main"]

RANGES = Path(__file__).with_name("ranges.toml")
FOLDER = CHECKOUT / ".bench"

Found = dict[str, Any]
Measure = Callable[[World], Awaitable[Found]]


@dataclass(frozen=True)
class Part:
    """What can be measured by itself, in a cluster or `alone`, and what rows it comes to.

    A quick look has no time for what is `long`.
    """

    says: str
    rows: Callable[[Found], list[Row]]
    measure: Measure | None = None
    alone: Callable[[bool], Found] | None = None
    long: bool = False


PARTS = {
    "local": Part("local execution beside Dagster", local.rows, alone=local.measure),
    "page": Part("the web page, in a browser", page.rows, alone=page.measure, long=True),
    "react": Part("how soon the operator does its part", react.rows, react.measure),
    "gap": Part("the gap between steps", gap.rows, gap.measure),
    "shapes": Part("whole small Jobs", shapes.rows, shapes.measure),
    "modes": Part("many ops in a pod, reading the code, large values", modes.rows, modes.measure),
    "fan-out": Part("a wide Job on fake nodes", scale.fan_out_rows, scale.fan_out),
    "ahead": Part("a Job of chains on fake nodes, started ahead", scale.ahead_rows, scale.ahead),
    "jobs": Part("many small Jobs at once on fake nodes", scale.job_rows, scale.many_jobs),
    "schedules": Part("many schedules, and sensors", schedules.rows, schedules.measure, long=True),
}
_ERRORS = (KubeError, RuntimeError, OSError, subprocess.SubprocessError, aiohttp.ClientError, ExceptionGroup)


def main(asked: Sequence[str] = ()) -> int:
    """Measure the parts that are asked for."""
    if unknown := [name for name in asked if name not in PARTS]:
        print(f"error: there is no part {unknown[0]!r} of the bench; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    quick = os.environ.get("BENCH") == "quick"
    names = chosen(asked, quick)
    FOLDER.mkdir(exist_ok=True)
    found: dict[str, Found] = {}
    troubles: list[str] = []

    @contextlib.contextmanager
    def taken(name: str) -> Iterator[None]:
        """Say what is measured and how long that took, or keep why it could not be."""
        say(f"{name}: {PARTS[name].says}")
        begun = time.monotonic()
        try:
            yield
            say(f"    {time.monotonic() - begun:.0f} s")
        except _ERRORS as error:
            troubles.append(f"{name} could not be measured: {_sentence(error)}")
            say(troubles[-1])

    for name in names:
        if alone := PARTS[name].alone:
            with taken(name):
                found[name] = alone(quick)
    if in_cluster := [(name, measure) for name in names if (measure := PARTS[name].measure)]:
        try:
            with cluster() as (kube, folder):
                for name, measure in in_cluster:
                    with taken(name), new_namespace(kube) as made:
                        found[name] = asyncio.run(in_session(measure, made, folder, quick))
        except KubeError as error:
            troubles.append(str(error))
    return told(found, troubles, quick)


def chosen(asked: Sequence[str], quick: bool) -> list[str]:
    """Return the parts that are asked for in their order; all that there is time for when none is."""
    return [name for name, part in PARTS.items() if (name in asked if asked else not (quick and part.long))]


@contextlib.contextmanager
def cluster() -> Iterator[tuple[Kube, Path]]:
    """Give the cluster with our CRDs and no operator, and a folder for files. Raises KubeError."""
    kube = find_kube()
    os.environ["KUBECONFIG"] = kube.kubeconfig
    with no_other_operator(kube), tempfile.TemporaryDirectory() as folder:
        kube.run("apply", "--server-side", "--force-conflicts", "-f", str(CHECKOUT / "crds"))
        yield kube, Path(folder)


async def in_session(measure: Measure, kube: Kube, folder: Path, quick: bool) -> Found:
    async with connect(login()) as session:
        return await measure(World(session, kube, folder, step_image(kube), quick))


def told(found: dict[str, Found], troubles: Sequence[str], quick: bool) -> int:
    """Print the table and write the files; return the exit status."""
    machine = {"cpus": os.cpu_count(), "load": os.getloadavg()[1], "python": platform.python_version()}
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    rows: dict[str, list[Row]] = {name: PARTS[name].rows(one) for name, one in found.items()}
    for name, one in found.items():
        result = {"at": stamp, "quick": quick, **machine, "found": one, "rows": [asdict(row) for row in rows[name]]}
        (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    drawn = plots.draw(found, FOLDER)
    say(f"\n{stamp}, {machine['cpus']} CPUs, load {machine['load']:.1f}{', a quick look' if quick else ''}\n")
    say(table([row for some in rows.values() for row in some]))
    files = [*(FOLDER / f"{name}.json" for name in found), *drawn]
    say(f"\nwritten: {', '.join(str(path.relative_to(CHECKOUT)) for path in files)}")
    ranges = tomllib.loads(RANGES.read_text())
    worse = [line for name, some in rows.items() for line in outside(some, ranges.get(name, {}))]
    for line in worse:
        say(f"WORSE THAN ITS RANGE: {line}")
    for line in troubles:
        print(f"error: {line}", file=sys.stderr)
    return 2 if troubles else 1 if worse else 0


def _sentence(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
