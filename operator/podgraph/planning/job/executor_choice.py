"""Which executor runs the steps of an accepted Job, and with which records it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from podgraph.definition.graph import Graph
from podgraph.planning.executors.base import StepExecutor
from podgraph.planning.executors.pod_per_step import PodPerStep
from podgraph.planning.executors.single_pod import SinglePod
from podgraph.planning.executors.with_groups import WithGroups
from podgraph.planning.groups.steps import GroupedSteps, SharingSteps
from podgraph.planning.job.acceptance import Plan
from podgraph.planning.job.rerun_of import json_values
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.spec import JobSpec
from podgraph.planning.model.status import StepRecord
from podgraph.planning.pods.types import Pods
from podgraph.planning.steps.records import ReportedSteps, Steps

__all__ = ["executor_for", "load_records"]

Object = Mapping[str, Any]


def load_records(status: Object) -> dict[str, StepRecord]:
    """Return the records of `status.steps` as an operator continues with them."""
    return {name: _as_loaded(StepRecord.from_status(data)) for name, data in (status.get("steps") or {}).items()}


def executor_for(
    plan: Plan, graph: Graph, spec: JobSpec, maker: PodFactory, budget: int, records: Mapping[str, StepRecord],
    pod_records: Mapping[str, Object], pods: Pods,
) -> StepExecutor:  # fmt: skip
    """Return the executor for the `plan` of a Job: one pod for all steps, pods that some share, or a pod per step.

    `budget` is the most bytes of outputs that the status has room for. `records` and `pod_records` are those of the
    status, `pods` the pods that exist.
    """
    taken, inputs, sharing = plan.taken, plan.bound.inputs, plan.pod_groups
    selected = taken.names(graph)
    records = {**records, **taken.records}
    if plan.one_pod:
        group = spec.group(plan.one_pod)
        if taken.records:
            group |= {"selection": list(taken.run), "taken": json_values(graph, taken)}
        return SinglePod(ReportedSteps(graph, selected, inputs, records), maker, spec.execution, budget, group)
    if sharing:
        kind = GroupedSteps if plan.containers else SharingSteps
        steps = kind(graph, selected, inputs, records, sharing)
        return WithGroups(steps, maker, spec.execution, budget, pod_records, pods)
    return PodPerStep(Steps(graph, selected, inputs, records), maker, spec.execution, budget, pods)


def _as_loaded(record: StepRecord) -> StepRecord:
    """Return a step whose pod was never seen as one that has yet to begin; it gets one pod, as the name is fixed."""
    if record.state == "Waiting":
        return replace(record, state="Pending", pod_uid="")
    if record.state != "Starting" or record.pod_uid:
        return record
    before = record.attempt - 1
    return StepRecord("UpForRetry", before, record.infra_failures) if before > 0 else StepRecord()
