"""Clients that act as other users: with a user's token, or by impersonation of the user that a proxy names.

The API server authorizes each request of such a client.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import aiohttp
import kopf

from podgraph.cluster.connection import connect
from podgraph.cluster.ui_client import UiClient

__all__ = ["UserClients"]


class UserClients:
    """Creates such clients for one API server. They share connections but not credentials, and are closed with it."""

    def __init__(self, info: kopf.ConnectionInfo) -> None:
        self._info = info
        # A client certificate takes precedence over a token, so connections for tokens do not use one.
        self._nobody = dataclasses.replace(
            info, scheme=None, token=None, username=None, password=None, certificate_path=None, certificate_data=None,
            private_key_path=None, private_key_data=None,
        )  # fmt: skip
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def with_token(self, token: str) -> UiClient:
        """Return a client with this token as its only credential."""
        return UiClient(self._session(False), [("Authorization", f"Bearer {token}")])

    def as_user(self, user: str, groups: Sequence[str]) -> UiClient:
        """Return a client with our own credentials that impersonates a user."""
        named = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        return UiClient(self._session(True), named)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    def _session(self, ours: bool) -> aiohttp.ClientSession:
        """Return the session with our own credentials, or the one without credentials."""
        if ours not in self._sessions:
            self._sessions[ours] = connect(self._info if ours else self._nobody)
        return self._sessions[ours]
