"""What the web page takes; no cluster is needed.

The page's server runs as a process of its own before the fake API server, with 5,000 Jobs there and 50 pages that are
open beside the one that is measured, in a real browser: the first paint of the list of runs, the time from a status
change to the page that shows it, a graph of 1,000 ops from the click to its first drawn op, the scripts of a first
load, and the server's memory at its peak.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Error, Page

from api.fake import FakeCluster
from bench.page_world import JOBS, OPS, VIEWERS, PageWorld, beside, name_of
from bench.report import Row
from podgraph.server.app import page_is_built
from web.browser import NO_BROWSER, chromium, launched

__all__ = ["measure", "rows"]

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


def rows(found: Found) -> list[Row]:
    """Return each figure that has a bar."""
    jobs = f"{JOBS:,} Jobs"
    return [
        Row("first paint of the runs list", found["first_paint"], "s", "<= 1", of=jobs),
        Row("status change to the runs list, worst", found["list_update"], "s", "<= 0.3", of=jobs),
        Row("status change to the run's page, worst", found["run_update"], "s", "<= 0.3", of=jobs),
        Row("graph, from the click to its ops", found["graph"], "s", "<= 1.5", of=f"{OPS:,} ops"),
        Row("scripts of the first load, gzip", found["scripts_kb"], "KB", "<= 500"),
        Row("page server's memory, peak", found["server_mib"], "MiB", "<= 150", of=f"{jobs}, {VIEWERS} viewers"),
    ]


def measure(quick: bool = False) -> Found:
    """Measure it all. Raises RuntimeError where there is no browser or no page."""
    if not chromium():
        raise RuntimeError(NO_BROWSER)
    if not page_is_built():
        raise RuntimeError("the page is not built: run make web")
    try:
        return _measure(3 if quick else 8)
    except Error as error:
        raise RuntimeError(f"the browser: {error.message}") from error


def _measure(rounds: int) -> Found:
    with tempfile.TemporaryDirectory() as folder, beside(Path(folder)) as world, launched() as browser:
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


def _updates(browser: Browser, world: PageWorld, rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds from changes of a Job's status to the list and to the Job's own page."""
    with _window(browser) as page:
        page.goto(f"{world.url}/runs")
        page.wait_for_selector("[role=rowgroup] [role=row] a", timeout=_WAIT_MS)
        lists = []
        for at in range(rounds):
            # Some come close behind each other, as those of a Job that goes on do.
            time.sleep(0.05 if at % 2 else 1.0)
            lists.append(_seen(page, world, ".row", f"9{at:02}/100", f"9{at:02}/100"))
        page.goto(f"{world.url}/runs/default/{name_of(JOBS - 1)}")
        page.wait_for_selector("[data-step=op_0]", state="attached", timeout=_WAIT_MS)
        runs = []
        for at in range(rounds):
            time.sleep(0.05 if at % 2 else 1.0)
            state = "Failed" if at % 2 else "Succeeded"
            runs.append(_seen(page, world, f"[data-step=op_0][data-state={state}]", "", "1/10", state))
        return lists, runs


def _seen(page: Page, world: PageWorld, selector: str, text: str, progress: str, state: str = "Running") -> float:
    """Change the newest Job and return the seconds until the page shows it."""
    page.evaluate(_APPEARED, [selector, text])
    status = {"progress": progress, "steps": {"op_0": {"state": state}}}

    def change(fake: FakeCluster) -> float:
        now = time.time()
        fake.patch("jobs", "default", name_of(JOBS - 1), {"status": status}, status=True)
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
