"""podgraph: jobs made of ops, each step its own Kubernetes pod.

>>> from podgraph import job, op
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podgraph.definition.config_types import Field
from podgraph.definition.errors import DefinitionError
from podgraph.definition.executors import ExecutorDefinition, in_process_executor, multiprocess_executor
from podgraph.definition.graphs import GraphDefinition, graph
from podgraph.definition.hooks import HookDefinition, failure_hook, success_hook
from podgraph.definition.jobs import JobDefinition, job
from podgraph.definition.ops import OpDefinition, op
from podgraph.definition.resources import ResourceDefinition, resource
from podgraph.definition.retry import Backoff, Failure, Jitter, RetryPolicy, RetryRequested
from podgraph.definition.values import GraphOut, In, Nothing, Out, Output

if TYPE_CHECKING:
    from podgraph.definition.requests import RunRequest, SensorResult, SkipReason
    from podgraph.definition.schedules import (
        DefaultScheduleStatus,
        ScheduleDefinition,
        ScheduleEvaluationContext,
        build_schedule_context,
        schedule,
    )
    from podgraph.definition.sensors import (
        DefaultSensorStatus,
        SensorDefinition,
        SensorEvaluationContext,
        build_sensor_context,
        sensor,
    )
    from podgraph.runtime.context import HookContext, InitResourceContext, OpContext, build_op_context
    from podgraph.runtime.result import ExecuteInProcessResult

    OpExecutionContext = OpContext

__version__ = "0.1.0"

__all__ = [
    "Backoff",
    "DefaultScheduleStatus",
    "DefaultSensorStatus",
    "DefinitionError",
    "ExecuteInProcessResult",
    "ExecutorDefinition",
    "Failure",
    "Field",
    "GraphDefinition",
    "GraphOut",
    "HookContext",
    "HookDefinition",
    "In",
    "InitResourceContext",
    "Jitter",
    "JobDefinition",
    "Nothing",
    "OpContext",
    "OpDefinition",
    "OpExecutionContext",
    "Out",
    "Output",
    "ResourceDefinition",
    "RetryPolicy",
    "RetryRequested",
    "RunRequest",
    "ScheduleDefinition",
    "ScheduleEvaluationContext",
    "SensorDefinition",
    "SensorEvaluationContext",
    "SensorResult",
    "SkipReason",
    "build_op_context",
    "build_schedule_context",
    "build_sensor_context",
    "failure_hook",
    "graph",
    "in_process_executor",
    "job",
    "multiprocess_executor",
    "op",
    "resource",
    "schedule",
    "sensor",
    "success_hook",
]

# Imported when they are asked for: what only a run has, and what only schedules and sensors are made of.
_LATER = {
    "ExecuteInProcessResult": "runtime.result",
    "HookContext": "runtime.context",
    "InitResourceContext": "runtime.context",
    "OpContext": "runtime.context",
    "OpExecutionContext": "runtime.context",
    "build_op_context": "runtime.context",
    "RunRequest": "definition.requests",
    "SensorResult": "definition.requests",
    "SkipReason": "definition.requests",
    "DefaultScheduleStatus": "definition.schedules",
    "ScheduleDefinition": "definition.schedules",
    "ScheduleEvaluationContext": "definition.schedules",
    "build_schedule_context": "definition.schedules",
    "schedule": "definition.schedules",
    "DefaultSensorStatus": "definition.sensors",
    "SensorDefinition": "definition.sensors",
    "SensorEvaluationContext": "definition.sensors",
    "build_sensor_context": "definition.sensors",
    "sensor": "definition.sensors",
}
_OWN_NAMES = {"OpExecutionContext": "OpContext"}  # Dagster's names


def __getattr__(name: str) -> Any:
    """Import one of these names."""
    if name not in _LATER:
        raise AttributeError(f"module 'podgraph' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"podgraph.{_LATER[name]}"), _OWN_NAMES.get(name, name))
    globals()[name] = value
    return value
