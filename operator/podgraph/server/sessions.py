"""`auth: token`: users sign in with a Kubernetes token, and the server acts with it.

The token stays in this process. The browser has a cookie with a random name for it, which scripts cannot read and other
sites cannot send. The session ends on a restart of the server, after eight hours, or when the token becomes invalid.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from podgraph.cluster.client import ApiError
from podgraph.cluster.impersonation import UserClients
from podgraph.definition.errors import DefinitionError
from podgraph.server.models import Problems
from podgraph.server.state import State
from podgraph.server.users import SignedOut, User
from podgraph.server.views import Session

__all__ = ["COOKIE", "SECURE_COOKIE", "Sessions", "session_api", "session_of"]

COOKIE, SECURE_COOKIE = "podgraph", "__Host-podgraph"
_SECONDS = 8 * 3600
_MOST = 1_000
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")

session_api = APIRouter(prefix="/api/session", responses={422: {"model": Problems}})


class SignIn(BaseModel):
    """A token, as printed by `kubectl create token`."""

    model_config = ConfigDict(extra="forbid")
    token: Annotated[SecretStr, Field(min_length=1, max_length=16_384)]


@dataclass(frozen=True)
class _Session:
    visitor: User
    until: float


class Sessions:
    """The sessions of signed-in users."""

    mode = "token"

    def __init__(self, acting: UserClients) -> None:
        self._acting = acting
        self._sessions: dict[str, _Session] = {}

    def visitor(self, request: Request, state: State) -> User:
        """Return the user of the request's cookie. Raises SignedOut."""
        found = self._sessions.get(_cookie(request))
        if found is None:
            raise SignedOut
        if time.monotonic() > found.until:
            self.sign_out(request)
            raise SignedOut
        return found.visitor

    def refused(self, request: Request) -> bool:
        """End the session because its token has expired or was revoked."""
        self.sign_out(request)
        return True

    async def sign_in(self, token: str, state: State) -> tuple[str, User]:
        """Start a session; return its name and its user. Raises DefinitionError, ApiError."""
        client = self._acting.with_token(token)
        try:
            name = await client.user_name()
        except ApiError as error:
            if error.status == 401:
                raise DefinitionError(
                    "WrongToken",
                    "the cluster does not accept this token; it may have expired or belong to another cluster",
                ) from None
            raise
        visitor = User(state, client, name)
        now = time.monotonic()
        for old, session in list(self._sessions.items()):  # the oldest first
            if session.until < now or len(self._sessions) >= _MOST:
                self._end(old)
        key = secrets.token_urlsafe(32)
        self._sessions[key] = _Session(visitor, now + _SECONDS)
        return key, visitor

    def sign_out(self, request: Request) -> None:
        """End the session of a request, if there is one."""
        self._end(_cookie(request))

    def _end(self, key: str) -> None:
        if session := self._sessions.pop(key, None):
            session.visitor.leave()


def session_of(request: Request) -> Session:
    """Return the user and the kind of authentication. Raises HTTPException for requests that bypass the proxy."""
    state: State = request.app.state.podgraph
    try:
        return {"mode": state.auth.mode, "user": state.auth.visitor(request, state).name}
    except SignedOut:
        return {"mode": state.auth.mode, "user": None}


@session_api.get("")
async def who(request: Request) -> Session:
    """Return the kind of authentication (`mode`: none, token or proxy) and the `user`, null if nobody is signed in."""
    return session_of(request)


@session_api.post("", status_code=201)
async def sign_in(request: Request, wanted: SignIn, response: Response) -> Session:
    """Sign in with a token. The response sets a cookie; the token itself is sent only to the API server."""
    state: State = request.app.state.podgraph
    if not isinstance(state.auth, Sessions):
        raise DefinitionError("NoSignIn", "signing in is not available: the server was not started with auth: token")
    token = wanted.token.get_secret_value().strip()
    if not _TOKEN.fullmatch(token):
        raise DefinitionError("WrongToken", "this is not a valid token; a token has only letters, digits and ._~+/=-")
    state.auth.sign_out(request)
    key, visitor = await state.auth.sign_in(token, state)
    # Origin has the scheme that the browser used, even through proxies; the Guard has checked the rest of it.
    secure = request.headers.get("origin", "").startswith("https://")
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE, key, max_age=_SECONDS, path="/", secure=secure, httponly=True,
        samesite="strict",
    )  # fmt: skip
    return {"mode": state.auth.mode, "user": visitor.name}


@session_api.delete("")
async def sign_out(request: Request, response: Response) -> Session:
    """Sign out."""
    state: State = request.app.state.podgraph
    if isinstance(state.auth, Sessions):
        state.auth.sign_out(request)
    for name in (SECURE_COOKIE, COOKIE):
        if name in request.cookies:
            response.delete_cookie(name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="strict")
    return {"mode": state.auth.mode, "user": None}


def _cookie(request: Request) -> str:
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE) or ""
