"""The application: the API, the built page, and the responses for errors."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from podgraph import __version__
from podgraph.cluster.client import ApiError
from podgraph.definition.errors import DefinitionError
from podgraph.server.api import api
from podgraph.server.assets import Assets
from podgraph.server.automations import makers
from podgraph.server.bootstrap import told_with
from podgraph.server.connections import Connection
from podgraph.server.lineage import family
from podgraph.server.log_api import log_api
from podgraph.server.run_list import run_list
from podgraph.server.security import LOCAL_HOSTS, Guard
from podgraph.server.sessions import session_api
from podgraph.server.state import State
from podgraph.server.users import SignedOut, ends

__all__ = ["STATIC", "create_app", "page_is_built", "served_with"]

STATIC = Path(__file__).with_name("static")
_LOG = logging.getLogger(__name__)
_NONCE, _TOLD = "__CSP_NONCE__", "__TOLD__"


def page_is_built(static: Path = STATIC) -> bool:
    """Whether the built page exists."""
    return (static / "index.html").is_file()


def create_app(state: State, hosts: Collection[str] = LOCAL_HOSTS, static: Path = STATIC) -> FastAPI:
    """Return the application; `hosts` are the host names that it accepts."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with state.running():
            yield

    app = FastAPI(title="podgraph", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.podgraph = state
    app.add_middleware(Guard, hosts=hosts)
    app.include_router(session_api)
    for router in (run_list, family, api, log_api, makers):
        app.include_router(router, dependencies=[Depends(admit)])

    @app.exception_handler(DefinitionError)
    async def refused(_: Request, error: DefinitionError) -> JSONResponse:
        return _told(422, error.reason, error.message)

    @app.exception_handler(SignedOut)
    async def signed_out(_: Request, __: SignedOut) -> JSONResponse:
        return _told(401, "SignedOut", "you are not signed in, or your session has ended; sign in")

    @app.exception_handler(ApiError)
    async def cluster_said(request: Request, error: ApiError) -> JSONResponse:
        if ends(request, error):
            return _told(401, "SignedOut", "the cluster no longer accepts the token; sign in again")
        status = error.status if error.status in (403, 404, 409, 413, 422, 503) else 502
        if error.reason == "InvalidName":  # from cluster/paths.py: no request was sent
            status = 400
        return _told(status, error.reason, error.message)

    @app.exception_handler(HTTPException)
    async def unserved(_: Request, error: HTTPException) -> JSONResponse:
        return _told(error.status_code, "Refused", str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return _told(422, "InvalidRequest", f"{where}: {first['msg']}"[:1_000])

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return Response("ok")

    if page_is_built(static):
        app.mount("/assets", Assets(directory=static / "assets"), name="assets")
    index = (static / "index.html").read_text() if page_is_built(static) else _NOT_BUILT

    @app.get("/{path:path}", include_in_schema=False)
    async def page(request: Request, path: str) -> Response:
        if path.startswith(("api/", "assets/")):
            return _told(404, "NotFound", "this address does not exist")
        with_nonce = index.replace(_NONCE, request.scope["state"]["nonce"])
        return HTMLResponse(with_nonce.replace(_TOLD, await told_with(request, path)))

    return app


async def admit(request: Request) -> None:
    """Determine the user of a request before anything else. Raises SignedOut, HTTPException."""
    state: State = request.app.state.podgraph
    request.state.visitor = state.auth.visitor(request, state)


def served_with(app: FastAPI, **more: Any) -> uvicorn.Config:
    """Return uvicorn's configuration: no access log, and no trust in forwarded client addresses."""
    options: dict[str, Any] = {
        "log_level": "warning", "access_log": False, "proxy_headers": False, "http": Connection, "ws": "none", **more
    }  # fmt: skip
    return uvicorn.Config(app, server_header=False, **options)


_NOT_BUILT = "<!doctype html><title>podgraph</title><p>The page is not built. Run: make web"


def _told(status: int, reason: str, message: str) -> JSONResponse:
    return JSONResponse({"reason": reason, "message": message}, status)
