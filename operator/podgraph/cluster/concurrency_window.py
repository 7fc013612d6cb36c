"""A limit on concurrent requests that adapts to the load of the API server and is fair to all Jobs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from podgraph.cluster.turns import Turns

__all__ = ["MOST", "ConcurrencyWindow"]

_FIRST, MOST = 30.0, 60


class ConcurrencyWindow:
    """A limit that grows by one per round of successful requests and is halved when the server is busy.

    Waiters are admitted round-robin, first by namespace and then by Job, so neither a Job with thousands of pods nor a
    namespace with thousands of Jobs can starve others. Nobody is admitted during a pause requested by the server.
    """

    def __init__(self, first: float = _FIRST, most: float = MOST) -> None:
        self.size = first
        self._most = most
        self._under_way = 0
        self._waiting = Turns[asyncio.Future[None]]()
        self._open_at = 0.0
        self._lowered_at = float("-inf")

    @contextlib.asynccontextmanager
    async def turn(self, key: str, namespace: str = "") -> AsyncIterator[None]:
        """Wait for a slot for the Job `key` and hold it while the block runs."""
        loop = asyncio.get_running_loop()
        if self._waiting or not self._has_room():
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.add(namespace, key, future)
            try:
                await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():  # admitted and cancelled at the same time
                    self._leave()
                raise
        else:
            self._under_way += 1
        try:
            yield
        finally:
            self._leave()

    def went_well(self) -> None:
        """Report that the server accepted a request."""
        self.size = min(self._most, self.size + 1 / self.size)

    def busy(self, since: float, pause: float) -> None:
        """Report that the server rejected a request sent at `since` (`time.monotonic`); others wait `pause` seconds.

        Concurrent requests are often rejected together; they count once.
        """
        now = time.monotonic()  # the loop's own clock does not advance while the loop is busy
        if since >= self._lowered_at:
            self.size, self._lowered_at = max(1.0, self.size / 2), now
        if now + pause > self._open_at:
            self._open_at = now + pause
            asyncio.get_running_loop().call_later(pause, self._open, self._open_at)

    def _open(self, at: float) -> None:
        """End a pause unless a longer one has started. The loop may call this slightly early."""
        if at == self._open_at:
            self._open_at = 0.0
            self._let_in()

    def _has_room(self) -> bool:
        return self._under_way < int(self.size) and time.monotonic() >= self._open_at

    def _leave(self) -> None:
        self._under_way -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._has_room():
            future = self._waiting.pop()
            if not future.done():
                self._under_way += 1
                future.set_result(None)
