"""The page's server before the fake API server, as these tests ask it: by HTTP in their own loop, or in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from playwright.sync_api import Browser

from podgraph.server.app import page_is_built
from web.browser import Visit, visiting
from web.serving import Beside, Served, serving, serving_beside


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server that runs in the test's loop."""
    async with serving() as found:
        yield found


@pytest.fixture
async def http(served: Served) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that asks as the page does."""
    async with aiohttp.ClientSession(base_url=served.url, headers={"Origin": served.url}) as session:
        yield session


@pytest.fixture(scope="module", name="browser")
def browser_with_a_page(browser: Browser) -> Browser:
    """A browser, when there is a page to show in it."""
    if not page_is_built():
        pytest.fail("the page is not built: run make web", pytrace=False)
    return browser


@pytest.fixture
def server() -> Iterator[Beside]:
    """A server in a thread of its own."""
    with serving_beside() as found:
        yield found


@pytest.fixture
def visit(browser: Browser, server: Beside) -> Iterator[Visit]:
    """A window that is open before that server."""
    with visiting(browser, server.url) as opened:
        yield opened
