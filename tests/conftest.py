"""What holds for all tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The same examples each time, and no time limit for one: a busy machine is no failure.
settings.register_profile("podgraph", deadline=None, derandomize=True)
settings.load_profile("podgraph")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Have asynchronous tests run on the operator's own loop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one file; not of the session, as no loop of asyncio can run beside its driver."""
    from web.browser import NO_BROWSER, chromium, launched  # most tests need none of it

    if not chromium():
        pytest.fail(NO_BROWSER, pytrace=False)
    with launched() as found:
        yield found
