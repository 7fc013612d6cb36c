"""The web servers that sensors may request: those on an allow-list, at public addresses.

Anyone with write access to a namespace can create a sensor, but the operator sends its requests. Without this policy a
sensor would give its author access to networks that the author cannot reach.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from podgraph.definition.errors import DefinitionError

__all__ = ["HttpPolicy", "read_policy", "same_origin"]

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class _Origin:
    """A scheme, a host (the prefix `*.` matches any subdomain) and a port."""

    scheme: str
    host: str
    port: int

    def covers(self, other: _Origin) -> bool:
        if (self.scheme, self.port) != (other.scheme, other.port):
            return False
        if self.host.startswith("*."):
            return other.host.endswith(self.host[1:]) and len(other.host) > len(self.host[1:])
        return self.host == other.host


@dataclass(frozen=True)
class HttpPolicy:
    """`allow` lists the allowed origins, `networks` the allowed addresses that are not public."""

    allow: tuple[_Origin, ...] = ()
    networks: tuple[Network, ...] = ()

    def check_url(self, url: str) -> None:
        """Refuse a URL that is not on the allow-list. Raises DefinitionError (`InvalidUrl`, `NotAllowed`)."""
        origin = _origin(url)
        if any(allowed.covers(origin) for allowed in self.allow):
            return
        if not self.allow:
            raise DefinitionError(
                "NotAllowed", "http sensors are disabled: the chart value sensors.http.allow is empty"
            )
        shown = f"{origin.scheme}://{origin.host}:{origin.port}"
        raise DefinitionError("NotAllowed", f"{shown} is not in the chart value sensors.http.allow")

    def allows_address(self, text: str) -> bool:
        """Return whether requests to an address are allowed: it is public, or in one of the networks.

        >>> HttpPolicy().allows_address("169.254.169.254"), HttpPolicy().allows_address("93.184.215.14")
        (False, True)
        """
        try:
            address = _real(ipaddress.ip_address(text))
        except ValueError:
            return False
        if any(address.version == net.version and address in net for net in self.networks):
            return True
        return address.is_global and not address.is_multicast


def same_origin(one: str, other: str) -> bool:
    """Return whether two URLs have the same origin, so that secrets may be sent to both."""
    return _origin(one) == _origin(other)


def read_policy(text: str) -> HttpPolicy:
    """Read the setting of the operator: JSON with `allow` and `allowNetworks`, or "".

    Raises DefinitionError (`InvalidSettings`, `InvalidUrl`).
    """
    try:
        given: dict[str, Any] = json.loads(text) if text else {}
        networks = tuple(ipaddress.ip_network(net) for net in given.get("allowNetworks") or ())
    except ValueError as error:
        raise DefinitionError("InvalidSettings", f"sensors.http: {error}") from None
    return HttpPolicy(tuple(_origin(url) for url in given.get("allow") or ()), networks)


def _origin(url: str) -> _Origin:
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DefinitionError("InvalidUrl", f"{url!r} is not a valid URL: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise DefinitionError(
            "InvalidUrl", f"{url!r} is not a valid URL; it must start with http:// or https:// and a host"
        )
    if parts.username is not None or parts.password is not None:
        raise DefinitionError("InvalidUrl", "a URL must not contain a user name or password; use headers")
    if any(c <= " " or c == "\\" or c == "\x7f" for c in url):
        raise DefinitionError(
            "InvalidUrl", f"{url!r} is not a valid URL: it contains a space, a backslash or a control character"
        )
    return _Origin(parts.scheme, parts.hostname.rstrip(".").lower(), port or _PORTS[parts.scheme])


def _real(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or address in _LOCAL_NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or address
