"""Limits on the connections of the page's server: their number, and the time to receive a request.

Anyone who reaches the port can open connections, whether or not they may use the page.
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
    """Closes connections that do not send a complete request head within 10 to 20 s, and excess connections.

    h11 limits a head to 64 KiB; the Guard limits the time for a body.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a connection, unless there are too many."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > MOST_CONNECTIONS:
            _LOG.warning("refused a connection: the limit of %d connections is reached", MOST_CONNECTIONS)
            self.transport.abort()
            return
        self._look_later(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look_later(self, before: Any) -> None:
        self._timer = self.loop.call_later(_LOOK_SECONDS, self._look, before)

    def _look(self, before: Any) -> None:
        """Close the connection if it has been waiting for a request head since the last check."""
        waits = self.cycle is None or self.cycle.response_complete
        now = ("waits", id(self.cycle)) if waits else None
        if waits and now == before:
            self.transport.abort()
            return
        self._look_later(now)
