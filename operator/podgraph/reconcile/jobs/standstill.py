"""Notices that the process stood still: stopped, frozen, or without a CPU. What it knows is then out of date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["Standstill"]

_BEAT_SECONDS = 1.0
_LONG_SECONDS = 5.0


class Standstill:
    """`ended_at` is the time at which the last standstill ended; `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.ended_at = float("-inf")
        self._beat = clock()

    async def run(self) -> None:
        """Check each second until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_BEAT_SECONDS)

    def look(self) -> float:
        """Return `ended_at`. The first caller after a standstill notices it."""
        now = self.clock()
        if now - self._beat > _LONG_SECONDS:
            self.ended_at = now
        self._beat = now
        return self.ended_at
