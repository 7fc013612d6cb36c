"""How large a Job may be: its status must fit into one Kubernetes object together with its spec."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph

__all__ = ["MAX_JOB_OUTPUTS", "MAX_MESSAGE", "MAX_OBJECT", "MAX_OPS", "check_ops", "longest_message", "output_budget"]

MAX_OPS = 5_000
"""The most ops one job may have in a cluster: their records must fit into one Kubernetes object."""
MAX_OBJECT = 1_400_000
"""Most bytes a Job may have as Kubernetes stores it (etcd takes 1.5 MiB)."""
MAX_JOB_OUTPUTS = 524_288
MAX_MESSAGE = 1_024
"""Most characters of the message in a step's record."""

_LARGE = 1_000
_RECORD_BYTES, _SHORT_RECORD_BYTES = 280, 150  # without the step's name
_MESSAGES, _LEAST_MESSAGE = 16_384, 40


def check_ops(graph: Graph) -> None:
    """Refuse a graph that has too many ops."""
    if len(graph.ops) > MAX_OPS:
        raise DefinitionError("TooManyOps", f"the job has {len(graph.ops)} ops; at most {MAX_OPS} are allowed")


def longest_message(steps: int, troubled: int) -> int:
    """Return how long messages in the records of a large Job may be, 0 when the Job is not large.

    There records are short (see StepRecord.to_patch), and so are messages once many of them are `troubled`.

    >>> [longest_message(*of) for of in ((1_000, 900), (5_000, 1), (5_000, 100), (5_000, 5_000))]
    [0, 1024, 163, 40]
    """
    if steps <= _LARGE:
        return 0
    return max(_LEAST_MESSAGE, min(MAX_MESSAGE, _MESSAGES // max(1, troubled)))


def output_budget(job: Mapping[str, Any], packed: int, steps: Collection[str]) -> int:
    """Return how many bytes of outputs fit into a Job's status beside all else.

    `packed` is the size of its packed graph, `steps` are the names of those that are selected.
    """
    spec = len(json.dumps(job["spec"], ensure_ascii=False).encode())
    meta = len(json.dumps(job["metadata"], ensure_ascii=False).encode())
    each = _SHORT_RECORD_BYTES if len(steps) > _LARGE else _RECORD_BYTES
    records = sum(each + len(step.encode()) for step in steps)
    room = MAX_OBJECT - spec - meta - packed - records
    if room < 16_384:
        raise DefinitionError(
            "TooLarge",
            f"the job would be {MAX_OBJECT - room:,} bytes with its status; at most {MAX_OBJECT:,} bytes fit: use "
            "fewer ops or shorter scripts (kubectl apply keeps a second copy of the spec, kubectl create does not)",
        )
    return min(MAX_JOB_OUTPUTS, room)
