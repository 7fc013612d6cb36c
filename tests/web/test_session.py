"""Signing in, in a real browser, and that what others have written is only ever text there."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.server.sessions import Sessions
from web.browser import visiting
from web.serving import Served, serving_beside

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>'\"><script>alert(2)</script>javascript:alert(3)"


def people(served: Served) -> None:
    served.fake.people.tokens = {"t-jane": "jane", "t-max": "max"}
    served.fake.people.open = {"jane": {"team-a"}, "max": {"team-b"}}
    served.job("mine", namespace="team-a")
    served.job("theirs", namespace="team-b")


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Kubernetes token").fill(token)
    page.keyboard.press("Enter")


def test_sign_in_and_out(browser: Browser) -> None:
    with serving_beside(Sessions) as server, visiting(browser, server.url) as visit:
        page = visit.page
        server.do(people)
        visit.go("/runs/team-a/mine")
        token = page.get_by_label("Kubernetes token")
        expect(token).to_be_focused()
        page.keyboard.type("t-wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("the cluster does not accept this token")).to_be_visible()
        visit.shot("sign-in")
        token.fill("t-jane")
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("user")).to_have_text("jane")
        expect(page.get_by_role("heading", level=1)).to_contain_text("mine")
        visit.go("/runs")
        expect(page.get_by_role("link", name="mine", exact=True)).to_be_visible()
        expect(page.get_by_text("theirs")).to_have_count(0)
        kept = page.evaluate("JSON.stringify([location.href, document.cookie, {...localStorage}, {...sessionStorage}])")
        assert ("t-jane" in kept, "podgraph=" in kept) == (False, False)
        # What the token may do no more is known at the next question.
        server.do(lambda served: served.fake.people.tokens.clear())
        visit.go("/runs/team-a/mine")
        expect(page.get_by_label("Kubernetes token")).to_be_visible(timeout=45_000)
        server.do(lambda served: served.fake.people.tokens.update({"t-jane": "jane"}))
        page.get_by_label("Kubernetes token").fill("t-jane")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Kubernetes token")).to_have_value("")
        assert page.evaluate("fetch('/api/runs').then(a => a.status)") == 401


def test_each_person_has_launchpad_tabs_of_their_own(browser: Browser) -> None:
    with serving_beside(Sessions) as server, visiting(browser, server.url) as visit:
        page = visit.page
        server.do(people)
        selection = page.get_by_label("Op selection")

        visit.go("/launchpad")
        sign_in(page, "t-jane")
        selection.fill("*add_two")
        page.get_by_role("button", name="Sign out").click()
        sign_in(page, "t-max")
        expect(selection).to_have_value("")
        selection.fill("return_one")
        page.get_by_role("button", name="Sign out").click()
        sign_in(page, "t-jane")
        expect(selection).to_have_value("*add_two")


def test_what_was_told_to_one_who_signed_out_is_not_shown_to_the_next(browser: Browser) -> None:
    with serving_beside(Sessions) as server, visiting(browser, server.url) as visit:
        page = visit.page
        server.do(people)
        visit.go("/runs")
        sign_in(page, "t-jane")
        expect(page.get_by_role("link", name="mine")).to_be_visible()
        page.reload()
        expect(page.get_by_role("link", name="mine")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.route("**/api/runs/events**", lambda route: None)
        sign_in(page, "t-max")
        expect(page.get_by_test_id("user")).to_have_text("max")
        expect(page.get_by_role("heading", name="Runs")).to_be_visible()
        assert page.get_by_text("mine").count() == 0


def hostile(served: Served) -> None:
    served.fake.people.tokens = {"t": HOSTILE}
    served.fake.people.open = {HOSTILE: {""}}
    graph = Graph.of("j", [Op("one", description=HOSTILE), Op("two", (Input("x", (OutputRef("one"),)),))])
    job = served.job("hostile", "Failed", graph, code={"source": HOSTILE, "image": HOSTILE}, runConfig={"ops": HOSTILE})
    time = job["metadata"]["creationTimestamp"]
    condition = {
        "type": "Succeeded",
        "status": "False",
        "reason": HOSTILE,
        "message": HOSTILE,
        "lastTransitionTime": time,
    }
    finished = {**condition, "type": "Finished", "status": "True", "reason": "Failed"}
    step = {
        "state": "Failed", "reason": HOSTILE, "message": HOSTILE, "attempt": 1, "startTime": time,
        "outputs": {"result": f'"{HOSTILE[:40]}"'},
    }  # fmt: skip
    served.fake.patch(
        "jobs",
        "default",
        "hostile",
        {"status": {"conditions": [condition, finished], "steps": {"one": step}}},
        status=True,
    )
    served.pod(job, "one", f"{HOSTILE}\n\x1b[31m{HOSTILE}\n")
    served.fake.create(
        {
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}, "type": "Warning",
            "involvedObject": {"uid": job["metadata"]["uid"], "kind": "Job", "namespace": "default", "name": "hostile"},
            "reason": HOSTILE, "message": HOSTILE, "lastTimestamp": time,
        }
    )  # fmt: skip
    served.definition("hostile", opSelection=[HOSTILE], code={"source": HOSTILE})


def test_hostile_texts_are_text_everywhere(browser: Browser) -> None:
    with serving_beside(Sessions) as server, visiting(browser, server.url) as visit:
        page = visit.page
        page.on("dialog", lambda dialog: (visit.errors.append("a dialog opened"), dialog.dismiss()))
        server.do(hostile)
        visit.go("/runs")
        sign_in(page, "t")
        expect(page.get_by_test_id("user")).to_have_text(HOSTILE)
        expect(page.get_by_role("link", name="hostile", exact=True)).to_be_visible()
        visit.go("/runs/default/hostile?step=one")
        expect(page.get_by_role("log")).to_contain_text(HOSTILE)
        for tab in page.get_by_role("tab").all():
            tab.click()
            page.wait_for_timeout(150)
        for place in (
            "/jobs/default/hostile",
            "/launchpad?run=default/hostile",
            "/launchpad?definition=default/hostile",
        ):
            visit.go(place)
            page.wait_for_load_state("networkidle")
            for tab in reversed(page.get_by_role("tab").all()):  # those within a tab first: another takes them away
                tab.click()
                page.wait_for_timeout(150)
        # No element was made of any of it, and nothing ran (a breach of the policy would be in the console).
        assert page.locator("img[src=x]").count() == 0
