"""Runs over time, in a real browser."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from podgraph.scheduling.job_factory import second
from web.browser import Visit
from web.serving import Beside, Served

pytestmark = pytest.mark.browser

MINUTE = 60.0


def run(served: Served, name: str, state: str, begun: float, ended: float | None, definition: str = "daily") -> None:
    """Make a run that began and ended so many minutes ago."""
    now = time.time()
    served.fake.registry.clock = lambda: now - begun * MINUTE
    served.job(name, state, definitionRef={"name": definition})
    times = {"startTime": second(now - begun * MINUTE)}
    times["completionTime"] = second(now - ended * MINUTE) if ended is not None else None
    served.fake.patch("jobs", "default", name, {"status": times}, status=True)
    served.fake.registry.clock = time.time


def a_day(served: Served) -> None:
    run(served, "long-over", "Succeeded", 60 * 30, 60 * 29)
    run(served, "went-on", "Succeeded", 60 * 9, 60 * 4)
    run(served, "failed", "Failed", 100, 60)
    run(served, "beside-it", "Succeeded", 90, 80)
    run(served, "after", "Succeeded", 30, 20, "hourly")
    run(served, "live", "Running", 60 * 12, None, "forever")
    served.schedule(
        "soon", {"schedule": "* * * * *", "jobTemplate": {"spec": {"definitionRef": {"name": "new"}}}}, "each minute",
        nextTickTime=second(time.time() + 20 * MINUTE),
    )  # fmt: skip


def bar(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=f"{name}:")


def box(found: Locator) -> tuple[float, float, float]:
    """Return where it begins, ends and how far down it lies."""
    place = found.bounding_box()
    assert place is not None
    return place["x"], place["x"] + place["width"], place["y"]


def test_runs_stand_where_they_were_and_beside_each_other(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(a_day)
    visit.go("/runs")
    page.get_by_role("link", name="Timeline").click()
    rows = page.get_by_role("region", name="Runs over time").locator("section")
    expect(rows.locator(".timeline-name")).to_have_text(
        [f"{name} default" for name in ("forever", "hourly", "daily", "new")]
    )
    expect(bar(page, "long-over")).to_have_count(0)
    expect(bar(page, "failed")).to_have_attribute("data-color", "red")
    assert box(bar(page, "went-on"))[1] < box(bar(page, "failed"))[0] < box(bar(page, "beside-it"))[0]
    assert box(bar(page, "beside-it"))[1] < box(bar(page, "failed"))[1] < box(bar(page, "after"))[0]
    assert box(bar(page, "went-on"))[2] == box(bar(page, "failed"))[2] < box(bar(page, "beside-it"))[2]
    now, until = box(page.locator(".now").first)[0], box(bar(page, "live"))
    assert abs(until[1] - now) < 6
    assert abs(until[0] - box(bar(page, "went-on"))[0]) < 2  # both were there before the time that is shown
    assert box(page.get_by_role("link", name="next tick of soon"))[0] > now
    page.get_by_text("1h", exact=True).click()
    expect(bar(page, "failed")).to_have_count(0)
    expect(bar(page, "after")).to_be_visible()
    page.get_by_text("7d", exact=True).click()
    expect(bar(page, "long-over")).to_be_visible()
    assert "view=timeline&time=7d" in "&".join(sorted(page.url.partition("?")[2].split("&"), reverse=True))


def test_it_is_narrowed_kept_in_the_address_and_live(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(a_day)
    visit.go("/runs?view=timeline&job=daily&time=24h")
    expect(bar(page, "failed")).to_be_visible()
    expect(bar(page, "after")).to_have_count(0)
    expect(page.get_by_role("link", name="next tick of soon")).to_have_count(0)
    expect(page.get_by_label("Time", exact=True)).to_have_count(0)  # the timeline's own choice takes its place
    server.do(lambda served: run(served, "fresh", "Running", 1, None))
    expect(bar(page, "fresh")).to_have_attribute("data-color", "blue")
    server.do(lambda served: run_ended(served, "fresh"))
    expect(bar(page, "fresh")).to_have_attribute("data-color", "teal")
    bar(page, "fresh").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("fresh")
    page.go_back()
    expect(bar(page, "failed")).to_be_visible()
    page.get_by_role("link", name="List").click()
    expect(page.get_by_role("table", name="Runs")).to_be_visible()
    expect(page.get_by_label("Time", exact=True)).to_have_value("24h")


def run_ended(served: Served, name: str) -> None:
    job = served.fake.get("jobs", "default", name)
    conditions = [{**found, "status": "True", "reason": "Succeeded"} for found in job["status"]["conditions"]]
    status = {"conditions": conditions, "completionTime": second(time.time())}
    served.fake.patch("jobs", "default", name, {"status": status}, status=True)


def test_many_runs_are_fetched_and_drawn(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(
        lambda served: [
            served.job(f"run-{at:03}", graph=None, definitionRef={"name": f"job-{at % 9}"}) for at in range(700)
        ]
    )
    visit.go("/runs?view=timeline")
    expect(page.locator(".run-bar")).to_have_count(700)
    expect(page.locator(".timeline-row")).to_have_count(9)
