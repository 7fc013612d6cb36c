"""The page's screens in a real browser before the fake API server: what each is for, done by hand."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from web.browser import Visit
from web.scenes import busy_team
from web.serving import Beside

pytestmark = pytest.mark.browser


@pytest.fixture
def server(server: Beside) -> Beside:
    server.do(busy_team)
    return server


def test_runs_are_narrowed_by_state_job_tag_and_time(visit: Visit) -> None:
    page = visit.page
    visit.go("/runs")
    count = page.get_by_test_id("run-count")
    expect(count).to_have_text("62")
    page.get_by_role("combobox", name="Job").click()
    page.get_by_role("option", name="train-forecast").click()
    expect(count).to_have_text("20")
    page.get_by_role("combobox", name="States").click()
    page.get_by_role("option", name="Failed").click()
    page.keyboard.press("Escape")
    expect(count).to_have_text("3")
    page.get_by_title("Only runs with priority=low").first.click()
    assert "tag=priority%3Dlow" in page.url
    page.get_by_label("Time").select_option("1h")
    expect(page.get_by_text("No matching runs.")).to_be_visible()
    page.reload()  # what narrows a list is in its address
    expect(page.get_by_text("No matching runs.")).to_be_visible()
    page.get_by_role("button", name="Show all runs").click()
    expect(count).to_have_text("62")
    page.get_by_role("row").filter(has_text="hourly-sales-").first.get_by_role(
        "link", name="hourly-sales", exact=True
    ).click()
    expect(page.get_by_role("heading", name="hourly-sales")).to_be_visible()


def test_schedules_tell_their_ticks_and_are_suspended(visit: Visit, server: Beside) -> None:
    page = visit.page
    visit.go("/schedules")
    row = page.get_by_role("row").filter(has_text="hourly-sales")
    expect(row).to_contain_text("0 * * * * Europe/Berlin")
    expect(row.get_by_role("img")).to_have_attribute("aria-label", "last ticks: 8 created, 1 skipped, 1 failed")
    switch = page.get_by_role("switch", name="hourly-sales makes Jobs")
    page.locator("label").filter(has=switch).or_(switch).first.click()
    expect(row).to_contain_text("Suspended")
    spec = server.do(lambda served: served.fake.get("jobschedules", "default", "hourly-sales")["spec"])
    assert spec["suspend"] is True
    row.get_by_role("link", name="hourly-sales", exact=True).click()
    ticks = page.get_by_role("table", name="Ticks")
    expect(ticks.locator("[data-outcome=Skipped]")).to_contain_text("Forbid")
    expect(ticks.locator("[data-outcome=Failed]")).to_contain_text("did you mean 'tick.date'")
    expect(page.get_by_role("list", name="Next ticks").get_by_role("listitem")).to_have_count(5)
    page.get_by_label("Time of the tick").fill("tomorrow")
    page.get_by_role("button", name="Try a tick").click()
    expect(page.get_by_text("'tomorrow' is not a valid time")).to_be_visible()
    page.get_by_label("Time of the tick").fill("2026-02-28T12:00:00Z")
    page.get_by_role("button", name="Try a tick").click()
    expect(page.get_by_label("tried job", exact=True)).to_contain_text("day: '2026-02-28'")
    before = server.do(lambda served: len(served.fake.objects("jobs")))
    page.get_by_role("tab", name="Runs").click()
    expect(page.get_by_test_id("run-count")).to_have_text("40")
    page.get_by_role("button", name="Create this Job").click()
    expect(page.get_by_role("heading", name="hourly-sales-manual-")).to_be_visible()
    assert server.do(lambda served: len(served.fake.objects("jobs"))) == before + 1


def test_a_sensor_is_tried_and_a_job_knows_what_makes_it(visit: Visit, server: Beside) -> None:
    page = visit.page
    visit.go("/jobs/default/train-forecast")
    page.get_by_role("tab", name="Schedules and sensors (2)").click()
    expect(page.get_by_role("table", name="Schedules")).to_contain_text("train-weekly")
    page.get_by_role("tab", name="Runs", exact=True).click()
    expect(page.get_by_test_id("run-count")).to_have_text("20")
    page.get_by_role("tab", name="Schedules and sensors (2)").click()
    page.get_by_role("link", name="after-sales").click()
    page.get_by_label("Object name").fill("hourly-sales-1")
    page.get_by_role("button", name="Try a tick").click()
    expect(page.get_by_label("tried job", exact=True)).to_contain_text("name: train-forecast")


def test_prepared_runs_are_tabs_that_stay_in_the_browser(visit: Visit) -> None:
    page = visit.page
    visit.go("/launchpad?definition=default/daily-sales")
    tabs = page.get_by_role("navigation", name="Prepared runs").get_by_role("listitem")
    expect(page.get_by_text("12 of 12 ops")).to_be_visible()
    expect(tabs).to_have_count(1)
    page.get_by_label("Op selection").fill("load_orders+")
    page.get_by_label("Steps at once").fill("3")
    expect(page.get_by_text("2 of 12 ops")).to_be_visible()
    page.get_by_role("button", name="New tab").click()
    expect(page.get_by_text("12 of 12 ops")).to_be_visible()
    page.get_by_role("button", name="daily-sales", exact=True).last.dblclick()
    page.get_by_label("Name of the tab").fill("all of it")
    page.keyboard.press("Enter")
    page.reload()
    expect(tabs).to_have_count(2)
    expect(tabs.nth(1)).to_contain_text("all of it")
    page.get_by_role("button", name="daily-sales", exact=True).click()
    expect(page.get_by_label("Op selection")).to_have_value("load_orders+")
    expect(page.get_by_label("Steps at once")).to_have_value("3")
    page.get_by_role("button", name="Close daily-sales").click()
    expect(tabs).to_have_count(1)
    expect(page.get_by_label("Op selection")).to_have_value("")
    page.get_by_role("button", name="Reopen daily-sales").click()
    expect(page.get_by_label("Op selection")).to_have_value("load_orders+")
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_role("heading", name="daily-sales-")).to_be_visible()


def test_config_is_scaffolded_and_rid_of_what_has_no_place(visit: Visit, server: Beside) -> None:
    page = visit.page
    visit.go("/launchpad?definition=default/daily-sales")
    editor = page.get_by_role("textbox", name="Run config", exact=True)
    expect(editor).to_contain_text("postgres")
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.insert_text("ops:\n  load_orders:\n    config:\n      days: 3\n      region: mars\n")
    problems = page.get_by_test_id("problems")
    expect(problems).to_contain_text("ops.load_orders.config.region must be one of")
    problems.get_by_role("button", name="config.region").click()
    expect(page.locator(".cm-activeLine")).to_contain_text("region: mars")  # it jumps to the line
    page.get_by_role("button", name="Remove extra config").click()
    expect(editor).not_to_contain_text("days")
    launch = page.get_by_role("button", name="Launch Run")
    expect(launch).to_have_attribute("aria-disabled", "true")
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    # The job's own config lies below: nothing is missing.
    expect(page.get_by_role("button", name="Scaffold missing config")).to_be_disabled()
    page.get_by_role("button", name="Scaffold all config").click()
    expect(editor).to_contain_text("limit:")
    expect(launch).to_have_attribute("aria-disabled", "false")


def test_what_happened_in_a_run_is_found_by_words_and_levels(visit: Visit) -> None:
    page = visit.page
    visit.go("/runs/default/daily-sales-7c1e")
    events = page.get_by_role("table", name="Events")
    expect(events).to_contain_text("RunStarted")
    words = page.get_by_label("Filter events")
    words.fill("step:train type:failed")
    expect(events.locator("[data-level=error]")).to_have_count(1)
    expect(events).to_contain_text("MemoryError")
    expect(events.locator("[data-level=warning]")).to_have_count(4)  # of its three pods, and the Kubernetes Event
    page.get_by_text("error", exact=True).click()
    expect(events.locator("[data-level=error]")).to_have_count(0)
    page.reload()
    expect(words).to_have_value("step:train type:failed")
    expect(events.locator("[data-level=warning]")).to_have_count(4)
    events.get_by_role("button", name="train_model").first.click()
    expect(page.get_by_test_id("step-panel")).to_contain_text("attempt 3")
    expect(page.locator("[data-step=train_model] .bar.retried")).to_have_count(2)
    expect(page.locator("[data-step=train_model] .bar.prepare")).to_have_count(3)


def test_steps_are_shown_by_state_and_run_again_from_there_on(visit: Visit, server: Beside) -> None:
    page = visit.page
    visit.go("/runs/default/daily-sales-7c1e?view=graph")
    expect(page.locator("[data-op=train_model]")).to_have_attribute("data-state", "Failed")
    page.get_by_text("Timeline", exact=True).click()
    page.get_by_title("Show only steps that are Failed").click()
    expect(page.locator("[data-step]")).to_have_count(1)
    page.get_by_title("Show all steps").click()
    page.get_by_label("Select forecast").check()
    page.get_by_role("button", name="More ways to re-execute").click()
    page.get_by_role("menuitem", name="From selected steps").click()
    expect(page.get_by_text("rerun of")).to_contain_text("daily-sales-7c1e")
    name = page.url.rsplit("/", 1)[1]
    assert server.do(lambda served: served.fake.get("jobs", "default", name)["spec"]["opSelection"]) == ["forecast*"]


def test_an_open_page_goes_on_when_the_server_is_back(visit: Visit, server: Beside) -> None:
    page = visit.page
    visit.go("/runs/default/daily-sales-live")
    sku = page.locator("[data-step='features.by_sku']")
    expect(sku).to_have_attribute("data-state", "Running")
    visit.away = True
    with server.away():
        expect(page.get_by_text("The server does not respond. Retrying.")).to_be_visible()
        done = {
            "status": {"steps": {"features.by_sku": {"state": "Succeeded", "completionTime": "2026-11-26T12:00:00Z"}}}
        }
        server.do(lambda served: served.fake.patch("jobs", "default", "daily-sales-live", done, status=True))
    expect(sku).to_have_attribute("data-state", "Succeeded")
    expect(page.get_by_text("The server does not respond")).to_be_hidden()
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.get_by_test_id("run-count")).to_have_text("62")
    with server.away():
        expect(page.get_by_text("not live, connecting…")).to_be_visible()
        server.do(lambda served: served.job("meanwhile"))
    expect(page.get_by_role("link", name="meanwhile")).to_be_visible()
    expect(page.get_by_text("not live")).to_be_hidden()
