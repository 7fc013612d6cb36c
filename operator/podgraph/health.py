"""The health and metrics endpoints of the operator. Any pod may reach the port."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import cast

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from podgraph.reconcile.jobs.controller import Controller

__all__ = ["serving"]

_WATCH_STALE_SECONDS = 150.0
_MOST_CONNECTIONS, _CONNECTION_SECONDS = 500, 15.0


@contextlib.asynccontextmanager
async def serving(controller: Controller, port: int | None) -> AsyncIterator[None]:
    """Serve /healthz, /readyz and /metrics on a port while the block runs; without a port, serve nothing."""
    if port is None:
        yield
        return

    async def healthz(_: web.Request) -> web.Response:
        silence = time.monotonic() - controller.pods.last_event_at
        if silence > _WATCH_STALE_SECONDS:
            return web.Response(status=500, text=f"no pod event was received for {silence:.0f} s\n")
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        ready = controller.pods.synced.is_set()
        return web.Response(status=200 if ready else 503, text="ok\n" if ready else "listing pods\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=controller.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    server = await asyncio.get_running_loop().create_server(_bounded(cast(web.Server, runner.server)), port=port)
    try:
        yield
    finally:
        server.close()
        await runner.cleanup()


def _bounded(make: web.Server) -> Callable[[], asyncio.BaseProtocol]:
    """Return a protocol factory that limits the number of connections and the time of each connection.

    A response takes only milliseconds, so the limits affect only clients that misbehave.
    """

    class Refused(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            cast(asyncio.Transport, transport).abort()

    def build() -> asyncio.BaseProtocol:
        if len(make.connections) >= _MOST_CONNECTIONS:
            return Refused()
        made = make()
        asyncio.get_running_loop().call_later(_CONNECTION_SECONDS, made.force_close)
        return made

    return build
