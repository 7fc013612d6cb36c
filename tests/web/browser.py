"""A real browser on the page: Debian's chromium, driven by Playwright; nothing it says goes unheard."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

__all__ = ["NO_BROWSER", "Visit", "chromium", "launched", "visiting"]

NO_BROWSER = "there is no chromium: run `make setup` as root, or install it (apt-get install chromium)"
_WAIT_MS = 20_000
_SHOTS = Path(__file__).parents[2] / ".bench" / "page"


@dataclass
class Visit:
    """A page that is open, with the errors it reported and the hosts it asked."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    away: bool = False  # whether the server may be out of reach

    def go(self, path: str) -> None:
        """Open a place of the page."""
        self.page.goto(self.url.rstrip("/") + path)

    def shot(self, name: str) -> None:
        """Keep a picture of what is seen (below .bench/, not committed)."""
        _SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(_SHOTS / f"{name}.png"))


def chromium() -> str:
    """Return the browser's program, "" when there is none."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or ""


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Start a browser and end it."""
    with sync_playwright() as driver:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=chromium(), args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visiting(browser: Browser, url: str, scheme: str = "light") -> Iterator[Visit]:
    """Open a window. Errors in its console, such as a breach of the page's policy, and other hosts fail the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(_WAIT_MS)
    expect.set_options(timeout=_WAIT_MS)
    visit = Visit(context.new_page(), url)

    def heard(message: ConsoleMessage) -> None:
        # Refusals (4xx) and a server that is away are what some tests are about; the browser notes each as an error.
        told = "the server responded with a status of 4" in message.text or (visit.away and "net::ERR_" in message.text)
        if message.type == "error" and not told:
            visit.errors.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            visit.hosts.add(urlsplit(request.url).netloc)

    visit.page.on("console", heard)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("request", asked)
    try:
        yield visit
    finally:
        context.close()
    assert not visit.errors, "\n".join(visit.errors)
    assert visit.hosts <= {urlsplit(url).netloc}
