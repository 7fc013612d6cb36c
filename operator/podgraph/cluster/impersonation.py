"""Clients that act as other people: as whoever has a token, or as whom a proxy vouches for (impersonation).

What such a client may do is for the API server to say, at each request.
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
    """Makes such clients for one API server; they share their connections, never a credential, and end with it."""

    def __init__(self, info: kopf.ConnectionInfo) -> None:
        self._info = info
        # A client's certificate goes before any token, so connections for tokens are made without one.
        self._nobody = dataclasses.replace(
            info, scheme=None, token=None, username=None, password=None, certificate_path=None, certificate_data=None,
            private_key_path=None, private_key_data=None,
        )  # fmt: skip
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def with_token(self, token: str) -> UiClient:
        """Return a client that has this token and nothing else."""
        return UiClient(self._session(False), [("Authorization", f"Bearer {token}")])

    def as_user(self, user: str, groups: Sequence[str]) -> UiClient:
        """Return a client with our own credentials that asks to be taken for a user."""
        named = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        return UiClient(self._session(True), named)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    def _session(self, ours: bool) -> aiohttp.ClientSession:
        """Return the one session with our own credentials, or the one with none."""
        if ours not in self._sessions:
            self._sessions[ours] = connect(self._info if ours else self._nobody)
        return self._sessions[ours]
