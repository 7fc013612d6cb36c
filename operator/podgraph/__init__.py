"""podgraph: jobs made of ops, each step its own Kubernetes pod.

>>> from podgraph import job, op
"""

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

__version__ = "0.1.0"

__all__ = [
    "Backoff",
    "DefinitionError",
    "ExecutorDefinition",
    "Failure",
    "Field",
    "GraphDefinition",
    "GraphOut",
    "HookDefinition",
    "In",
    "Jitter",
    "JobDefinition",
    "Nothing",
    "OpDefinition",
    "Out",
    "Output",
    "ResourceDefinition",
    "RetryPolicy",
    "RetryRequested",
    "failure_hook",
    "graph",
    "in_process_executor",
    "job",
    "multiprocess_executor",
    "op",
    "resource",
    "success_hook",
]
