"""What is done with many runs at once, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from web.browser import Visit
from web.serving import Beside, Served

pytestmark = pytest.mark.browser


def runs(served: Served) -> None:
    for name, state in (("a", "Succeeded"), ("b", "Failed"), ("c", "Running"), ("d", "Running"), ("e", "Succeeded")):
        served.job(name, state)


def canceled(served: Served) -> list[str]:
    return sorted(job["metadata"]["name"] for job in served.fake.objects("jobs") if job["spec"].get("cancel"))


def names(served: Served) -> list[str]:
    return sorted(job["metadata"]["name"] for job in served.fake.objects("jobs"))


def test_runs_are_chosen_one_by_one_through_and_all(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(runs)
    visit.go("/runs")
    count = page.get_by_test_id("chosen-count")
    page.get_by_label("Choose b").check()
    expect(count).to_have_text("1 run chosen")
    page.get_by_label("Choose d").click(modifiers=["Shift"])
    expect(count).to_have_text("3 runs chosen")
    page.get_by_label("Choose c").uncheck()
    expect(count).to_have_text("2 runs chosen")
    everything = page.get_by_label("Choose all runs that are listed")
    assert everything.evaluate("box => box.indeterminate")
    everything.check()
    expect(count).to_have_text("5 runs chosen")
    visit.shot("chosen-runs")
    server.do(lambda served: served.fake.delete("jobs", "default", "e"))
    expect(count).to_have_text("4 runs chosen")
    page.get_by_role("button", name="Choose none").click()
    expect(count).to_have_count(0)


def test_the_chosen_are_canceled_rerun_and_deleted(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(runs)
    visit.go("/runs")
    page.get_by_label("Choose all runs that are listed").check()
    page.get_by_role("button", name="Cancel (2)").click()
    page.get_by_role("button", name="No", exact=True).click()
    assert server.do(canceled) == []
    page.get_by_role("button", name="Cancel (2)").click()
    page.get_by_role("button", name="Cancel 2 runs").click()
    expect(page.get_by_text("Canceled 2 runs.")).to_be_visible()
    assert server.do(canceled) == ["c", "d"]

    page.get_by_label("Choose all runs that are listed").check()
    page.get_by_role("button", name="Re-execute (3)").click()
    page.get_by_role("menuitem", name="From failure in 1 run").click()
    page.get_by_role("button", name="Re-execute 1 run").click()
    expect(page.get_by_text("Launched a rerun of 1 run.")).to_be_visible()
    (rerun,) = (job for job in server.do(lambda served: served.fake.objects("jobs")) if "rerunOf" in job["spec"])
    assert (rerun["spec"]["rerunOf"]["name"], rerun["spec"]["rerunOf"]["steps"]) == ("b", "FromFailure")
    expect(page.get_by_label(f"Choose {rerun['metadata']['name']}")).to_be_visible()

    for name in ("a", "b", "e"):
        page.get_by_label(f"Choose {name}", exact=True).check()
    page.get_by_role("button", name="Delete (3)").click()
    page.get_by_role("button", name="Delete 3 runs").click()
    expect(page.get_by_text("Deleted 3 runs.")).to_be_visible()
    assert server.do(names) == sorted(["c", "d", rerun["metadata"]["name"]])


def test_what_is_refused_is_told_and_the_others_are_done(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(runs)
    visit.go("/runs")
    page.get_by_label("Choose c").check()
    page.get_by_label("Choose d").check()
    page.route("**/api/runs/default/d/cancel", lambda route: route.fulfill(
        status=403, json={"reason": "Forbidden", "message": "jane cannot patch jobs"}))  # fmt: skip
    page.get_by_role("button", name="Cancel (2)").click()
    page.get_by_role("button", name="Cancel 2 runs").click()
    expect(page.get_by_text("Canceled 1 run.")).to_be_visible()
    expect(page.get_by_text("Refused: d: jane cannot patch jobs")).to_be_visible()
    assert server.do(canceled) == ["c"]
