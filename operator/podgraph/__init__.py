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
from podgraph.definition.requests import RunRequest, SensorResult, SkipReason
from podgraph.definition.resources import ResourceDefinition, resource
from podgraph.definition.retry import Backoff, Failure, Jitter, RetryPolicy, RetryRequested
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
from podgraph.definition.values import GraphOut, In, Nothing, Out, Output

if TYPE_CHECKING:
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

# What a run has is imported when it is asked for: defining jobs needs none of it.
_LATER = {
    "ExecuteInProcessResult": "result.ExecuteInProcessResult",
    "HookContext": "context.HookContext",
    "InitResourceContext": "context.InitResourceContext",
    "OpContext": "context.OpContext",
    "OpExecutionContext": "context.OpContext",  # Dagster's name of it
    "build_op_context": "context.build_op_context",
}


def __getattr__(name: str) -> Any:
    """Import a name of the runtime's."""
    if name not in _LATER:
        raise AttributeError(f"module 'podgraph' has no attribute {name!r}")
    import importlib

    module, _, own = _LATER[name].partition(".")
    value = getattr(importlib.import_module(f"podgraph.runtime.{module}"), own)
    globals()[name] = value
    return value
