"""Writes what users read of an object: its status, and Kubernetes Events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.events import event_manifest
from podgraph.planning.manifests.objects import JobRef
from podgraph.reconcile.jobs.environment import Environment
from podgraph.reconcile.jobs.state import WRITE_SECONDS, ObjectState
from podgraph.reconcile.workqueue import KeyedQueue

__all__ = ["StatusWriter", "seconds_between_writes"]

_LOG = logging.getLogger(__name__)
_LONGEST_WRITE_SECONDS = 15.0
_WRITE_SHARE = 0.05


class Changes(Protocol):
    """What has changed in an object apart from the actions of a pass, as the records of a Job's steps."""

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`patch` would return anything."""

    def patch(self, now: float) -> dict[str, Any]:
        """Return the merge patch of the changes since the last call."""


class StatusWriter:
    """Writes the status of the objects of one controller, each at most once in `write_seconds` unless it is urgent.

    A write that comes too early is put off: the object's uid goes through `queue` again. `on_gone(uid)` is called for
    an object that no longer exists.
    """

    def __init__(self, environment: Environment, queue: KeyedQueue, on_gone: Callable[[str], None]) -> None:
        self._client: Client = environment.client
        self._clock = environment.clock
        self._queue, self._on_gone = queue, on_gone

    async def write(self, state: ObjectState, ref: JobRef, changes: Changes | None = None) -> None:
        """Write what has changed, if anything has and it is time. Raises ApiError; the next call then tries again."""
        now = self._clock()
        if not state.status and (changes is None or not changes.has_changes):
            return
        wait = state.written_at + state.write_seconds - now
        if not state.flush_status and wait > 0:
            self._queue.add_after(ref.uid, wait)
            return
        # A write that failed may hold records that no newer change replaces.
        patch = changes.patch(now) if changes is not None else {}
        if "steps" in patch:
            patch["steps"] = {**state.status.get("steps", {}), **patch["steps"]}
        state.status.update(patch)
        status, state.status, urgent, state.flush_status = state.status, {}, state.flush_status, False
        begun = time.monotonic()
        try:
            version = await self._patch(state.version, ref, status)
        except BaseException:
            state.status, state.flush_status = {**status, **state.status}, urgent or state.flush_status
            raise
        if version is None:
            self._on_gone(ref.uid)
            return
        state.version, state.written_at = version, now
        state.write_seconds = seconds_between_writes(time.monotonic() - begun)

    async def _patch(self, version: str, ref: JobRef, status: dict[str, Any]) -> str | None:
        """Write a status and return the object's new version, None when it is gone. Raises ApiError."""
        try:
            return await self._client.patch_status(ref.namespace, ref.name, version, status, ref.kind)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
        # Another object may have the name by now, so the second try is for this uid alone.
        current = await self._client.job_version(ref.namespace, ref.name, ref.uid, ref.kind)
        if current is None:
            return None
        return await self._client.patch_status(ref.namespace, ref.name, current, status, ref.kind)

    async def post_events(self, state: ObjectState, ref: JobRef) -> None:
        """Post the Events of an object. One that the API server refuses is dropped."""
        while state.events:
            try:
                await self._client.create("events", event_manifest(ref, state.events[0], self._clock()))
            except ApiError as error:
                _LOG.info("%s %s: an event was not accepted: %s", ref.noun, ref.name, error)
            state.events.pop(0)


def seconds_between_writes(took: float) -> float:
    """Return the pause after a write of a status that took so many seconds.

    Each write costs the API server the whole object, so the status of a large Job is written less often, and so is
    every status while the server is slow.

    >>> [seconds_between_writes(took) for took in (0.01, 0.2, 3.0)]
    [1.0, 4.0, 15.0]
    """
    return min(_LONGEST_WRITE_SECONDS, max(WRITE_SECONDS, took / _WRITE_SHARE))
