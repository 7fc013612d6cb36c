"""The resolve pod becomes a step's: when it has told the graph it waits, with the code loaded, for the first step.

That is the first that begins of those whose pods are made as it is, so that a Job of Python code pays for no pod and no
import more than its steps do. Where none begins at once the pod is told to end. Its name stays what it was; its labels
and annotations then name the op, by which it is found, also after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from podgraph.planning.actions import Actions, Assign
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.names import AHEAD_LABEL, ASSIGNED, OP_ANNOTATION, OP_LABEL, WAITING, label_value
from podgraph.planning.pods.outcome import read_record
from podgraph.planning.pods.state import Phase, PodState, is_alive, observe
from podgraph.planning.pods.types import Pod
from podgraph.planning.steps.records import Steps

__all__ = ["STAY_SECONDS", "ResolveHandoff", "end_resolve_pod", "is_staying"]

STAY_SECONDS = 60
"""How long it waits at most: an operator that is started anew meanwhile still finds it."""

_MAY_RUN = (Phase.STARTING, Phase.RUNNING)  # by its link the graph comes before the kubelet says that it runs

Pods = Mapping[str, Pod]


def is_staying(pod: Pod) -> bool:
    """Whether a resolve pod has yet to be told how it goes on, and can be."""
    labels = pod.metadata.labels
    return labels.get(AHEAD_LABEL) == WAITING and OP_LABEL not in labels and is_alive(pod)


def end_resolve_pod(maker: PodFactory, attempt: int, pod: Pod, actions: Actions) -> None:
    """Tell a resolve pod not to wait for a step."""
    told = {AHEAD_LABEL: ASSIGNED}
    actions.assigns.append(Assign(pod.metadata.name, pod.metadata.uid, maker.resolve_end(attempt), told))


class ResolveHandoff:
    """The resolve pod of one Job, as the pod of the first attempt at one of its steps; `most` see Resolver."""

    def __init__(self, steps: Steps, maker: PodFactory, most: int) -> None:
        self._steps = steps
        self._maker = maker
        self._attempts = range(1, most + 1)
        self._attempt = 0
        self._waits: Pod | None = None
        self._step = ""  # whose it is
        self._name = ""

    def find(self, pods: Pods) -> None:
        """Learn from the pods that are there whether it may wait, or whose it is."""
        for attempt in self._attempts:
            pod = pods.get(self._maker.resolve_name(attempt))
            if pod is None or AHEAD_LABEL not in pod.metadata.labels:
                continue
            self._attempt = attempt
            if step := self._owner(pod):
                self._step, self._name = step, pod.metadata.name
            elif OP_LABEL not in pod.metadata.labels:
                self._waits = pod

    def name_of(self, step: str, attempt: int) -> str:
        """Return its name if it is the pod of this attempt at a step, else ""."""
        return self._name if attempt == 1 and step == self._step else ""

    def take(self, step: str, pods: Pods) -> None:
        """Say that the first attempt at a step begins: it is its pod, if it can be."""
        if self._waits is None or self._steps.records[step].attempt or not self._maker.can_take_over(step):
            return
        pod = pods.get(self._waits.metadata.name)
        if pod is not None and is_staying(pod) and observe(pod).phase in _MAY_RUN:
            self._step, self._name, self._waits = step, pod.metadata.name, None

    def let_go(self, actions: Actions) -> None:
        """Tell it to end, if it still waits: no step begins with it."""
        pod, self._waits = self._waits, None
        if pod is None:
            return
        actions.leave.append(pod.metadata.name)
        if is_staying(pod):
            end_resolve_pod(self._maker, self._attempt, pod, actions)

    def named(self, step: str, item: Assign) -> Assign:
        """Return what a pod is told of its step; to this one also its labels and annotations tell whose it is now."""
        if item.pod != self._name:
            return item
        labels = {**item.labels, OP_LABEL: label_value(step)}
        return replace(item, annotations={**item.annotations, OP_ANNOTATION: step}, labels=labels)

    def has_missed(self, pod: Pod, seen: PodState) -> bool:
        """Whether it ended before it was told of its step: its record is still that of the graph."""
        if pod.metadata.name != self._name:
            return False
        return read_record(seen, self._maker.signer_of("", self._attempt)) is not None

    def _owner(self, pod: Pod) -> str:
        """Return whose it is: of a step that has it in its record, or that its label names if that was not written."""
        label = pod.metadata.labels.get(OP_LABEL)
        for step in self._steps.alone:
            record = self._steps.records[step]
            if record.pod_uid == pod.metadata.uid and record.attempt == 1:
                return step
            if label is not None and not record.attempt and label_value(step) == label:
                return step
        return ""
