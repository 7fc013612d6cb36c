"""Who is told of changes: each open page, by server-sent events, of as many changes at a time as there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from podgraph.cluster.resource_reflector import Key
from podgraph.definition.errors import DefinitionError

__all__ = ["MOST_LISTENERS", "Hub", "Listener"]

MOST_LISTENERS = 200
"""How many pages are told of changes at once; each holds a connection."""


class Listener:
    """One open page. What changed since it last looked is kept as keys, so a slow page costs nothing."""

    def __init__(self, only: Key | None) -> None:
        self._only = only
        self._keys: set[Key] = set()
        self._some = asyncio.Event()

    def tell(self, key: Key) -> None:
        """Note that an object changed."""
        if self._only is None or self._only == key:
            self._keys.add(key)
            self._some.set()

    async def changes(self, seconds: float) -> set[Key]:
        """Return what changed; empty when nothing did within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._some.wait()
        self._some.clear()
        keys, self._keys = self._keys, set()
        return keys


class Hub:
    """All open pages."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def tell(self, key: Key) -> None:
        """Tell all of a change."""
        for listener in self._listeners:
            listener.tell(key)

    @contextlib.contextmanager
    def listening(self, only: Key | None = None) -> Iterator[Listener]:
        """Open a listener to all changes, or to those of one object."""
        listener = Listener(only)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def check_room(self) -> None:
        """Refuse one more page when there are too many. Raises DefinitionError."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise DefinitionError("TooMany", f"{MOST_LISTENERS} pages are open already; close some")
