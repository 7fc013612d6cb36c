"""The user of a request: its client for the cluster, and the parts of lists it may see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fastapi import HTTPException, Request

from podgraph.cluster.client import ApiError
from podgraph.cluster.resource_reflector import Key, ResourceReflector
from podgraph.cluster.ui_client import UiClient

if TYPE_CHECKING:
    from podgraph.server.state import State

__all__ = ["Auth", "Own", "READ_ONLY", "SignedOut", "User", "ends", "only_shows", "visitor_of"]

_YES_HOLDS_SECONDS, _NO_HOLDS_SECONDS = 20.0, 60.0
_ASKED_AT_ONCE = 10

READ_ONLY = "this page is read-only; the chart's value ui.readOnly: false allows it to launch, cancel and delete"
_READS = ("/api/source", "/api/check")  # which are POST requests because their content is long

T = TypeVar("T", bound=Any)


class SignedOut(Exception):
    """The user is not signed in, or the session has ended."""


class User:
    """One user. All reads and writes use their `client`, so the API server decides on each.

    Lists come from views that all users share; a user sees the namespaces whose objects the API server lets them list.
    `own` is the user who started the server, whose permissions the views have.
    """

    def __init__(self, state: State, client: UiClient, name: str = "", own: bool = False) -> None:
        self.state, self.name = state, name
        self._client, self._own = client, own
        self._over = False
        self._answers: dict[tuple[str, str], tuple[bool, float]] = {}
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)

    @property
    def client(self) -> UiClient:
        """The client with the user's permissions. Raises SignedOut."""
        self.check()
        return self._client

    def check(self) -> None:
        """Raise SignedOut if the session has ended."""
        if self._over:
            raise SignedOut

    def leave(self) -> None:
        """End the session, also for responses that are still being streamed."""
        self._over = True

    async def seen(self, view: ResourceReflector[T]) -> dict[Key, T]:
        """Return the items of a view that the user may see."""
        if self._own:
            return view.items
        open_to = await self.namespaces(view.plural, {namespace for namespace, _ in view.items})
        return {key: item for key, item in view.items.items() if key[0] in open_to}

    async def namespaces(self, plural: str, among: Iterable[str]) -> set[str]:
        """Return the namespaces in which the user may list objects of a kind."""
        among = set(among)
        if self._own or (not self.state.namespace and await self._may_list(plural, "")):
            self.check()
            return among
        allowed = await asyncio.gather(*(self._may_list(plural, namespace) for namespace in sorted(among)))
        return {namespace for namespace, yes in zip(sorted(among), allowed, strict=True) if yes}

    async def _may_list(self, plural: str, namespace: str) -> bool:
        known, until = self._answers.get((plural, namespace), (False, 0.0))
        if time.monotonic() < until:
            self.check()
            return known
        async with self._asking:
            answer = await self.client.may_list(plural, namespace)
        holds = _YES_HOLDS_SECONDS if answer else _NO_HOLDS_SECONDS
        self._answers[plural, namespace] = answer, time.monotonic() + holds
        return answer


class Auth(Protocol):
    """A kind of authentication. `mode` is its name in the chart's values."""

    mode: str

    def visitor(self, request: Request, state: State) -> User:
        """Return the user of a request. Raises SignedOut, HTTPException."""

    def refused(self, request: Request) -> bool:
        """Whether a 401 from the API server means that the user must sign in again."""


class Own:
    """All users have the permissions of the user who started the server; with `read_only`, only to read."""

    mode = "none"

    def __init__(self, read_only: bool = False) -> None:
        self.read_only = read_only

    def visitor(self, request: Request, state: State) -> User:
        """Return that user. Raises HTTPException for a write when the page is read-only."""
        if self.read_only and request.method not in ("GET", "HEAD") and request.url.path not in _READS:
            raise HTTPException(403, READ_ONLY)
        return state.own

    def refused(self, _: Request) -> bool:
        """Return False: the credentials are the server's own."""
        return False


def only_shows(request: Request) -> bool:
    """Whether the user may not create anything, not even a pod that reads a log."""
    auth = request.app.state.podgraph.auth
    return isinstance(auth, Own) and auth.read_only


def ends(request: Request, error: ApiError) -> bool:
    """Whether a response of the API server ends the session of a request."""
    state: State = request.app.state.podgraph
    return error.status == 401 and state.auth.refused(request)


def visitor_of(request: Request) -> User:
    """Return the user of a request, as determined when it arrived."""
    found: User = request.state.visitor
    return found
