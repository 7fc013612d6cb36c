"""What the API of podgraph.dev is called, and how objects of it are read and written. Pure, standard library only.

Conditions are read here and nowhere else, so that "finished", "succeeded" and "ready" mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = [
    "API_VERSION", "GROUP", "VERSION", "Object", "Ready", "condition_of", "find_condition", "is_finished",
    "is_succeeded", "is_true", "manifest", "owner_reference", "ready_of",
]  # fmt: skip

GROUP, VERSION = "podgraph.dev", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

Object = Mapping[str, Any]
"""A Kubernetes object, or a part of one, that is only read."""


def manifest(kind: str, metadata: Object, spec: Object) -> dict[str, Any]:
    """Return an object of the API as it is sent to the API server."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": dict(metadata), "spec": dict(spec)}


def owner_reference(owner: Object) -> dict[str, Any]:
    """Return the reference that makes an object of the API the controller of another."""
    meta = owner["metadata"]
    return {
        "apiVersion": API_VERSION, "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"], "controller": True
    }  # fmt: skip


def find_condition(status: Object | None, kind: str) -> Object:
    """Return the condition of a type in a status; an empty mapping when there is none."""
    found: Object = next((c for c in (status or {}).get("conditions") or () if c.get("type") == kind), {})
    return found


def condition_of(found: Object, kind: str) -> Object:
    """Return an object's condition of a type; an empty mapping when it has none."""
    return find_condition(found.get("status"), kind)


def is_true(found: Object, kind: str) -> bool:
    """Return whether an object's condition of a type has the status True."""
    return condition_of(found, kind).get("status") == "True"


def is_finished(job: Object) -> bool:
    """Return whether a Job is at its end, in success or failure."""
    return is_true(job, "Finished")


def is_succeeded(job: Object) -> bool:
    """Return whether a Job has succeeded."""
    return is_true(job, "Succeeded")


class Ready(NamedTuple):
    """The condition Ready of an object's current spec: `status` is True, False, or Unknown."""

    status: str = "Unknown"
    reason: str = ""
    message: str = "the operator has not reconciled it yet"

    @classmethod
    def at(cls, generation: int, observed: int, status: str, reason: str, message: str) -> Ready:
        """Return what a condition says of this generation: nothing if it was written for another."""
        return cls(status, reason, message) if status and observed == generation else cls()


def ready_of(found: Object) -> Ready:
    """Return whether a JobDefinition, JobSchedule or JobSensor is ready as it is written now.

    A condition that the operator wrote for an earlier generation says nothing about the current spec.
    """
    ready = condition_of(found, "Ready")
    return Ready.at(
        found["metadata"].get("generation", 0), ready.get("observedGeneration", 0), ready.get("status", ""),
        ready.get("reason", ""), ready.get("message", ""),
    )  # fmt: skip
