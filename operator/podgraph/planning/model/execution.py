"""`spec.execution`, what run config says beside it, and the few fields by which a user steers a job that exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.run_config.binding import merge
from podgraph.run_config.execution import TagLimit

__all__ = ["Control", "ExecutionSpec", "one_pod_section", "read_control", "read_execution_spec"]

Object = Mapping[str, Any]

PENDING_SECONDS = 600
"""How long a pod may stay unscheduled or without a running container when the Job says nothing: enough for a cluster
autoscaler to bring a node and for a large image to come, and short enough that nobody waits for ever (Dagster's
executor has no such limit at all)."""
INFRASTRUCTURE_RETRIES = 3
PRESTART = 1
MAX_PRESTARTED = 10

_EXECUTORS = {"PodPerStep": "", "InProcess": "in_process", "Multiprocess": "multiprocess"}


@dataclass(frozen=True)
class ExecutionSpec:
    """How a Job's steps are run. `max_concurrent` is None where there is no limit.

    `prestart` is how many levels of steps have pods that wait for their inputs, `max_prestarted` how many there are at
    most.
    """

    max_concurrent: int | None = None
    tag_limits: tuple[TagLimit, ...] = ()
    pending_seconds: float = PENDING_SECONDS
    infrastructure_retries: int = INFRASTRUCTURE_RETRIES
    retention: str = "OnFailure"
    mode: str = "PodPerStep"
    start_method: str = ""
    prestart: int = PRESTART
    max_prestarted: int = MAX_PRESTARTED


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
    mode, start_method = data.get("mode", "PodPerStep"), data.get("startMethod", "")
    if start_method and mode != "Multiprocess":
        raise DefinitionError(
            "InvalidSpec", f"spec.execution.startMethod is for the mode Multiprocess; the mode is {mode}"
        )
    return ExecutionSpec(
        max_concurrent=data.get("maxConcurrent"),
        tag_limits=tuple(_tag_limit(at, item) for at, item in enumerate(data.get("tagConcurrencyLimits") or ())),
        pending_seconds=data.get("pendingTimeoutSeconds", PENDING_SECONDS),
        infrastructure_retries=data.get("infrastructureRetries", INFRASTRUCTURE_RETRIES),
        retention=data.get("podRetention", "OnFailure"),
        mode=mode,
        start_method=start_method,
        prestart=data.get("prestart", PRESTART),
        max_prestarted=data.get("maxPrestarted", MAX_PRESTARTED),
    )


def one_pod_section(spec: ExecutionSpec, run_config: Object) -> dict[str, Any]:
    """Return the `execution` section of run config by which one pod runs all steps; {} for a pod per step.

    The executor that the Job's own run config names goes before the mode, and its settings before those of
    `spec.execution`. What `@job(config=...)` says chooses no mode: it is how the job runs where it is one process,
    and a Job that says nothing has a pod per step whatever its code was written for. Where the executor is the same
    the pod takes the settings from there that neither of the two makes.

    >>> one_pod_section(ExecutionSpec(mode="InProcess"), {"execution": {"config": {"multiprocess": {}}}})
    {'config': {'multiprocess': {}}}
    """
    config = (run_config.get("execution") or {}).get("config")
    named = {key: value or {} for key, value in config.items()} if isinstance(config, Mapping) else {}
    executor = next(iter(named), _EXECUTORS[spec.mode])
    if not executor:
        return {}
    settings: dict[str, Any] = {}
    if executor == "multiprocess":
        if spec.max_concurrent:
            settings["max_concurrent"] = spec.max_concurrent
        if spec.start_method:
            settings["start_method"] = {spec.start_method.lower(): {}}
        if spec.tag_limits:
            settings["tag_concurrency_limits"] = [_seed_limit(limit) for limit in spec.tag_limits]
    return {"config": merge({executor: settings}, named, ".execution.config") if named else {executor: settings}}


def _seed_limit(limit: TagLimit) -> dict[str, Any]:
    """Return a limit in the form of run config."""
    item: dict[str, Any] = {"key": limit.key, "limit": limit.limit}
    if limit.per_value:
        item["value"] = {"applyLimitPerUniqueValue": True}
    elif limit.value is not None:
        item["value"] = limit.value
    return item


def _tag_limit(at: int, item: Object) -> TagLimit:
    if item.get("perValue") and "value" in item:
        raise DefinitionError(
            "InvalidSpec",
            f"spec.execution.tagConcurrencyLimits[{at}] sets value and perValue; a limit for one value has no others",
        )
    return TagLimit(item["key"], item["limit"], item.get("value"), bool(item.get("perValue")))
