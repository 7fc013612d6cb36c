"""What the list of runs shows of each Job: the few fields that are kept of it in memory."""

from __future__ import annotations

from typing import Any

import msgspec

from podgraph.planning.names import GROUP

__all__ = ["DefinitionItem", "JobItem", "definition_summary", "matches", "order_of", "run_summary"]

_MOST_MESSAGE = 300


class _Part(msgspec.Struct, rename="camel", frozen=True, gc=False):
    pass


class _Meta(_Part, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}


class _Ref(_Part, frozen=True):
    name: str = ""


class _Code(_Part, frozen=True):
    job: str = ""
    module: str = ""


class _Condition(_Part, frozen=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    observed_generation: int = 0


class _JobSpec(_Part, frozen=True):
    code: _Code | None = None
    definition_ref: _Ref | None = None
    rerun_of: _Ref | None = None
    cancel: bool = False


class _JobStatus(_Part, frozen=True):
    conditions: list[_Condition] = []
    start_time: str | None = None
    completion_time: str | None = None
    progress: str = ""
    counts: dict[str, int] = {}


class JobItem(_Part, frozen=True):
    """A Job as the reflector keeps it."""

    metadata: _Meta
    spec: _JobSpec = _JobSpec()
    status: _JobStatus = _JobStatus()


class _DefinitionStatus(_Part, frozen=True):
    conditions: list[_Condition] = []
    op_count: int | None = None


class DefinitionItem(_Part, frozen=True):
    """A JobDefinition as the reflector keeps it."""

    metadata: _Meta
    status: _DefinitionStatus = _DefinitionStatus()


def run_summary(job: JobItem) -> dict[str, Any]:
    """Return what the page shows of a Job in its list."""
    meta, spec, status = job.metadata, job.spec, job.status
    by_type = {condition.type: condition for condition in status.conditions}
    state = by_type.get("Succeeded", _Condition())
    definition = spec.definition_ref.name if spec.definition_ref else ""
    code = spec.code.job or spec.code.module if spec.code else ""
    return {
        "namespace": meta.namespace,
        "name": meta.name,
        "uid": meta.uid,
        "created": meta.creation_timestamp,
        "deleting": meta.deletion_timestamp is not None,
        "state": state.reason or "Pending",
        "message": state.message[:_MOST_MESSAGE],
        "finished": by_type.get("Finished", _Condition()).status == "True",
        "canceling": spec.cancel,
        "progress": status.progress,
        "counts": status.counts,
        "start": status.start_time,
        "completion": status.completion_time,
        "definition": definition,
        "code": code,
        "rerunOf": spec.rerun_of.name if spec.rerun_of else "",
        "tags": {key: value for key, value in meta.labels.items() if not key.startswith(f"{GROUP}/")},
    }


def definition_summary(item: DefinitionItem) -> dict[str, Any]:
    """Return what the page shows of a JobDefinition in its list."""
    meta = item.metadata
    ready = next((c for c in item.status.conditions if c.type == "Ready"), _Condition())
    seen = ready.observed_generation in (0, meta.generation)
    return {
        "namespace": meta.namespace,
        "name": meta.name,
        "created": meta.creation_timestamp,
        "ready": ready.status if seen and ready.status else "Unknown",
        "message": ready.message if seen else "the operator has not seen it yet",
        "ops": item.status.op_count,
    }


def order_of(job: JobItem) -> tuple[str, str, str]:
    """Return what runs are sorted by: the newest first when reversed."""
    return job.metadata.creation_timestamp, job.metadata.namespace, job.metadata.name


def matches(summary: dict[str, Any], states: frozenset[str], text: str) -> bool:
    """Whether a run is one of those that a list asks for.

    `text` stands somewhere in its name, namespace, definition or a tag written as key=value.
    """
    if states and summary["state"] not in states:
        return False
    if not text:
        return True
    tags = [f"{key}={value}" for key, value in summary["tags"].items()]
    places = [summary["name"], summary["namespace"], summary["definition"], summary["code"], *tags]
    return any(text in place.lower() for place in places)
