"""`spec.execution`, and the few fields by which a user steers a job that exists: suspend, cancel, its lifetime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.run_config.execution import TagLimit

__all__ = ["Control", "ExecutionSpec", "read_control", "read_execution_spec"]

Object = Mapping[str, Any]

PENDING_SECONDS = 600
"""How long a pod may stay unscheduled or without a running container when the Job says nothing: enough for a cluster
autoscaler to bring a node and for a large image to come, and short enough that nobody waits for ever (Dagster's
executor has no such limit at all)."""
INFRASTRUCTURE_RETRIES = 3


@dataclass(frozen=True)
class ExecutionSpec:
    """How a Job's steps are run. `max_concurrent` is None where there is no limit."""

    max_concurrent: int | None = None
    tag_limits: tuple[TagLimit, ...] = ()
    pending_seconds: float = PENDING_SECONDS
    infrastructure_retries: int = INFRASTRUCTURE_RETRIES
    retention: str = "OnFailure"


@dataclass(frozen=True)
class Control:
    """What may change while the Job lives. `ttl` is in seconds, None when the Job is kept."""

    suspend: bool = False
    cancel: bool = False
    ttl: int | None = None


def read_control(spec: Object) -> Control:
    """Read the mutable fields of a spec.

    >>> read_control({"suspend": True, "ttlSecondsAfterFinished": 60})
    Control(suspend=True, cancel=False, ttl=60)
    """
    return Control(bool(spec.get("suspend")), bool(spec.get("cancel")), spec.get("ttlSecondsAfterFinished"))


def read_execution_spec(data: Object) -> ExecutionSpec:
    """Read `spec.execution` as the API server has checked it. Raises DefinitionError for what its schema cannot say."""
    return ExecutionSpec(
        max_concurrent=data.get("maxConcurrent"),
        tag_limits=tuple(_tag_limit(at, item) for at, item in enumerate(data.get("tagConcurrencyLimits") or ())),
        pending_seconds=data.get("pendingTimeoutSeconds", PENDING_SECONDS),
        infrastructure_retries=data.get("infrastructureRetries", INFRASTRUCTURE_RETRIES),
        retention=data.get("podRetention", "OnFailure"),
    )


def _tag_limit(at: int, item: Object) -> TagLimit:
    if item.get("perValue") and "value" in item:
        raise DefinitionError(
            "InvalidSpec",
            f"spec.execution.tagConcurrencyLimits[{at}] sets value and perValue; a limit for one value has no others",
        )
    return TagLimit(item["key"], item["limit"], item.get("value"), bool(item.get("perValue")))
