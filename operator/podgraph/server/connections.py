"""Bounds on the connections of the page's server: how many there are, and how long a request may take to come in.

Whoever reaches the port can open connections, whether they may use the page or not.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["MOST_CONNECTIONS", "Connection"]

_LOG = logging.getLogger(__name__)
MOST_CONNECTIONS = 1_000
_LOOK_SECONDS = 10.0


class Connection(H11Protocol):
    """Closes a connection that sends no whole request head within 10 to 20 s, and those that are too many.

    A head has 64 KiB at most, as h11 bounds it; the time of a body is bounded by the Guard.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, if there is room for it."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > MOST_CONNECTIONS:
            _LOG.warning("there are %d connections, which is the most; one more was refused", MOST_CONNECTIONS)
            self.transport.abort()
            return
        self._look_later(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look at it no more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look_later(self, before: Any) -> None:
        self._timer = self.loop.call_later(_LOOK_SECONDS, self._look, before)

    def _look(self, before: Any) -> None:
        """Close the connection if it has waited since the last look for the head of a request."""
        waits = self.cycle is None or self.cycle.response_complete
        now = ("waits", id(self.cycle)) if waits else None
        if waits and now == before:
            self.transport.abort()
            return
        self._look_later(now)
