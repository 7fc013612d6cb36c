"""How large a Job may be: its status must fit into one Kubernetes object together with its spec."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph

__all__ = ["MAX_JOB_OUTPUTS", "MAX_OBJECT", "MAX_OPS", "check_ops", "output_budget"]

MAX_OPS = 5_000
"""The most ops one job may have in a cluster: their records must fit into one Kubernetes object."""
MAX_OBJECT = 1_400_000
"""Most bytes a Job may have as Kubernetes stores it (etcd takes 1.5 MiB)."""
MAX_JOB_OUTPUTS = 524_288
_RECORD_BYTES = 280


def check_ops(graph: Graph) -> None:
    """Refuse a graph that has too many ops."""
    if len(graph.ops) > MAX_OPS:
        raise DefinitionError("TooManyOps", f"the job has {len(graph.ops)} ops; at most {MAX_OPS} are allowed")


def output_budget(job: Mapping[str, Any], packed: int, steps: int) -> int:
    """Return how many bytes of outputs fit into a Job's status beside all else.

    `packed` is the size of its packed graph, `steps` how many are selected.
    """
    spec = len(json.dumps(job["spec"], ensure_ascii=False).encode())
    meta = len(json.dumps(job["metadata"], ensure_ascii=False).encode())
    room = MAX_OBJECT - spec - meta - packed - _RECORD_BYTES * steps
    if room < 16_384:
        raise DefinitionError(
            "TooLarge",
            f"the job would be {MAX_OBJECT - room:,} bytes with its status; at most {MAX_OBJECT:,} bytes fit: use "
            "fewer ops or shorter scripts (kubectl apply keeps a second copy of the spec, kubectl create does not)",
        )
    return min(MAX_JOB_OUTPUTS, room)
