"""Clients that act as other people: as whoever has a token, or as whom a proxy vouches for (impersonation).

What such a client may do is for the API server to say, at each request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Self

import aiohttp
import kopf
from multidict import CIMultiDict

from podgraph.cluster.connection import TOKEN_FILE, token_middleware
from podgraph.cluster.page import PageClient

__all__ = ["Acting"]

_CONNECTIONS = 400  # each log that is followed holds one


class Acting:
    """Makes such clients for one API server; they share their connections, never a credential, and end with it."""

    def __init__(self, info: kopf.ConnectionInfo) -> None:
        self._info = info
        # A client's certificate goes before any token, so connections for tokens are made without one.
        self._nobody = dataclasses.replace(
            info, scheme=None, token=None, username=None, password=None, certificate_path=None, certificate_data=None,
            private_key_path=None, private_key_data=None,
        )  # fmt: skip
        self._connectors: dict[bool, aiohttp.TCPConnector] = {}

    def with_token(self, token: str) -> PageClient:
        """Return a client that has this token and nothing else."""
        return PageClient(self._session(False, [("Authorization", f"Bearer {token}")]))

    def as_user(self, user: str, groups: Sequence[str]) -> PageClient:
        """Return a client with our own credentials that asks to be taken for a user."""
        headers = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        return PageClient(self._session(True, headers))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connector in self._connectors.values():
            await connector.close()

    def _session(self, ours: bool, headers: Iterable[tuple[str, str]]) -> aiohttp.ClientSession:
        info = self._info if ours else self._nobody
        if ours not in self._connectors:
            self._connectors[ours] = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=info.as_ssl_context())
        renewed = ours and bool(info.token) and TOKEN_FILE.exists()
        own = [] if renewed else info.as_http_headers().items()
        return aiohttp.ClientSession(
            base_url=info.server,
            connector=self._connectors[ours],
            connector_owner=False,
            headers=CIMultiDict([("User-Agent", "podgraph-ui"), *own, *headers]),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=30, connect=5),
            middlewares=(token_middleware(TOKEN_FILE),) if renewed else (),
        )
