"""The page's server in a cluster, as the chart runs it: `python3 -m podgraph.server`.

It listens on the pod's own loopback address alone, so that it is reached by `kubectl port-forward` and no other way:
whoever may forward a port into its namespace may use it, and no other pod of the cluster can.
"""

from __future__ import annotations

import asyncio
import logging
import os

import uvicorn

from podgraph.cluster.connection import connect, login
from podgraph.cluster.page import PageClient
from podgraph.server.app import create_app
from podgraph.server.security import LOCAL_HOSTS
from podgraph.server.state import State

__all__ = ["main"]

PORT = 3000


async def serve() -> None:
    """Serve until told to end. `PODGRAPH_NAMESPACE` is the one that is shown, all when it is empty."""
    async with connect(login()) as session:
        settings = os.environ
        state = State(
            PageClient(session), settings.get("PODGRAPH_NAMESPACE", ""), settings.get("PODGRAPH_STEP_IMAGE", "")
        )
        hosts = [host for host in settings.get("PODGRAPH_UI_HOSTS", "").split(",") if host]
        app = create_app(state, [*LOCAL_HOSTS, *hosts])
        config = uvicorn.Config(
            app, host="127.0.0.1", port=int(settings.get("PODGRAPH_UI_PORT", PORT)), log_level="warning",
            access_log=False, timeout_graceful_shutdown=5,
        )  # fmt: skip
        await uvicorn.Server(config).serve()


def main() -> None:
    """Run it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve())


if __name__ == "__main__":
    main()
