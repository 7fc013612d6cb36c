"""The logs of steps whose pods are gone, out of the Job's storage (`spec.storage.logs`).

Whoever reads them has no credentials for the storage in general, and a claim can only be read where it is mounted. So
a pod reads them, made as the Job's own are, and prints them; whoever made it deletes it when it has.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.objects import JobRef, Manifest, runtime_config_map
from podgraph.planning.manifests.storage import SHOW_SECONDS, Storage, log_pod
from podgraph.planning.model import names
from podgraph.protocol.step import ProtocolError, Record

__all__ = ["Reading", "ended", "has_run", "lost", "reading", "too_slow"]

Object = Mapping[str, Any]

_NONE_KEPT = "the storage has none (a container that is killed whole keeps none, nor do steps that share a pod)"
_NEVER_KEPT = "spec.storage.logs: true would have kept them; spec.execution.podRetention: Always keeps pods"


@dataclass(frozen=True)
class Reading:
    """What is made to read logs: the pod, and the ConfigMap it runs from. Each log begins with a line `nonce step`."""

    pod: Manifest
    config_map: Manifest
    nonce: str
    source: str

    @property
    def name(self) -> str:
        """The pod's."""
        return str(self.pod["metadata"]["name"])

    def failure(self, job: str, trouble: str) -> DefinitionError:
        """Return the error that says why nothing could be read."""
        return DefinitionError(
            "StorageFailed", f"the kept logs of Job {job!r} cannot be read from {self.source}: {trouble}"
        )


def reading(job: Object, steps: Iterable[str], archive: str, digest: str) -> Reading:
    """Return how the log of the last attempt at each of these steps is read; with the step runtime as base64.

    Raises DefinitionError (`NoImage`) when the Job does not tell in which image its storage can be read.
    """
    meta, status = job["metadata"], job["status"]
    told = status["storage"]
    ref = JobRef(meta["name"], meta["namespace"], meta["uid"])
    image = told.get("image") or (job["spec"].get("code") or {}).get("image")
    if not image:
        raise DefinitionError("NoImage", f"Job {ref.name!r} does not name an image that can read its storage")
    attempts = {step: status["steps"][step].get("attempt", 1) for step in steps}
    config_map, nonce = names.runtime_config_map(digest), secrets.token_hex(8)
    return Reading(
        log_pod(ref, image, Storage.from_status(told), config_map, nonce, attempts),
        runtime_config_map(ref.namespace, config_map, archive),
        nonce,
        told["url"],
    )


def ended(pod: Object) -> str | None:
    """Return what kept the pod from its work, "" when it has done it, and None while it goes on."""
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return ""
    if status.get("phase") == "Failed":
        said = str((_state(status).get("terminated") or {}).get("message") or status.get("message") or "").strip()
        return _told(said) or "its pod failed"
    return None


def too_slow(pod: Object) -> str:
    """Return the sentence for a pod that is not done within :data:`SHOW_SECONDS`, with what it waits for."""
    status = pod.get("status") or {}
    waiting = _state(status).get("waiting") or {}
    why = ": ".join(part for part in (waiting.get("reason"), waiting.get("message")) if part) or next(
        (c["message"] for c in status.get("conditions") or () if c["status"] == "False" and c.get("message")), ""
    )
    return f"the pod that reads them was not done within {SHOW_SECONDS} s" + (f" ({why})" if why else "")


def has_run(record: Object) -> bool:
    """Whether a step's record tells of an attempt that has ended, and so may have left a log."""
    return record["state"] in ("Succeeded", "Failed", "Canceled") and record.get("attempt", 0) > 0


def lost(job: Object) -> str:
    """Return why a log is gone with its pod: its Job's storage has none of it, or was never told to keep it."""
    kept = ((job.get("status") or {}).get("storage") or {}).get("logs")
    return _NONE_KEPT if kept else _NEVER_KEPT


def _state(status: Object) -> Object:
    found: Object = next((s.get("state") or {} for s in status.get("containerStatuses") or ()), {})
    return found


def _told(message: str) -> str:
    """Return what a pod says of its end, as a person reads it."""
    try:
        return Record.from_text(message).message
    except ProtocolError:
        return message[-500:]
