"""podgraph runs jobs made of ops on Kubernetes, each step in its own pod.

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
    from podgraph.runtime.local.result import ExecuteInProcessResult

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

# Imported on first access: only runs, schedules and sensors need these, so a plain job starts faster without them.
_LATER = {
    "ExecuteInProcessResult": "runtime.local.result",
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
_ASSETS = "podgraph has ops and jobs, not assets; make the function an @op and call it in a @job"
_PARTITIONS = "podgraph has no partitions; pass the day or the key in run config, for example from a @schedule"
_IO = "podgraph passes values between steps; spec.storage of the Job sets where it stores large ones"
_DYNAMIC = "podgraph knows the steps of a job before it runs; loop inside an op, or pass a list of outputs to an op"
_ELSEWHERE = {
    **dict.fromkeys(
        ("asset", "multi_asset", "graph_asset", "graph_multi_asset", "observable_source_asset", "asset_check",
         "asset_sensor", "multi_asset_sensor", "AssetExecutionContext", "AssetIn", "AssetKey", "AssetOut",
         "AssetSelection", "AssetsDefinition", "SourceAsset", "define_asset_job", "materialize",
         "load_assets_from_modules", "AutomationCondition", "AssetMaterialization"), _ASSETS),
    **dict.fromkeys(
        ("Definitions", "repository", "with_resources"),
        "leave it out; podgraph finds the jobs, schedules and sensors of a file"),
    **dict.fromkeys(("IOManager", "io_manager", "ConfigurableIOManager", "fs_io_manager", "mem_io_manager"), _IO),
    **dict.fromkeys(("DynamicOut", "DynamicOutput", "DynamicOutputDefinition"), _DYNAMIC),
    **dict.fromkeys(
        ("DailyPartitionsDefinition", "StaticPartitionsDefinition", "HourlyPartitionsDefinition",
         "MonthlyPartitionsDefinition", "WeeklyPartitionsDefinition", "PartitionsDefinition",
         "build_schedule_from_partitioned_job", "daily_partitioned_config", "static_partitioned_config"), _PARTITIONS),
    **dict.fromkeys(
        ("ConfigurableResource", "Config", "RunConfig"),
        "use a dataclass, a TypedDict or a pydantic model: annotate the op's parameter `config` with it, or pass "
            "it as config_schema to @resource"),
    "EnvVar": "read os.environ in the op or the @resource",
    "get_dagster_logger": "use context.log, or Python's logging",
    "MetadataValue": "print it, or make it an output",
}  # fmt: skip
_OWN_NAMES = {"OpExecutionContext": "OpContext"}  # Dagster's names


def __getattr__(name: str) -> Any:
    """Import a public name on first access. Raises AttributeError for an unknown name."""
    if name not in _LATER:
        hint = f", which is Dagster's: {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        raise AttributeError(f"module 'podgraph' has no attribute {name!r}{hint}")
    import importlib

    value = getattr(importlib.import_module(f"podgraph.{_LATER[name]}"), _OWN_NAMES.get(name, name))
    globals()[name] = value
    return value
