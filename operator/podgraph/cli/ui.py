"""`podgraph ui`: the web page, served on this machine with kubectl's permissions."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from podgraph.cli.options import Target, on_cluster
from podgraph.definition.errors import DefinitionError

__all__ = ["ui"]

_ADDRESS = "127.0.0.1"  # nobody else may use the permissions of the user who started it


def _serve(
    target: Target,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="the port; 0 for any free port")] = 3000,
    no_open: Annotated[bool, typer.Option("--no-open", help="do not open a browser")] = False,
    everything: Annotated[bool, typer.Option("--all-namespaces", "-A", help="show all namespaces")] = False,
    host: Annotated[list[str] | None, typer.Option("--allow-host", help="an additional host name of the page")] = None,
) -> int:
    """Serve the web page on this machine for the cluster of the kubeconfig, until Ctrl-C."""
    try:
        import aiohttp  # noqa: F401
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise DefinitionError(
            "NotInstalled", f"the page requires {error.name!r}; install it with: pip install 'podgraph[cli,ui]'"
        ) from None
    from podgraph.server.app import page_is_built

    if not page_is_built():
        raise DefinitionError("NotBuilt", "this installation does not contain the built page; run: make web")
    namespace = target.open().namespace
    listener = _listen(port)
    url = f"http://localhost:{listener.getsockname()[1]}/"
    print(f"podgraph is at {url}  (press Ctrl-C to stop)", flush=True)
    if not no_open and sys.stdout.isatty():
        webbrowser.open(url)
    _run(listener, "" if everything else namespace, host or [])
    return 0


ui = on_cluster(_serve)


def _listen(port: int) -> socket.socket:
    """Bind the port. Raises DefinitionError if it is in use."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_ADDRESS, port))
    except OSError as error:
        listener.close()
        raise DefinitionError(
            "PortTaken", f"cannot listen on {_ADDRESS}:{port}: {error.strerror}; choose another with --port"
        ) from None
    return listener


def _run(listener: socket.socket, namespace: str, hosts: Sequence[str]) -> None:
    import asyncio

    import uvicorn
    from kubernetes import client

    from podgraph.cluster.ui_client import UiClient
    from podgraph.cluster.ui_session import page_session
    from podgraph.server.app import create_app, served_with
    from podgraph.server.security import LOCAL_HOSTS
    from podgraph.server.state import State

    settings: Any = client.Configuration.get_default_copy()  # as target.open() configured it

    def authorization() -> str:
        token = settings.get_api_key_with_prefix("authorization")
        return str(token or (settings.get_basic_auth_token() if settings.username else ""))

    async def serve() -> None:
        verify = settings.ssl_ca_cert if settings.verify_ssl else None
        async with page_session(
            settings.host, authorization, verify, settings.cert_file, settings.key_file, settings.verify_ssl
        ) as session:
            state = State(UiClient(session), namespace, os.environ.get("PODGRAPH_STEP_IMAGE", ""))
            app = create_app(state, [*LOCAL_HOSTS, *hosts])
            config = served_with(app, timeout_graceful_shutdown=1)
            await uvicorn.Server(config).serve([listener])

    asyncio.run(serve())
