"""The address of the API server and our credentials."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import aiohttp
import kopf

__all__ = ["MOST_FOLLOWED", "connect", "login", "token_middleware"]

MOST_FOLLOWED = 200
"""The maximum number of logs followed at once; each holds a connection."""

_LOG = logging.getLogger(__name__)
_TOKEN_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_TOKEN_SECONDS = 60.0


def login() -> kopf.ConnectionInfo:
    """Return the credentials of the pod's service account or of the kubeconfig (`KUBECONFIG`, `~/.kube/config`).

    In a pod, the API server is reached by its IP address, without cluster DNS. Raises kopf.LoginError if there are
    no credentials.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if host and _TOKEN_FILE.exists():
        return kopf.ConnectionInfo(
            server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
            ca_path=str(_TOKEN_FILE.with_name("ca.crt")),
            scheme="Bearer",
            token=_TOKEN_FILE.read_text().strip(),
        )
    found = kopf.login_with_kubeconfig(settings=kopf.OperatorSettings(), logger=_LOG)
    if found is None:
        raise kopf.LoginError("no cluster: not in a pod, and no kubeconfig in KUBECONFIG or ~/.kube/config")
    return found


def connect(info: kopf.ConnectionInfo) -> aiohttp.ClientSession:
    """Return a session for the API server at `info.server`, with limits on connections and timeouts."""
    headers = {"User-Agent": "podgraph"}
    middlewares = []
    if info.token and _TOKEN_FILE.exists():
        middlewares.append(token_middleware(_TOKEN_FILE))
    else:
        headers.update(info.as_http_headers())
    return aiohttp.ClientSession(
        base_url=info.server,
        connector=aiohttp.TCPConnector(limit=100 + MOST_FOLLOWED, ssl=info.as_ssl_context()),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),  # cookies must not leak between requests of different users
        timeout=aiohttp.ClientTimeout(total=30, connect=5),
        middlewares=tuple(middlewares),
    )


def token_middleware(path: Path) -> aiohttp.ClientMiddlewareType:
    """Return a middleware that sends the token in `path`, read again each minute: the kubelet renews it hourly."""
    token, read_at = "", 0.0

    async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        nonlocal token, read_at
        if time.monotonic() - read_at > _TOKEN_SECONDS:
            token, read_at = path.read_text().strip(), time.monotonic()  # noqa: ASYNC240  small and in memory
        request.headers["Authorization"] = f"Bearer {token}"
        return await handler(request)

    return send
