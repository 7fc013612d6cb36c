"""No screen of the page keeps anyone out, in light or in dark colors; each can be reached by keyboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from web.accessibility import barriers
from web.browser import visiting
from web.scenes import busy_team
from web.screenshots import SCREENS
from web.serving import Beside, serving_beside

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server() -> Iterator[Beside]:
    with serving_beside() as found:
        found.do(busy_team)
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_keeps_nobody_out(browser: Browser, server: Beside, screen: str, scheme: str) -> None:
    path, ready = SCREENS[screen]
    with visiting(browser, server.url, scheme) as visit:
        visit.go(path)
        ready(visit.page)
        expect(visit.page.get_by_role("heading", level=1)).to_have_count(1)
        found = barriers(visit.page)
    assert not found, "\n".join(found)


def _tab_to(page: Page, text: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if (
            page.evaluate("(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent)")
            == text
        ):
            return
    raise AssertionError(f"the Tab key does not come to {text!r}")


def test_a_run_is_launched_by_keyboard_alone(browser: Browser, server: Beside) -> None:
    with visiting(browser, server.url) as visit:
        page = visit.page
        visit.go("/jobs")
        expect(page.get_by_role("link", name="daily-sales", exact=True).first).to_be_visible()
        _tab_to(page, "daily-sales")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="daily-sales")).to_be_visible()
        _tab_to(page, "Open in Launchpad")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Launch Run")).to_have_attribute("aria-disabled", "false")
        _tab_to(page, "Launch Run")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("daily-sales-")
