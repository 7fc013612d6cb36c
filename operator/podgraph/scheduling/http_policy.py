"""Which web servers sensors may ask: those that an allow-list names, at addresses that are nobody's own.

A sensor is written by whoever may write in a namespace, but its requests come from the operator: without this it would
be a way into networks that its writer cannot reach.
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
    """A scheme, a host (`*.` before it: any below it) and a port."""

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
    """`allow` names the origins, `networks` the addresses that may be asked though they are not public."""

    allow: tuple[_Origin, ...] = ()
    networks: tuple[Network, ...] = ()

    def check_url(self, url: str) -> None:
        """Refuse a URL that the allow-list does not name. Raises DefinitionError (`InvalidUrl`, `NotAllowed`)."""
        origin = _origin(url)
        if any(allowed.covers(origin) for allowed in self.allow):
            return
        if not self.allow:
            raise DefinitionError("NotAllowed", "http sensors are off: the chart's value sensors.http.allow is empty")
        shown = f"{origin.scheme}://{origin.host}:{origin.port}"
        raise DefinitionError("NotAllowed", f"{shown} is not in the chart's value sensors.http.allow")

    def allows_address(self, text: str) -> bool:
        """Whether an address may be asked: it is public, or in one of the networks.

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
    """Whether two URLs are of one server, so that what is secret may go to both."""
    return _origin(one) == _origin(other)


def read_policy(text: str) -> HttpPolicy:
    """Read the operator's setting: JSON with `allow` and `allowNetworks`, or nothing. Raises DefinitionError."""
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
        raise DefinitionError("InvalidUrl", f"{url!r} is no URL: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise DefinitionError("InvalidUrl", f"{url!r} is no URL; it must begin with http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise DefinitionError("InvalidUrl", "a URL must hold no user name and no password; use headers")
    if any(c <= " " or c == "\\" or c == "\x7f" for c in url):
        raise DefinitionError("InvalidUrl", f"{url!r} is no URL: it holds a space, a backslash or a control character")
    return _Origin(parts.scheme, parts.hostname.rstrip(".").lower(), port or _PORTS[parts.scheme])


def _real(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or address in _LOCAL_NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or address
