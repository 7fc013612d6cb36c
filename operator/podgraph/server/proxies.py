"""`auth: proxy`: a proxy names the user in a header, and the server impersonates that user.

A header is only a claim, so it is accepted only from the proxy, which is known by its address, a secret, or both.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fastapi import HTTPException, Request

from podgraph.cluster.impersonation import UserClients
from podgraph.definition.errors import DefinitionError
from podgraph.server.state import State
from podgraph.server.users import SignedOut, User

__all__ = ["SECRET_HEADER", "Proxy", "ProxyRules"]

SECRET_HEADER = "X-Podgraph-Proxy-Secret"
_MOST = 500
_USER = re.compile(r"[!-~]{1,253}")
_TOKEN = re.compile(r"[A-Za-z0-9-]+")
_LEAST_SECRET = 16


@dataclass(frozen=True)
class ProxyRules:
    """Which proxy is trusted, and for what. Only the groups in `groups` are passed on.

    `users` are the users who may come through it, anyone when empty; never a Kubernetes system user (`system:`).
    """

    user_header: str
    groups_header: str = ""
    groups: Collection[str] = ()
    networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()
    secret: str = ""
    users: Collection[str] = ()

    def __post_init__(self) -> None:
        """Raise DefinitionError for rules that would trust anyone."""
        for name in (self.user_header, self.groups_header or "none"):
            if not _TOKEN.fullmatch(name):
                raise DefinitionError("InvalidProxy", f"{name!r} is not a valid header name")
        if not self.networks and not self.secret:
            raise DefinitionError("InvalidProxy", "auth: proxy requires the addresses of the proxy, a secret, or both")
        if not self.secret and any(network.overlaps(own) for network in self.networks for own in _own(network)):
            raise DefinitionError(
                "InvalidProxy",
                "a proxy on a loopback address also requires a secret: kubectl port-forward uses that address too",
            )
        if self.secret and len(self.secret) < _LEAST_SECRET:
            raise DefinitionError("InvalidProxy", f"the proxy's secret has fewer than {_LEAST_SECRET} characters")
        if wrong := [group for group in self.groups if group.startswith("system:")]:
            raise DefinitionError(
                "InvalidProxy", f"the group {wrong[0]!r} is reserved for Kubernetes; a proxy cannot pass it on"
            )
        if wrong := [user for user in self.users if user.startswith("system:")]:
            raise DefinitionError(
                "InvalidProxy", f"the user {wrong[0]!r} is reserved for Kubernetes; a proxy cannot act as it"
            )


class Proxy:
    """The user whom the proxy names."""

    mode = "proxy"

    def __init__(self, acting: UserClients, rules: ProxyRules) -> None:
        self._acting, self.rules = acting, rules
        self._visitors: OrderedDict[tuple[str, tuple[str, ...]], User] = OrderedDict()

    def visitor(self, request: Request, state: State) -> User:
        """Return the user that the proxy names. Raises HTTPException, or SignedOut if it names none."""
        if not self._trusted(request):
            raise HTTPException(403, "only requests from the proxy are accepted, and this request is not from it")
        user, groups = self._named(request)
        key = user, groups
        if key not in self._visitors:
            self._visitors[key] = User(state, self._acting.as_user(user, groups), user)
            while len(self._visitors) > _MOST:
                self._visitors.popitem(last=False)[1].leave()
        self._visitors.move_to_end(key)
        return self._visitors[key]

    def refused(self, _: Request) -> bool:
        """Return False: the credentials are the server's own."""
        return False

    def _trusted(self, request: Request) -> bool:
        rules = self.rules
        if rules.secret:
            given = request.headers.getlist(SECRET_HEADER)
            if len(given) != 1 or not hmac.compare_digest(given[0].encode(), rules.secret.encode()):
                return False
        if not rules.networks:
            return True
        address = ipaddress.ip_address(request.client.host) if request.client else None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address is not None and any(address in network for network in rules.networks)

    def _named(self, request: Request) -> tuple[str, tuple[str, ...]]:
        rules = self.rules
        users = request.headers.getlist(rules.user_header)
        if not users or not users[0]:
            raise SignedOut
        # A duplicate header was there before the proxy added its own: the client forged it.
        if len(users) > 1 or not _USER.fullmatch(users[0]) or users[0].startswith("system:"):
            raise HTTPException(
                403, f"the header {rules.user_header} does not name a user who may come through a proxy"
            )
        if rules.users and users[0] not in rules.users:
            raise HTTPException(403, f"user {users[0]!r} is not in ui.proxy.users, so may not come through the proxy")
        named = request.headers.getlist(rules.groups_header) if rules.groups_header else []
        if len(named) > 1:
            raise HTTPException(403, f"the header {rules.groups_header} occurs more than once")
        told = {group.strip() for group in ",".join(named).split(",")}
        return users[0], tuple(sorted(told & set(rules.groups)))


def _own(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> list[ipaddress.IPv4Network] | list[ipaddress.IPv6Network]:
    if isinstance(network, ipaddress.IPv4Network):
        return [ipaddress.IPv4Network("127.0.0.0/8")]
    return [ipaddress.IPv6Network("::1/128"), ipaddress.IPv6Network("::ffff:7f00:0/104")]
