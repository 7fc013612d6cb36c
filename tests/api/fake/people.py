"""Who asks, and what they may: tokens, impersonation and the simplest rights, namespaces that are open to a user.

Whoever sends no credentials is the server of a test itself and may do all; so all is as if nobody were told apart,
until a test names people.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .errors import ApiError

MASTER = ""
"""Who sends no credentials."""

Obj = dict[str, Any]


class People:
    """`tokens` say who has one; `open` in which namespaces a user or group may do all ("" is all of them)."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.open: dict[str, set[str]] = {}
        self.seen: list[tuple[str, tuple[str, ...]]] = []

    def who(self, request: web.BaseRequest) -> tuple[str, tuple[str, ...]]:
        """Return user and groups. Raises ApiError 401 for a token that nobody has."""
        user, groups = MASTER, ()
        if header := request.headers.get("Authorization"):
            user = self.tokens.get(header.removeprefix("Bearer "), "")
            if not user:
                raise ApiError(401, "Unauthorized")
        if named := request.headers.get("Impersonate-User"):
            if user != MASTER:
                raise ApiError(403, f'users "{named}" is forbidden: User "{user}" cannot impersonate')
            user, groups = named, tuple(request.headers.getall("Impersonate-Group", []))
        self.seen.append((user, groups))
        return user, groups

    def may(self, user: str, groups: tuple[str, ...], namespace: str) -> bool:
        """Whether they may do all in a namespace, "" for all of them."""
        if user == MASTER:
            return True
        found: set[str] = set().union(*(self.open.get(name, set()) for name in (user, *groups)))
        return "" in found or (bool(namespace) and namespace in found)

    def review(self, request: web.BaseRequest, body: Any) -> Obj | None:
        """Answer a question about oneself; None when the request is none."""
        user, groups = self.who(request)
        if request.path == "/apis/authentication.k8s.io/v1/selfsubjectreviews":
            return {**body, "status": {"userInfo": {"username": user, "groups": list(groups)}}}
        if request.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            namespace = body["spec"]["resourceAttributes"].get("namespace", "")
            return {**body, "status": {"allowed": self.may(user, groups, namespace)}}
        return None

    def check(self, request: web.BaseRequest, verb: str, resource: str, namespace: str) -> None:
        """Raise ApiError 403 when who asks may not."""
        user, groups = self.who(request)
        if not self.may(user, groups, namespace):
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            message = f'{resource} is forbidden: User "{user}" cannot {verb} resource "{resource}" {where}'
            raise ApiError(403, message)
