"""The page's server as a process of its own before the fake API server, with many Jobs and open pages."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from api.fake import FakeCluster
from cluster.kube import CHECKOUT
from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.protocol.graph_codec import pack

__all__ = ["JOBS", "OPS", "VIEWERS", "PageWorld", "beside", "name_of"]

JOBS, VIEWERS, OPS = 5_000, 50, 1_000

Obj = dict[str, Any]
T = TypeVar("T")


class PageWorld:
    """The fake API server and the pages that are open, in a thread; the page's server as a process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fake: FakeCluster, process: int, url: str) -> None:
        self._loop, self._fake, self._process, self.url = loop, fake, process, url
        self.told = 0

    def do(self, what: Callable[[FakeCluster], T]) -> T:
        """Do something with the fake cluster and return what it gives."""

        async def run() -> T:
            return what(self._fake)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def peak_mib(self) -> float:
        """Return the most memory that the server has had."""
        (line,) = (
            line for line in Path(f"/proc/{self._process}/status").read_text().splitlines() if line.startswith("VmHWM:")
        )
        return int(line.split()[1]) / 1024

    async def view(self, path: str) -> None:
        """Be a page that is open: ask for what it opens with, then listen."""
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(base_url=self.url, timeout=timeout) as http:
            async with http.get("/api/runs?limit=300") as answer:
                await answer.read()
            async with http.get(f"/api/runs{path}/events") as answer:
                answer.raise_for_status()
                async for _ in answer.content.iter_any():
                    self.told += 1


@contextlib.contextmanager
def beside(folder: Path) -> Iterator[PageWorld]:
    ready: list[PageWorld | BaseException] = []
    there, over = threading.Event(), threading.Event()

    async def run() -> None:
        try:
            async with _world(folder) as world:
                ready.append(world)
                there.set()
                await asyncio.to_thread(over.wait)
        except BaseException as error:
            ready.append(error)
            there.set()
            raise

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    if not there.wait(180):
        raise RuntimeError("the page's server was not ready within 180 s")
    try:
        if isinstance(ready[0], BaseException):
            raise RuntimeError(f"the page's server could not be started: {ready[0]!r}")
        yield ready[0]
    finally:
        over.set()
        thread.join(30)


@contextlib.asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[PageWorld]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with FakeCluster(history=200_000) as fake:
        _fill(fake)
        env = {
            **os.environ, "KUBECONFIG": str(fake.kubeconfig(folder / "kubeconfig")), "PODGRAPH_UI_PORT": str(port),
            "PYTHONPATH": str(CHECKOUT / "operator"),
        }  # fmt: skip
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "podgraph.server"], env=env, stdout=log, stderr=log)
        viewers: list[asyncio.Task[None]] = []
        try:
            world = PageWorld(asyncio.get_running_loop(), fake, process.pid, f"http://localhost:{port}")
            await _listed(world.url)
            # Most look at the list, some at one large run.
            viewers = [asyncio.create_task(world.view("/default/wide" if at % 5 == 0 else "")) for at in range(VIEWERS)]
            await asyncio.sleep(3)
            if failed := [task for task in viewers if task.done()]:
                failed[0].result()
            yield world
        finally:
            for task in viewers:
                task.cancel()
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 10)
            process.kill()


async def _listed(url: str) -> None:
    """Wait until the server lists all Jobs."""
    async with asyncio.timeout(120), aiohttp.ClientSession(base_url=url) as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get("/api/runs?limit=1") as answer:
                    if answer.status == 200 and (await answer.json())["total"] == JOBS + 1:
                        return
            await asyncio.sleep(0.2)


def _fill(fake: FakeCluster) -> None:
    small = Graph.of(
        "small", [Op(f"op_{n}", (Input("x", (OutputRef(f"op_{n - 1}"),)),) if n else ()) for n in range(10)]
    )
    wide = Graph.of("wide", [Op(f"op_{n}", after=(f"op_{n - 10}",) if n >= 10 else ()) for n in range(OPS)])
    _job(fake, "wide", wide)
    for at in range(JOBS):
        _job(fake, name_of(at), small)


def name_of(at: int) -> str:
    return f"nightly-{at:05}"


def _job(fake: FakeCluster, name: str, graph: Graph) -> None:
    """Make a Job as the operator leaves it."""
    source = "# a file as people have them\n" * 50
    made = fake.create(
        {
            "apiVersion": "podgraph.dev/v1alpha1", "kind": "Job",
            "metadata": {"name": name, "namespace": "default", "labels": {"team": f"team-{hash(name) % 7}"}},
            "spec": {"code": {"source": source, "image": "python:3.13-slim", "job": graph.name}},
        }
    )  # fmt: skip
    time_ = made["metadata"]["creationTimestamp"]
    running = {"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": "10 steps"}
    step = {"state": "Succeeded", "attempt": 1, "podUID": "0" * 36, "startTime": time_, "completionTime": time_}
    status = {
        "conditions": [{**running, "lastTransitionTime": time_}], "startTime": time_, "graph": pack(graph),
        "progress": f"10/{len(graph.order)}", "counts": {"Succeeded": 10},
        "steps": {op: {**step, "outputs": {"result": "1"}} for op in graph.order},
    }  # fmt: skip
    fake.patch("jobs", "default", name, {"status": status}, status=True)
