"""The page's server in a cluster, as the chart runs it: `python3 -m podgraph.server`.

Without `auth` it listens on the pod's own loopback address alone, so that it is reached by `kubectl port-forward` and
no other way: whoever may forward a port into its namespace may use it, and no other pod of the cluster can. Where
people sign in, or a proxy says who they are, it listens on all addresses.
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
LEVELS = 30_000  # the API server takes objects of up to 10,000 levels: one of them is not to hide all others


async def serve() -> None:
    """Serve until told to end. `PODGRAPH_NAMESPACE` is the one that is shown, all when it is empty."""
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
    """Run it; 2 when its settings are wrong."""
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
