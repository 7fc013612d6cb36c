"""What the web page takes: `python -m bench.page` (`BENCH=quick` for fewer rounds). Writes `.bench/page.json`.

The page's server runs as a process of its own before the fake API server, with 5,000 Jobs there and 50 pages that are
open beside the one that is measured, in a real browser: the first paint of the list of runs, the time from a status
change to the page that shows it, a graph of 1,000 ops from the click to its first drawn op, the scripts of a first
load, and the server's memory at its peak. No cluster is needed. Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import aiohttp
from playwright.sync_api import Browser, Page

from api.fake import FakeCluster
from cluster.kube import CHECKOUT
from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.runtime.resolve import pack
from podgraph.server.app import page_is_built
from web.browser import NO_BROWSER, chromium, launched

__all__ = ["main", "measure", "rows"]

JOBS, VIEWERS, OPS = 5_000, 50, 1_000
RESULT = CHECKOUT / ".bench" / "page.json"
_ROWS = (
    ("first paint of the runs list, 5,000 Jobs", "first_paint", "s", "<= 1.0"),
    ("status change to the runs list, worst", "list_update", "s", "<= 0.3"),
    ("status change to the run's page, worst", "run_update", "s", "<= 0.3"),
    ("graph of 1,000 ops, from the click to its ops", "graph", "s", "<= 1.5"),
    ("scripts of the first load, gzip", "scripts_kb", "KB", "<= 500"),
    ("server's memory, 5,000 Jobs, 50 viewers, peak", "server_mib", "MiB", "<= 150"),
)
_WAIT_MS = 60_000
# When the page first shows what is looked for, in seconds since it was asked for; a frame later it is painted.
_FIRST_ROW = """() => {
  const look = () => {
    if (document.querySelector('[role=rowgroup] [role=row] a'))
      requestAnimationFrame(() => { window.firstRow = performance.now() / 1000; });
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
# The time of day at which something is there that a selector finds, as soon as the page has it.
_APPEARED = """([selector, text]) => {
  window.appeared = 0;
  const look = () => {
    if ([...document.querySelectorAll(selector)].some(found => !text || found.textContent.includes(text))) {
      requestAnimationFrame(() => { window.appeared = Date.now() / 1000; });
      watch.disconnect();
    }
  };
  const watch = new MutationObserver(look);
  watch.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
}"""
_SCRIPTS = """performance.getEntriesByType('resource').filter(r => r.name.endsWith('.js'))
  .reduce((sum, r) => sum + r.encodedBodySize, 0)"""

Found = dict[str, Any]
Obj = dict[str, Any]
T = TypeVar("T")


def rows(found: Found) -> list[tuple[str, float, str, str]]:
    """Return each figure that has a bar: what it is, its value, its unit and the bar."""
    return [(name, found[key], unit, bar) for name, key, unit, bar in _ROWS]


def measure(quick: bool = False) -> Found:
    """Measure it all. Raises RuntimeError where there is no browser or no page."""
    if not chromium():
        raise RuntimeError(NO_BROWSER)
    if not page_is_built():
        raise RuntimeError("the page is not built: run make web")
    rounds = 3 if quick else 8
    with tempfile.TemporaryDirectory() as folder, _beside(Path(folder)) as world, launched() as browser:
        paints = [_paint(browser, world.url) for _ in range(rounds)]
        lists, runs = _updates(browser, world, rounds * 2)
        graphs = [_graph(browser, world.url) for _ in range(rounds)]
        return {
            "first_paint": median(paint for paint, _ in paints),
            "first_paints": [paint for paint, _ in paints],
            "list_update": max(lists),
            "list_updates": lists,
            "run_update": max(runs),
            "run_updates": runs,
            "graph": median(graphs),
            "graphs": graphs,
            "scripts_kb": max(size for _, size in paints) / 1_000,
            "server_mib": world.peak_mib(),
            "viewers_told": world.told,
        }


def _paint(browser: Browser, url: str) -> tuple[float, float]:
    """Open the list of runs in a new window; return the seconds to its first row, and the bytes of its scripts."""
    with _window(browser) as page:
        page.goto(f"{url}/healthz")  # else the browser's own start of a process for this host is measured too
        page.add_init_script(f"({_FIRST_ROW})()")
        page.goto(f"{url}/runs")
        return _told(page, "window.firstRow"), page.evaluate(_SCRIPTS)


def _updates(browser: Browser, world: _World, rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds from changes of a Job's status to the list and to the Job's own page."""
    with _window(browser) as page:
        page.goto(f"{world.url}/runs")
        page.wait_for_selector("[role=rowgroup] [role=row] a", timeout=_WAIT_MS)
        lists = []
        for at in range(rounds):
            # Some come close behind each other, as those of a Job that goes on do.
            time.sleep(0.05 if at % 2 else 1.0)
            lists.append(_seen(page, world, ".row", f"9{at:02}/100", f"9{at:02}/100"))
        page.goto(f"{world.url}/runs/default/{_name(JOBS - 1)}")
        page.wait_for_selector("[data-step=op_0]", state="attached", timeout=_WAIT_MS)
        runs = []
        for at in range(rounds):
            time.sleep(0.05 if at % 2 else 1.0)
            state = "Failed" if at % 2 else "Succeeded"
            runs.append(_seen(page, world, f"[data-step=op_0][data-state={state}]", "", "1/10", state))
        return lists, runs


def _seen(page: Page, world: _World, selector: str, text: str, progress: str, state: str = "Running") -> float:
    """Change the newest Job and return the seconds until the page shows it."""
    page.evaluate(_APPEARED, [selector, text])
    status = {"progress": progress, "steps": {"op_0": {"state": state}}}

    def change(fake: FakeCluster) -> float:
        now = time.time()
        fake.patch("jobs", "default", _name(JOBS - 1), {"status": status}, status=True)
        return now

    changed = world.do(change)
    return _told(page, "window.appeared") - changed


def _told(page: Page, what: str) -> float:
    """Wait for a number that the page notes (the page's policy lets Playwright evaluate no text of its own there)."""
    end = time.monotonic() + _WAIT_MS / 1_000
    while time.monotonic() < end:
        if found := page.evaluate(what):
            return float(found)
        time.sleep(0.02)
    raise RuntimeError(f"the page did not show what was looked for within {_WAIT_MS / 1_000:.0f} s")


def _graph(browser: Browser, url: str) -> float:
    """Return the seconds from the click on a run's graph until its ops stand there."""
    with _window(browser) as page:
        page.goto(f"{url}/runs/default/wide")
        page.wait_for_selector("[data-step]", state="attached", timeout=_WAIT_MS)
        page.evaluate(_APPEARED, ["[data-op]", ""])
        clicked = time.time()
        page.get_by_text("Graph", exact=True).click()
        return _told(page, "window.appeared") - clicked


@contextlib.contextmanager
def _window(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(_WAIT_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


class _World:
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
def _beside(folder: Path) -> Iterator[_World]:
    ready: list[_World | BaseException] = []
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
async def _world(folder: Path) -> AsyncIterator[_World]:
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
            world = _World(asyncio.get_running_loop(), fake, process.pid, f"http://localhost:{port}")
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
        _job(fake, _name(at), small)


def _name(at: int) -> str:
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


def main() -> int:
    """Measure, print, write the file."""
    try:
        found = measure(os.environ.get("BENCH") == "quick")
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    missed = False
    for name, value, unit, bar in rows(found):
        met = value <= float(bar.removeprefix("<= "))
        missed = missed or not met
        print(f"{name:<50}{value:>9.2f} {unit:<4}{bar:>10}   {'met' if met else 'MISSED'}")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
