"""The operator as a process of its own, so that its CPU time and memory are its own, with a count of its requests.

`python -m bench.process FILE` runs the operator and writes what it has used so far to FILE at each SIGUSR1. `--node`
puts its pods on fake nodes (see bench.kwok), `--notes` has it note when it did what, `--profile` tells at the end where
its time went. The product has no switches for any of this.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import itertools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.kube import CHECKOUT, KubeError

__all__ = ["Notes", "Operator", "Usage", "running"]

READY_SECONDS = 60
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Notes:
    """When what happened in the operator, on the clock that `time.monotonic` of all processes reads."""

    posted: dict[str, float] = field(default_factory=dict)
    """When the POST of a step's pod was about to be sent, by `JOB/OP`."""
    pods: dict[str, str] = field(default_factory=dict)
    """The pod's name, by `JOB/OP`."""
    ended: dict[str, float] = field(default_factory=dict)
    """When its watch first told that a pod's container had ended, by pod."""


@dataclass(frozen=True)
class Usage:
    """What the operator has used: CPU seconds, peak memory in MiB, and requests by verb and kind."""

    cpu: float
    peak_mib: float
    requests: dict[str, int]
    notes: Notes = Notes()

    @property
    def writes(self) -> int:
        return sum(n for name, n in self.requests.items() if name.startswith(_WRITES))

    def since(self, before: Usage) -> Usage:
        """Return what was used after `before`; the peak and the notes are those of all its life."""
        requests = {k: v - before.requests.get(k, 0) for k, v in self.requests.items() if v > before.requests.get(k, 0)}
        return Usage(self.cpu - before.cpu, self.peak_mib, requests, self.notes)


class Operator:
    """A running operator process."""

    def __init__(self, process: subprocess.Popen[bytes], file: Path) -> None:
        self._process, self._file = process, file

    async def usage(self) -> Usage:
        """Ask it what it has used."""
        self._file.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        for _ in range(1_000):
            if self._file.exists():
                told = json.loads(self._file.read_text())
                return Usage(told["cpu"], told["peak_mib"], told["requests"], Notes(**told["notes"]))
            await asyncio.sleep(0.02)
        raise KubeError("the operator does not answer")


@contextlib.contextmanager
def running(folder: Path, image: str, nodes: Sequence[str] = (), notes: bool = False) -> Iterator[Operator]:
    """Run the operator of this checkout for as long as the block runs; `BENCH_PROFILE` names a file for a profile."""
    file, log = folder / "usage.json", folder / "operator.log"
    file.unlink(missing_ok=True)
    paths = f"{CHECKOUT / 'operator'}{os.pathsep}{CHECKOUT / 'tests'}"
    command = [sys.executable, "-m", "bench.process", str(file), "--image", image]
    command += [f"--node={node}" for node in nodes]
    command += ["--notes"] if notes else []
    command += ["--profile", os.environ["BENCH_PROFILE"]] if os.environ.get("BENCH_PROFILE") else []
    with log.open("ab") as output:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stdout=output, stderr=output)
    try:
        end = time.monotonic() + READY_SECONDS
        while not file.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise KubeError(f"the operator was not ready within {READY_SECONDS} s: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield Operator(process, file)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


# --- in the process itself


def main() -> None:
    """Run the operator until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--image", default="")
    parser.add_argument("--node", action="append", default=[])
    parser.add_argument("--notes", action="store_true")
    parser.add_argument("--profile", default="")
    asked = parser.parse_args()

    import logging

    import uvloop

    from cluster.s3 import link_address
    from podgraph.cluster.connection import login
    from podgraph.operator import operate

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    counts, notes = count_requests(), Notes()
    if asked.node:
        place_pods(asked.node)
    if asked.notes:
        note_times(notes)

    def tell() -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = {"cpu": time.process_time(), "peak_mib": peak, "requests": counts, "notes": vars(notes)}
        part = asked.file.with_suffix(".part")
        part.write_text(json.dumps(told))
        part.rename(asked.file)

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, tell)
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.call_later(2, tell)  # for kopf to begin its watch
        await operate(stop, asked.image, login(), link=link_address())

    if not asked.profile:
        uvloop.run(run())
        return
    import cProfile

    with cProfile.Profile(time.process_time) as profile:
        uvloop.run(run())
    profile.dump_stats(asked.profile)


def count_requests() -> dict[str, int]:
    """Count every request of this process from now on, tries again included."""
    import aiohttp

    counts: dict[str, int] = collections.Counter()
    request = aiohttp.ClientSession._request

    async def counted(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        counts[f"{method.upper()} {_kind(str(url))}"] += 1
        return await request(self, method, url, **options)

    aiohttp.ClientSession._request = counted  # type: ignore[method-assign]
    return counts


def place_pods(nodes: Sequence[str]) -> None:
    """Put each pod on one of these nodes, by turns, past the scheduler: its speed is not what is measured."""
    from podgraph.cluster.client import Client

    create, turns = Client.create, itertools.cycle(nodes)

    async def placed(self: Client, plural: str, manifest: dict[str, Any], any_content: bool = False) -> bytes:
        if plural == "pods":
            manifest["spec"].setdefault("nodeName", next(turns))
        return await create(self, plural, manifest, any_content)

    Client.create = placed  # type: ignore[method-assign]


def note_times(notes: Notes) -> None:
    """Note when pods are asked for and when their end is seen, from now on."""
    from podgraph.cluster.client import Client
    from podgraph.cluster.pod_reflector import PodReflector
    from podgraph.planning.model.names import OP_ANNOTATION
    from podgraph.planning.pods.state import Phase, observe

    create, look = Client.create, PodReflector._look

    async def create_noted(self: Client, plural: str, manifest: dict[str, Any], any_content: bool = False) -> bytes:
        op = (manifest["metadata"].get("annotations") or {}).get(OP_ANNOTATION)
        if plural == "pods" and op:
            key = f"{manifest['metadata']['ownerReferences'][0]['name']}/{op}"
            notes.posted.setdefault(key, time.monotonic())
            notes.pods.setdefault(key, manifest["metadata"]["name"])
        return await create(self, plural, manifest, any_content)

    def look_noted(self: PodReflector, pod: Any, first: bool) -> None:
        if observe(pod).phase is Phase.ENDED:
            notes.ended.setdefault(pod.metadata.name, time.monotonic())
        look(self, pod, first)

    Client.create, PodReflector._look = create_noted, look_noted  # type: ignore[method-assign]


def _kind(url: str) -> str:
    """Return the kind of object a path is about.

    >>> _kind("/api/v1/namespaces/x/pods/y?z"), _kind("/apis/podgraph.dev/v1alpha1/namespaces/x/jobs/y/status")
    ('pods', 'jobs/status')
    """
    found = re.search(r"/namespaces/[^/]+/([a-z]+)(?:/[^/?]+)?(/[a-z]+)?(?:\?|$)", url)
    return f"{found[1]}{found[2] or ''}" if found else "others"


if __name__ == "__main__":
    main()
