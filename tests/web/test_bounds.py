"""Requests to the page's server that are slow, large, many or malformed: none keeps the others from being served."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from podgraph.server import connections, security
from web.serving import Served, browser_of, serving


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as found:
        yield found


@contextlib.asynccontextmanager
async def connected(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes the connection."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def fine(served: Served) -> None:
    async with browser_of(served) as http, http.get("/api/runs") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: "])
async def test_a_head_that_does_not_come(served: Served, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.2)
    async with connected(served) as (reader, writer):
        writer.write(begun)
        ending = asyncio.create_task(ended(reader))
        while not ending.done():  # a byte now and then does not help
            if begun:
                with contextlib.suppress(ConnectionError):
                    writer.write(b"a")
            await asyncio.sleep(0.05)
        assert await ending == b""
    await fine(served)


async def test_a_second_head_that_does_not_come(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.2)
    async with connected(served) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea")
        assert (await ended(reader)).startswith(b"HTTP/1.1 200")


async def test_an_open_stream_is_not_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(security, "_BODY_SECONDS", 0.05)
    async with browser_of(served) as http, http.get("/api/runs/events") as answer:
        await answer.content.readuntil(b"\n\n")
        await asyncio.sleep(0.5)
        served.job("late")
        async with asyncio.timeout(10):
            assert b"late" in await answer.content.readuntil(b"late")


async def test_a_body_that_does_not_come(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "_BODY_SECONDS", 0.3)
    head = f"POST /api/runs HTTP/1.1\r\nHost: {served.url[7:]}\r\nOrigin: {served.url}\r\nContent-Length: 99\r\n"
    async with connected(served) as (reader, writer):
        writer.write(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
        assert (await ended(reader)).startswith(b"HTTP/1.1 408")
    await fine(served)


async def test_a_head_without_end_and_one_that_is_too_large(served: Served) -> None:
    async with connected(served) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET / HTTP/1.1\r\n")
            for number in range(40):
                writer.write(f"X-{number}: ".encode() + b"a" * 9_000 + b"\r\n")
                await writer.drain()
        assert b"200 OK" not in await ended(reader)
    await fine(served)


async def test_too_many_connections(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 3)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(connected(served))
        await asyncio.sleep(0.1)
        reader, _ = await stack.enter_async_context(connected(served))
        assert await ended(reader) == b""
    await asyncio.sleep(0.1)
    await fine(served)


@pytest.mark.parametrize("body", ["[" * 1_000_000, '{"a":' * 300_000, "1" * 1_000_000, '"\\ud800"'])
async def test_json_that_is_deep_or_odd(served: Served, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    async with browser_of(served) as http, http.post("/api/check", data=body, headers=headers) as answer:
        assert answer.status in (400, 422)
    await fine(served)
