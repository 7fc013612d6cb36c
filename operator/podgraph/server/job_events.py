"""The Kubernetes Events of a Job for the page. Anyone with permissions in the namespace may have written them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.planning.model.names import OP_ANNOTATION
from podgraph.server.views import Event

__all__ = ["event_views"]

_MAX_MESSAGE = 1_024  # characters; the operator's own are shorter


def event_views(events: Iterable[Mapping[str, Any]], job: Mapping[str, Any]) -> list[Event]:
    """Return the Events of exactly this Job; `op` is empty if an Event does not name a step of the Job."""
    uid, steps = job["metadata"]["uid"], (job.get("status") or {}).get("steps") or {}
    return [_view(event, steps) for event in events if (event.get("involvedObject") or {}).get("uid") == uid]


def _view(event: Mapping[str, Any], steps: Mapping[str, Any]) -> Event:
    op = (event["metadata"].get("annotations") or {}).get(OP_ANNOTATION, "")
    message = event.get("message") or ""
    return {
        "type": event.get("type") or "",
        "reason": event.get("reason") or "",
        "message": message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 4] + " ...",
        "time": event.get("lastTimestamp") or event.get("eventTime"),
        "op": op if op in steps else "",
    }
