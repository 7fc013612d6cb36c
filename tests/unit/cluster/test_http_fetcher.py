"""Web pages for http sensors: what is answered, and every way to an address that may not be asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from podgraph.cluster import http_fetcher
from podgraph.cluster.http_fetcher import HttpFetcher
from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.http_policy import HttpPolicy, read_policy


class Site:
    """A server on this machine; `asked` has the headers of each request by path."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        app = web.Application()
        app.router.add_get("/{what:.*}", self.answer)
        self.server = TestServer(app)

    def url(self, path: str = "", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server.port}/{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        self.asked.append((what, dict(request.headers)))
        if what == "etag":
            if request.headers.get("If-None-Match") == '"1"':
                return web.Response(status=304)
            return web.Response(text="hello", headers={"ETag": '"1"'})
        if what == "large":
            return web.Response(body=b"x" * 2_000_000)
        if what == "slow":
            await asyncio.sleep(30)
        if what.startswith("to/"):
            return web.Response(status=302, headers={"Location": request.query["where"]})
        if what == "loop":
            return web.Response(status=307, headers={"Location": "/loop"})
        if what == "gone":
            return web.Response(status=404)
        return web.Response(text=f"this is {what}")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    await found.server.start_server()
    yield found
    await found.server.close()


def policy(*urls: str, networks: tuple[str, ...] = ("127.0.0.0/8",)) -> HttpPolicy:
    return read_policy(json.dumps({"allow": list(urls), "allowNetworks": list(networks)}))


async def refused(with_policy: HttpPolicy, url: str) -> tuple[str, str]:
    async with HttpFetcher(with_policy) as fetcher:
        with pytest.raises(DefinitionError) as caught:
            await fetcher.fetch(url, {})
    return caught.value.reason, caught.value.message


async def test_an_answer_and_its_etag(site: Site) -> None:
    async with HttpFetcher(policy(site.url())) as fetcher:
        first = await fetcher.fetch(site.url("etag"), {"X-Token": "t"})
        assert (first.body, first.etag) == (b"hello", '"1"')
        assert (await fetcher.fetch(site.url("etag"), {}, first.etag)).body is None
    assert site.asked[0][1]["X-Token"] == "t"
    assert site.asked[0][1]["Accept-Encoding"] == "identity"


async def test_bounds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = policy(site.url())
    assert (await refused(allowed, site.url("large")))[0] == "TooLarge"
    assert "status 404" in (await refused(allowed, site.url("gone")))[1]
    assert "redirects more than 3 times" in (await refused(allowed, site.url("loop")))[1]
    monkeypatch.setattr(http_fetcher, "_SECONDS", 0.2)
    assert (await refused(allowed, site.url("slow")))[0] == "Unreachable"
    url = site.url("x?token=secret")
    await site.server.close()
    reason, message = await refused(allowed, url)
    assert (reason, "secret" in message) == ("Unreachable", False)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0x1", "[::ffff:127.0.0.1]"],
)
async def test_no_way_to_write_an_address_of_this_machine(site: Site, host: str) -> None:
    url = site.url("x", host)
    reason, message = await refused(policy(url, networks=()), url)
    assert (reason, site.asked) in (("NotAllowed", []), ("Unreachable", [])), message


async def test_a_redirect_is_checked_like_the_first(site: Site) -> None:
    other = Site()
    await other.server.start_server()
    try:
        to_other = site.url(f"to/?where={other.url('x')}")
        reason, message = await refused(policy(site.url()), to_other)
        assert (reason, "is not in the chart value sensors.http.allow" in message) == ("NotAllowed", True)
        metadata = site.url("to/?where=http://169.254.169.254/latest")
        assert (await refused(policy(site.url(), "http://169.254.169.254"), metadata))[0] == "NotAllowed"
        assert (await refused(policy(site.url()), site.url("to/?where=file:///etc/passwd")))[0] == "InvalidUrl"
        assert other.asked == []

        async with HttpFetcher(policy(site.url(), other.url())) as fetcher:
            assert (await fetcher.fetch(to_other, {"X-Token": "t"})).body == b"this is x"
            assert "X-Token" not in other.asked[0][1]  # it is for the first server alone
            assert (await fetcher.fetch(site.url("to/?where=/y"), {"X-Token": "t"})).body == b"this is y"
            assert site.asked[-1][1]["X-Token"] == "t"
    finally:
        await other.server.close()


async def test_a_name_is_asked_at_the_address_that_was_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers with a public address first and then with a private one gains nothing."""
    answers = iter(["93.184.215.14", "127.0.0.1"])

    async def resolve(self: Any, host: str, port: int = 0, family: Any = None) -> list[dict[str, Any]]:
        return [{"hostname": host, "host": next(answers), "port": port, "family": 2, "proto": 0, "flags": 0}]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    url = site.url("x", "rebound.example")
    next(answers)
    reason, message = await refused(policy(url, networks=()), url)
    assert (reason, site.asked) == ("NotAllowed", [])
    assert message.startswith("rebound.example is 127.0.0.1, which is not a public address")


async def test_each_connection_goes_to_an_address_that_was_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding between two requests, by a redirect of a server to itself; and an answer with both kinds."""
    answers = [["127.0.0.1"], ["169.254.169.254"], ["10.0.0.1", "127.0.0.1"]]
    connected: list[str] = []

    async def resolve(self: Any, host: str, port: int = 0, family: Any = None) -> list[dict[str, Any]]:
        found = answers.pop(0)
        return [{"hostname": host, "host": item, "port": port, "family": 2, "proto": 0, "flags": 4} for item in found]

    begin = asyncio.get_running_loop().sock_connect

    async def connect(socket: Any, address: Any) -> None:
        connected.append(address[0])
        await begin(socket, address)

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
    monkeypatch.setattr("aiohttp.connector._DNSCacheTable.expired", lambda *_: True)  # as after its ten seconds
    url = site.url("to/?where=/y", "rebound.example")
    reason, message = await refused(policy(url), url)
    assert (reason, "rebound.example is 169.254.169.254" in message) == ("NotAllowed", True)
    async with HttpFetcher(policy(url)) as fetcher:
        assert (await fetcher.fetch(site.url("y", "rebound.example"), {})).body == b"this is y"
    assert set(connected) == {"127.0.0.1"}
    assert len(connected) == 2


async def test_a_proxy_of_the_environment_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with HttpFetcher(policy(site.url())) as fetcher:
        assert (await fetcher.fetch(site.url("x"), {})).body == b"this is x"


async def test_slow_answers_of_one_namespace_keep_no_other_waiting(site: Site) -> None:
    """Fifty sensors at a slow server had all connections, and those of other namespaces went out of time."""
    async with HttpFetcher(policy(site.url())) as fetcher:
        slow = [asyncio.create_task(fetcher.fetch(site.url("slow"), {}, "", "evil")) for _ in range(60)]
        await asyncio.sleep(0.2)
        found = await asyncio.wait_for(fetcher.fetch(site.url("x"), {}, "", "good"), 5)
        assert found.body == b"this is x"
        assert sum(path == "slow" for path, _ in site.asked) == 5
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
