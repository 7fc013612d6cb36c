"""Protection of the page: accepted hosts, origins of writes, and limits on requests.

The server has the permissions of the user who started it, so another web site in the same browser must not be able to
use it. Such a site can send requests here, but neither with our origin nor, through a name that it resolves to this
machine, with an accepted host.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Collection

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOCAL_HOSTS", "MOST_BODY", "Guard"]

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
MOST_BODY = 2 * 1024 * 1024
"""The maximum size of a request body in bytes; large enough for a Job with its code."""

_BODY_SECONDS = 30.0
_TOO_SLOW = f"the request's body did not arrive within {_BODY_SECONDS:.0f} s"
_TOO_LARGE = f"the request is too large; at most {MOST_BODY:,} bytes are allowed"
_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d+)?")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Refuses unknown hosts, requests from other sites, large and slow bodies; adds the security headers.

    `hosts` are the accepted host names, with any port. `/healthz` accepts any host.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = LOCAL_HOSTS) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = scope.setdefault("state", {})["nonce"] = secrets.token_urlsafe(16)
        headers, read, whole = Headers(scope=scope), 0, False
        until = asyncio.get_running_loop().time() + _BODY_SECONDS

        async def bounded() -> Message:
            nonlocal read, whole
            try:
                async with asyncio.timeout_at(None if whole else until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, _TOO_SLOW, {"Connection": "close"}) from None
            whole = not message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > MOST_BODY:
                raise HTTPException(413, _TOO_LARGE)
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out[name] = value
                out["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
                out.setdefault("Cache-Control", "no-store")
            await send(message)

        status, problem = self._problem(scope, headers)
        if not problem:
            await self._app(scope, bounded, guarded)
            return
        answer = JSONResponse({"reason": "Refused", "message": problem}, status)
        await answer(scope, receive, guarded)

    def _problem(self, scope: Scope, headers: Headers) -> tuple[int, str]:
        if scope["path"] == "/healthz":
            return 0, ""
        host = headers.get("host", "")
        found = _HOST.fullmatch(host)
        if not found or found[1].lower() not in self._hosts:
            return (
                421,
                f"this page is not served under the host {host[:200]!r}; allowed are: {', '.join(sorted(self._hosts))}",
            )
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > MOST_BODY:
            return 413, _TOO_LARGE
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if scope["method"] in ("GET", "HEAD"):
            if scope["path"].startswith("/api/") and site not in ("same-origin", "none"):
                return 403, "only this page may read the API, and the request comes from another site"
            return 0, ""
        own = origin is not None and origin.partition("://")[2].lower() == host.lower()
        if not own or site != "same-origin":
            return 403, "only this page may write, and the request's Origin is not this server"
        return 0, ""
