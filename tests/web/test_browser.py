"""The page in a real browser before the fake API server: what a real cluster would take long to have."""

from __future__ import annotations

import gzip

import pytest
from playwright.sync_api import Response, expect

from podgraph.definition.graph import Graph, Op
from web.browser import Visit
from web.serving import Beside, Served

pytestmark = pytest.mark.browser


def test_of_thousands_of_runs_only_those_in_view_are_drawn(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(lambda served: [served.job(f"run-{number:04}", graph=None) for number in range(3000)])
    visit.go("/runs")
    expect(page.get_by_test_id("run-count")).to_have_text("3,000")
    seen: set[str] = set()
    for _ in range(80):
        names = page.locator("[role=rowgroup] [role=row] a").all_inner_texts()
        assert len(names) < 100
        seen |= set(names)
        page.locator("[role=rowgroup]").evaluate("e => e.scrollBy(0, e.clientHeight * 6)")
        page.wait_for_timeout(60)
        if "run-0000" in names:
            break
    assert "run-0000" in seen
    page.locator("[role=rowgroup]").evaluate("e => e.scrollTo(0, 0)")
    server.do(lambda served: served.job("the-newest", "Running"))
    expect(page.get_by_role("link", name="the-newest")).to_be_visible()
    expect(page.get_by_test_id("run-count")).to_have_text("3,001")
    page.get_by_label("Filter runs").fill("run-0042")
    expect(page.get_by_text("run-0042")).to_be_visible()
    assert page.locator("[role=rowgroup] [role=row]").count() == 1


def test_a_run_of_a_thousand_steps(visit: Visit, server: Beside) -> None:
    page = visit.page
    graph = Graph.of("big", [Op(f"op_{n}", after=(f"op_{n - 10}",) if n >= 10 else ()) for n in range(1000)])

    def make(served: Served) -> None:
        served.job("big", "Running", graph)
        steps = {f"op_{n}": {"state": "Succeeded" if n < 500 else "Pending"} for n in range(1000)}
        served.fake.patch("jobs", "default", "big", {"status": {"steps": {"one": None, **steps}}}, status=True)

    server.do(make)
    visit.go("/runs/default/big")
    expect(page.get_by_role("button", name="op_0", exact=True)).to_be_visible()
    assert page.locator("[data-step]").count() < 100
    page.get_by_label("Find steps").fill("op_99")
    expect(page.locator("[data-step]")).to_have_count(11)
    page.get_by_text("Graph", exact=True).click()
    expect(page.locator("[data-op=op_5]")).to_be_visible()  # it opens at its beginning
    assert page.locator("[data-op]").count() < 200


def test_the_jobs_page_finds_draws_and_launches(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(lambda served: (served.definition("good"), served.definition("bad", "False")))
    visit.go("/jobs")
    expect(page.get_by_role("row").filter(has_text="bad")).to_contain_text("Not ready")
    page.get_by_role("link", name="good").click()
    page.get_by_label("Find ops").fill("two")
    expect(page.locator(".op-node.found")).to_have_attribute("data-op", "two")
    page.locator("[data-op=one]").click()
    expect(page.get_by_test_id("op-panel")).to_contain_text("The first.")
    expect(page.get_by_label("config schema", exact=True)).to_contain_text('"integer"')
    visit.shot("job-definition")
    page.get_by_role("link", name="Open in Launchpad").click()
    launch = page.get_by_role("button", name="Launch Run")
    expect(page.get_by_test_id("problems")).to_contain_text("ops.one")
    expect(launch).to_have_attribute("aria-disabled", "true")
    page.get_by_label("Op selection").fill("three")
    expect(launch).to_have_attribute("aria-disabled", "false")
    launch.click()
    expect(page.get_by_role("heading", name="good-")).to_be_visible()
    (job,) = server.do(lambda served: served.fake.objects("jobs"))
    assert (job["spec"]["definitionRef"], job["spec"]["opSelection"]) == ({"name": "good"}, ["three"])


def test_a_deleted_run_is_said_to_be_gone(visit: Visit, server: Beside) -> None:
    server.do(lambda served: served.job("a", "Running"))
    visit.go("/runs/default/a")
    expect(visit.page.get_by_role("button", name="one", exact=True)).to_be_visible()
    server.do(lambda served: served.fake.delete("jobs", "default", "a"))
    expect(visit.page.get_by_text("Run a not found in namespace default")).to_be_visible()


def test_the_first_load_is_small(visit: Visit) -> None:
    scripts: dict[str, int] = {}

    def loaded(response: Response) -> None:
        if response.url.endswith(".js"):
            scripts[response.url] = len(gzip.compress(response.body()))

    visit.page.on("response", loaded)
    visit.go("/runs")
    expect(visit.page.get_by_text("No runs yet.")).to_be_visible()
    assert 0 < sum(scripts.values()) < 500_000
