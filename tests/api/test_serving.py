"""What the operator serves over HTTP: whether it is well, and what it counts."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest

from api.driving import driving
from podgraph import health
from podgraph.health import serving


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_health_and_metrics() -> None:
    port = free_port()
    async with driving() as drive, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        assert drive.controller is not None
        await drive.controller.pods.synced.wait()
        async with serving(drive.controller, port):
            for path in ("/healthz", "/readyz"):
                async with session.get(path) as answer:
                    assert (answer.status, await answer.text()) == (200, "ok\n")
            async with session.get("/metrics") as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=")
                assert "podgraph_unfinished_jobs 0.0" in (await answer.text()).splitlines()


async def test_slow_and_many_connections_do_not_keep_probes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_CONNECTION_SECONDS", 0.3)
    monkeypatch.setattr(health, "_MOST_CONNECTIONS", 5)
    port = free_port()
    async with driving() as drive:
        assert drive.controller is not None
        async with serving(drive.controller, port):
            ends = []
            for begun in (
                b"",
                b"GET /met",
                b"GET / HTTP/1.1\r\nX-A: ",
                b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
                b"",
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(begun)
                ends.append((reader, writer))
            await asyncio.sleep(0.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            ends.append((reader, writer))  # one more than there is room for
            async with asyncio.timeout(5):
                for reader, writer in ends:
                    try:
                        await reader.read()
                    except ConnectionError:
                        pass
                    writer.close()
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                async with session.get("/healthz") as answer:
                    assert answer.status == 200
                async with session.get("/metrics", headers={"X-A": "a" * 100_000}) as answer:
                    assert answer.status == 400
