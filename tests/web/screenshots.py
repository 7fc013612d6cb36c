"""Pictures of the page's screens, of a cluster as a busy team has it: `make screenshots` writes .screenshots/.

Those that README.md shows are drawn as SVG too, which is text: `make pictures` puts them into operator/web/pictures/.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from podgraph.server.app import page_is_built
from web.browser import NO_BROWSER, chromium, launched, visiting
from web.scenes import busy_team
from web.serving import serving_beside

OUT = Path(__file__).parents[2] / ".screenshots"
RUN = "/runs/default/daily-sales-live"
SCREENS: dict[str, tuple[str, Callable[[Page], object]]] = {
    "runs": ("/runs", lambda page: page.get_by_role("link", name="daily-sales-live").wait_for()),
    "runs-timeline": ("/runs?view=timeline&time=24h",
                      lambda page: page.get_by_role("link", name="next tick of hourly-sales").wait_for()),
    "run": (RUN, lambda page: page.get_by_role("button", name="publish", exact=True).wait_for()),
    "run-graph": (RUN + "?view=graph", lambda page: page.locator("[data-op=publish]").wait_for()),
    "run-step": (RUN + "?step=features.by_sku", lambda page: page.get_by_text("chunk 40 of 64").wait_for()),
    "run-failed": ("/runs/default/daily-sales-7c1e?step=train_model",
                   lambda page: page.get_by_text("MemoryError").first.wait_for()),
    "jobs": ("/jobs", lambda page: page.get_by_role("link", name="daily-sales").first.wait_for()),
    "job": ("/jobs/default/daily-sales", lambda page: page.locator("[data-op=publish]").wait_for()),
    "schedules": ("/schedules", lambda page: page.get_by_role("link", name="hourly-sales", exact=True).wait_for()),
    "schedule": ("/schedules/default/hourly-sales", lambda page: page.get_by_text("UnknownName").wait_for()),
    "sensors": ("/sensors", lambda page: page.get_by_role("link", name="after-sales").wait_for()),
    "launchpad": ("/launchpad?definition=default/daily-sales", lambda page: _select(page, "*train_model, load_prices")),
    "launchpad-code": ("/launchpad", lambda page: page.get_by_text("Python file", exact=True).first.click()),
}  # fmt: skip
IN_README = ("run-step", "launchpad")
AS_SVG = Path(__file__).with_name("picture.js").read_text()


def _select(page: Page, clauses: str) -> None:
    page.locator("[data-op=publish]").wait_for()
    page.get_by_label("Op selection").fill(clauses)
    page.locator(".op-node.out").first.wait_for()


def main() -> int:
    """Write them all, light and dark."""
    if not chromium() or not page_is_built():
        print(f"error: {'the page is not built: run make web' if chromium() else NO_BROWSER}", file=sys.stderr)
        return 1
    OUT.mkdir(exist_ok=True)
    with serving_beside() as server, launched() as browser:
        server.do(busy_team)
        for scheme in ("light", "dark"):
            with visiting(browser, server.url, scheme) as visit:
                for name, (path, ready) in SCREENS.items():
                    if sys.argv[1:] and name not in sys.argv[1:]:
                        continue
                    visit.go(path)
                    ready(visit.page)
                    visit.page.wait_for_timeout(600)  # what moves comes to rest
                    visit.page.screenshot(path=str(OUT / f"{name}-{scheme}.png"))
                    if name in IN_README and scheme == "light":
                        (OUT / f"{name}.svg").write_text(visit.page.evaluate(AS_SVG))
    print(f"{len(list(OUT.glob('*.png')))} pictures in {OUT.name}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
