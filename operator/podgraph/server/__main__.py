"""The page's server in a cluster, as the chart runs it: `python3 -m podgraph.server`.

Without `auth` it listens only on the pod's loopback address. Users reach it with `kubectl port-forward`, so only users
who may forward a port into its namespace can use it, and other pods cannot. With `auth` token or proxy it listens on
all addresses.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import uvicorn

from podgraph.cluster.connection import connect, login
from podgraph.cluster.impersonation import UserClients
from podgraph.cluster.ui_client import UiClient
from podgraph.definition.errors import DefinitionError
from podgraph.server.app import create_app, served_with
from podgraph.server.security import LOCAL_HOSTS
from podgraph.server.settings import auth_of, words
from podgraph.server.state import State

__all__ = ["main"]

PORT = 3000
LEVELS = 30_000  # the API server accepts objects with up to 10,000 levels; one of them must not break the lists


async def serve() -> None:
    """Serve until a signal arrives. `PODGRAPH_NAMESPACE` is the namespace to show; all when empty."""
    settings, info = os.environ, login()
    async with UserClients(info) as acting, connect(info) as session:
        auth = auth_of(settings, acting)
        state = State(
            UiClient(session), settings.get("PODGRAPH_NAMESPACE", ""), settings.get("PODGRAPH_STEP_IMAGE", ""), auth
        )
        app = create_app(state, [*LOCAL_HOSTS, *words(settings.get("PODGRAPH_UI_HOSTS", ""))])
        host, port = "127.0.0.1" if auth.mode == "none" else "", int(settings.get("PODGRAPH_UI_PORT", PORT))
        await uvicorn.Server(served_with(app, host=host, port=port, timeout_graceful_shutdown=5)).serve()


def main() -> int:
    """Run the server; return 2 if its settings are invalid."""
    sys.setrecursionlimit(LEVELS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve())
    except DefinitionError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
