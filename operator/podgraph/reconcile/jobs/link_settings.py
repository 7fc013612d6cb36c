"""Where pods reach the operator, and how many connections it can take."""

from __future__ import annotations

import ipaddress

from podgraph.definition.errors import DefinitionError
from podgraph.reconcile.jobs.link_strangers import MOST

__all__ = ["most_links", "most_strangers", "read_link"]

_MOST = 2_000


def read_link(text: str) -> str:
    """Check where pods are to reach the operator, "HOST:PORT" or nothing. Raises DefinitionError.

    >>> read_link("10.1.2.3:7443"), read_link("fd00::2:7443")
    ('10.1.2.3:7443', 'fd00::2:7443')
    """
    host, _, port = text.rpartition(":")
    try:
        if text:
            ipaddress.ip_address(host)
            if not 0 <= int(port) < 65_536:
                raise ValueError
    except ValueError:
        allowed = "an IP address, a colon and a port, as in 10.1.2.3:7443"
        raise DefinitionError("BadLink", f"PODGRAPH_LINK is {text!r}; it must be {allowed}") from None
    return text


def most_links(files: int) -> int:
    """Return how many links there may be where a process may have so many open files; -1 is without a limit.

    >>> most_links(1_024), most_links(1_048_576), most_links(-1)
    (512, 2000, 2000)
    """
    return _MOST if files < 0 else min(_MOST, files // 2)  # the rest is for the API server


def most_strangers(files: int) -> int:
    """Return how many connections there may be besides, of which it is not known whose they are.

    >>> most_strangers(1_024), most_strangers(1_048_576), most_strangers(-1)
    (256, 512, 512)
    """
    return MOST if files < 0 else min(MOST, files // 4)
