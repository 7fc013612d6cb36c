"""What the operator serves over HTTP: whether it is well, and what it counts."""

from __future__ import annotations

import socket

import aiohttp

from api.driving import driving
from podgraph.operator import _serving


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_health_and_metrics() -> None:
    port = free_port()
    async with driving() as drive, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        assert drive.controller is not None
        await drive.controller.pods.synced.wait()
        async with _serving(drive.controller, port):
            for path in ("/healthz", "/readyz"):
                async with session.get(path) as answer:
                    assert (answer.status, await answer.text()) == (200, "ok\n")
            async with session.get("/metrics") as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=")
                assert "podgraph_unfinished_jobs 0.0" in (await answer.text()).splitlines()
