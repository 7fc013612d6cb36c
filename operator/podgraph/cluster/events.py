"""Kubernetes Events of a Job or a JobDefinition, which `kubectl describe` shows."""

from __future__ import annotations

import hashlib
from typing import Any

from podgraph.api import API_VERSION
from podgraph.planning.actions import Event
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.model.names import OP_ANNOTATION
from podgraph.protocol.times import utc

__all__ = ["event_manifest"]

_MAX_MESSAGE = 1_000  # the API server allows 1,024


def event_manifest(job: JobRef, event: Event, now: float) -> dict[str, Any]:
    """Return the Event object. Its name is derived from its content, so a repeat after a crash is not a duplicate.

    An annotation names the op, so readers need not parse the message.
    """
    digest = hashlib.sha256(f"{job.uid}/{event.reason}/{event.message}".encode()).hexdigest()[:16]
    time = utc(now)[:19] + "Z"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{job.name[:230]}.{digest}",
            "namespace": job.namespace,
            **({"annotations": {OP_ANNOTATION: event.op}} if event.op else {}),
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": job.kind,
            "name": job.name,
            "namespace": job.namespace,
            "uid": job.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message if len(event.message) <= _MAX_MESSAGE else event.message[: _MAX_MESSAGE - 4] + " ...",
        "source": {"component": "podgraph"},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
