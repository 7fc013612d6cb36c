"""Summaries of Jobs for the list of runs, from the few fields that are kept in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from podgraph.api import Ready
from podgraph.planning.model.names import GROUP
from podgraph.scheduling.job_factory import SCHEDULE_LABEL, SENSOR_LABEL
from podgraph.server.views import Definition, Summary

__all__ = ["DefinitionItem", "JobItem", "RunFilter", "definition_summary", "order_of", "run_summary"]

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
    uid: str = ""


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
    """The fields of a Job that the reflector keeps."""

    metadata: _Meta
    spec: _JobSpec = _JobSpec()
    status: _JobStatus = _JobStatus()


class _DefinitionStatus(_Part, frozen=True):
    conditions: list[_Condition] = []
    op_count: int | None = None


class DefinitionItem(_Part, frozen=True):
    """The fields of a JobDefinition that the reflector keeps."""

    metadata: _Meta
    status: _DefinitionStatus = _DefinitionStatus()


def run_summary(job: JobItem) -> Summary:
    """Return the summary of a Job."""
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
        "maker": _maker(meta.labels),
        "tags": {key: value for key, value in meta.labels.items() if not key.startswith(f"{GROUP}/")},
    }


def _maker(labels: Mapping[str, str]) -> str:
    for label, kind in ((SCHEDULE_LABEL, "schedules"), (SENSOR_LABEL, "sensors")):
        if label in labels:
            return f"{kind}/{labels[label]}"
    return ""


def definition_summary(item: DefinitionItem, last: JobItem | None = None) -> Definition:
    """Return the summary of a JobDefinition; `last` is its newest run."""
    meta = item.metadata
    ready = next((c for c in item.status.conditions if c.type == "Ready"), _Condition())
    now = Ready.at(meta.generation, ready.observed_generation, ready.status, ready.reason, ready.message)
    return {
        "namespace": meta.namespace,
        "name": meta.name,
        "created": meta.creation_timestamp,
        "ready": now.status,
        "message": now.message,
        "ops": item.status.op_count,
        "lastRun": None if last is None else run_summary(last),
    }


def order_of(job: JobItem) -> tuple[str, str, str]:
    """Return the sort key of a run; newest first when reversed."""
    return job.metadata.creation_timestamp, job.metadata.namespace, job.metadata.name


@dataclass(frozen=True)
class RunFilter:
    """A filter of runs; empty fields match every run.

    `text` occurs in the run's name, namespace, definition or a tag written as key=value. The run has all `tags` (one
    without `=` matches any value). It was created between `since` and `until`, and was not finished at `alive`.
    """

    states: frozenset[str] = frozenset()
    text: str = ""
    namespace: str = ""
    definition: str = ""
    maker: str = ""
    tags: tuple[str, ...] = field(default=())
    since: str = ""
    until: str = ""
    alive: str = ""

    def takes(self, summary: Summary) -> bool:
        """Whether a run matches."""
        wanted = (
            not self.states or summary["state"] in self.states,
            not self.namespace or summary["namespace"] == self.namespace,
            not self.definition or summary["definition"] == self.definition,
            not self.maker or summary["maker"] == self.maker,
            not self.since or summary["created"] >= self.since,
            not self.until or summary["created"] < self.until,
            not self.alive or not summary["finished"] or (summary["completion"] or summary["created"]) >= self.alive,
        )
        if not all(wanted):
            return False
        own = [f"{key}={value}" for key, value in summary["tags"].items()]
        if not all(tag in own if "=" in tag else tag in summary["tags"] for tag in self.tags):
            return False
        places = [summary["name"], summary["namespace"], summary["definition"], summary["code"], *own]
        return not self.text or any(self.text in place.lower() for place in places)
