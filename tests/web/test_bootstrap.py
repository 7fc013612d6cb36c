"""What the page's HTML tells by itself: who is asking, and the begin of the list of runs."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.sync_api import expect

from podgraph.server import bootstrap
from podgraph.server.proxies import Proxy, ProxyRules
from podgraph.server.sessions import Sessions
from podgraph.server.users import User
from web.browser import Visit
from web.serving import Beside, browser_of, serving, sign_in

Obj = dict[str, Any]


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A page that is nothing but its data block."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("__CSP_NONCE__<script id=told type=application/json>__TOLD__</script>")
    return tmp_path


async def told_at(http: aiohttp.ClientSession, path: str) -> Obj:
    """Return what a browser finds in the block, which ends where its end first stands."""
    async with http.get(path) as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        found = re.fullmatch(r".*<script id=told [^>]*>(.*?)</script>", await answer.text(), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def names(said: Obj) -> list[str]:
    return [run["name"] for run in said["runs"]["runs"]]


async def test_the_begin_of_the_list_is_told_where_the_list_is_opened(static: Path) -> None:
    async with serving(static=static) as served, browser_of(served) as http:
        for number in range(70):
            served.job(f"run-{number:02}")
        await served.fake.until(lambda: len(served.state.jobs.items) == 70)
        for path in ("/runs", "/"):
            said = await told_at(http, path)
            assert said["session"] == {"mode": "none", "user": ""}
            assert (names(said), said["runs"]["total"]) == ([f"run-{n:02}" for n in range(69, 9, -1)], 70)
        for path in ("/runs?state=Failed", "/jobs", "/runs/default/run-00"):
            assert (await told_at(http, path))["runs"] is None


async def test_it_is_what_the_visitor_may_see(static: Path) -> None:
    async with serving(auth=Sessions, static=static) as served, browser_of(served) as http:
        served.fake.people.tokens, served.fake.people.open = {"t-jane": "jane"}, {"jane": {"team-a"}}
        for namespace, name in (("team-a", "mine"), ("team-b", "theirs")):
            served.job(name, namespace=namespace)
        await served.fake.until(lambda: len(served.state.jobs.items) == 2)
        assert await told_at(http, "/runs") == {"session": {"mode": "token", "user": None}, "runs": None}
        await sign_in(http, "t-jane")
        said = await told_at(http, "/runs")
        assert (said["session"]["user"], names(said)) == ("jane", ["mine"])
        served.fake.people.tokens.clear()
        assert (await told_at(http, "/jobs"))["session"]["user"] == "jane"  # the API will say that it is over


async def test_what_people_are_called_is_text(static: Path) -> None:
    hostile = "</script><script>alert(1)</script>&<!--__CSP_NONCE__"
    async with serving(auth=Sessions, static=static) as served, browser_of(served) as http:
        served.fake.people.tokens, served.fake.people.open = {"t": hostile}, {hostile: {""}}
        job = served.job("hostile")
        conditions = [{**condition, "message": hostile} for condition in job["status"]["conditions"]]
        served.fake.patch("jobs", "default", "hostile", {"status": {"conditions": conditions}}, status=True)
        await served.fake.until(lambda: len(served.state.jobs.items) == 1)
        await sign_in(http, "t")
        said = await told_at(http, "/runs")
        assert (said["session"]["user"], said["runs"]["runs"][0]["message"]) == (hostile, hostile)


async def test_what_is_not_known_at_once_is_left_for_the_page_to_ask_for(
    static: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(static=static) as served, browser_of(served) as http:
        served.state.jobs.synced.clear()
        assert await told_at(http, "/runs") == {"session": {"mode": "none", "user": ""}, "runs": None}
        served.state.jobs.synced.set()
        monkeypatch.setattr(bootstrap, "_SECONDS", 0.01)
        monkeypatch.setattr(User, "seen", lambda *_: asyncio.sleep(60))
        assert (await told_at(http, "/runs"))["runs"] is None
    # It is for the API to say that this is not the proxy.
    rules = ProxyRules(user_header="X-User", secret="0123456789abcdef", networks=[ipaddress.ip_network("10.0.0.0/8")])
    async with serving(auth=lambda acting: Proxy(acting, rules), static=static) as served, browser_of(served) as http:
        assert await told_at(http, "/runs") == {"session": None, "runs": None}


@pytest.mark.browser
def test_the_list_is_drawn_from_it_before_the_server_tells_more(visit: Visit, server: Beside) -> None:
    page = visit.page
    server.do(lambda served: [served.job(f"run-{number:02}") for number in range(70)])
    page.route("**/api/**", lambda route: None)  # no answer
    visit.go("/runs")
    expect(page.get_by_role("link", name="run-69")).to_be_visible()
    expect(page.get_by_test_id("run-count")).to_have_text("70")
    expect(page.get_by_label("Filter runs")).to_be_visible()
    page.unroute_all()
    page.reload()
    page.locator("[role=rowgroup]").evaluate("e => e.scrollTo(0, e.scrollHeight)")
    page.wait_for_function("document.querySelector('[role=rowgroup]').firstChild.clientHeight >= 70 * 40")
    page.locator("[role=rowgroup]").evaluate("e => e.scrollTo(0, e.scrollHeight)")
    expect(page.get_by_role("link", name="run-00")).to_be_visible()
