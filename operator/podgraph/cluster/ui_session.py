"""The web page's session with the API server, configured by a kubeconfig."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import aiohttp

__all__ = ["page_session"]

_CONNECTIONS = 400  # each followed log holds one


def page_session(
    server: str, authorization: Callable[[], str], ca: str | None, cert: str | None, key: str | None, verify: bool
) -> aiohttp.ClientSession:
    """Return a session for the API server at `server`; `authorization` returns the header for each request.

    Renewed credentials, such as those of cloud logins, thus take effect. `ca`, `cert` and `key` are files; without
    `verify`, which only the kubeconfig can turn off, any certificate is accepted.
    """
    trust = ssl.create_default_context(cafile=ca)
    if not verify:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    if cert:
        trust.load_cert_chain(cert, key)

    async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if header := authorization():
            request.headers["Authorization"] = header
        return await handler(request)

    return aiohttp.ClientSession(
        base_url=server.rstrip("/") + "/",
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=trust),
        headers={"User-Agent": "podgraph-ui"},
        timeout=aiohttp.ClientTimeout(total=30, connect=5),
        middlewares=(send,),
    )
