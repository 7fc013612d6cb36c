"""Notify open pages of changes. Each page receives all pending changes at once, as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from podgraph.cluster.resource_reflector import Key
from podgraph.definition.errors import DefinitionError

__all__ = ["MOST_LISTENERS", "Hub", "Listener"]

MOST_LISTENERS = 200
"""The maximum number of pages that receive changes; each holds a connection."""


class Listener:
    """One open page. Pending changes are stored as a set of keys, so a slow page needs little memory."""

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
        """Return the changed keys; empty if nothing changed within `seconds`."""
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
        """Notify all pages of a change."""
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
        """Raise DefinitionError if too many pages are open."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise DefinitionError("TooMany", f"{MOST_LISTENERS} pages are already open; close some")
