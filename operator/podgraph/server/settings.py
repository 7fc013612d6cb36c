"""The authentication settings of the page's server, from its environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from podgraph.cluster.impersonation import UserClients
from podgraph.definition.errors import DefinitionError
from podgraph.server.proxies import Proxy, ProxyRules
from podgraph.server.sessions import Sessions
from podgraph.server.users import Auth, Own

__all__ = ["auth_of", "words"]

_MODES = ("none", "token", "proxy")


def auth_of(settings: Mapping[str, str], acting: UserClients) -> Auth:
    """Read `PODGRAPH_UI_AUTH` and, for a proxy, `PODGRAPH_UI_PROXY_*`. Raises DefinitionError."""
    mode = settings.get("PODGRAPH_UI_AUTH") or "none"
    if mode == "none":
        return Own(read_only=settings.get("PODGRAPH_UI_READ_ONLY") == "true")
    if mode == "token":
        return Sessions(acting)
    if mode != "proxy":
        raise DefinitionError("InvalidAuth", f"auth is {mode!r}; allowed are: {', '.join(_MODES)}")
    told = {name: settings.get(f"PODGRAPH_UI_PROXY_{name}", "") for name in ("USER_HEADER", "GROUPS_HEADER", "SECRET")}
    networks = []
    for text in words(settings.get("PODGRAPH_UI_PROXY_ADDRESSES", "")):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise DefinitionError("InvalidProxy", f"the proxy's address {text!r} is not valid: {error}") from None
    rules = ProxyRules(
        told["USER_HEADER"], told["GROUPS_HEADER"], words(settings.get("PODGRAPH_UI_PROXY_GROUPS", "")), networks,
        told["SECRET"].strip(), words(settings.get("PODGRAPH_UI_PROXY_USERS", "")),
    )  # fmt: skip
    return Proxy(acting, rules)


def words(text: str) -> list[str]:
    """Return the items of a comma-separated list.

    >>> words("a, b,")
    ['a', 'b']
    """
    return [word for part in text.split(",") if (word := part.strip())]
