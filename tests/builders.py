"""Builders of the objects that tests feed to the planner, so that a test says only what matters to it.

>>> pod("a-1").created(0.0).gated().obj().status.conditions[0].reason
'SchedulingGated'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podgraph.planning.actions import Actions
from podgraph.planning.job.run import Run
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.model import names
from podgraph.planning.pods.types import (
    Condition,
    ContainerState,
    ContainerStatus,
    Meta,
    Pod,
    PodStatus,
    Running,
    Terminated,
    Waiting,
)
from podgraph.protocol.times import utc

__all__ = [
    "NOW",
    "NO_RETRIES",
    "SETTINGS",
    "Obj",
    "PodBuilder",
    "created",
    "ended",
    "image_op",
    "job",
    "look",
    "make_run",
    "merged",
    "op",
    "pod",
    "pod_with",
    "states",
]

Obj = dict[str, Any]

NOW = 1_800_000_000.0
SETTINGS = Settings("python:3", "runtime")
NO_RETRIES = {"infrastructureRetries": 0}


class PodBuilder:
    """A pod as the reflector keeps it; each method returns the builder, :meth:`obj` the pod."""

    def __init__(self, name: str, containers: Sequence[str] = (names.CONTAINER,)) -> None:
        self._name, self._containers = name, containers
        self._uid, self._labels = f"uid-of-{name}", dict[str, str]()
        self._created = self._deleted = None
        self._phase, self._state = "Pending", ContainerState()
        self._conditions: list[Condition] = []
        self._gone = False

    def uid(self, uid: str) -> PodBuilder:
        """Give it this uid."""
        self._uid = uid
        return self

    def created(self, time: float) -> PodBuilder:
        """Say when it was created."""
        self._created = utc(time)
        return self

    def gated(self) -> PodBuilder:
        """Have a scheduling gate hold it, as Kueue does."""
        return self._unscheduled("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")

    def unschedulable(self) -> PodBuilder:
        """Have the scheduler find no node for it."""
        return self._unscheduled("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")

    def stuck(self, reason: str = "ErrImagePull", message: str = "unauthorized: log in first") -> PodBuilder:
        """Have its containers wait for a reason."""
        self._state = ContainerState(waiting=Waiting(reason, message))
        return self

    def running(self, since: float) -> PodBuilder:
        """Have its containers run since then."""
        self._phase, self._state = "Running", ContainerState(running=Running(utc(since)))
        return self

    def exited(self, code: int = 0, message: str = "", reason: str = "") -> PodBuilder:
        """Have its containers end with an exit code and a termination message."""
        self._phase = "Failed" if code else "Succeeded"
        self._state = ContainerState(terminated=Terminated(code, 0, reason, message, None, None))
        return self

    def deleted(self, until: float) -> PodBuilder:
        """Have it deleted, with a grace period that ends then."""
        self._deleted = utc(until)
        return self

    def gone(self) -> PodBuilder:
        """Have it gone."""
        self._gone = True
        return self

    def obj(self) -> Pod:
        """Return the pod."""
        statuses = [ContainerStatus(name, self._state) for name in self._containers]
        meta = Meta(
            self._name, "default", self._uid, labels=self._labels, creation_timestamp=self._created,
            deletion_timestamp=self._deleted,
        )  # fmt: skip
        status = PodStatus(phase=self._phase, conditions=self._conditions, container_statuses=statuses)
        return Pod(meta, status, self._gone)

    def _unscheduled(self, reason: str, message: str) -> PodBuilder:
        self._conditions = [Condition("PodScheduled", "False", reason, message)]
        self._containers = ()
        return self


def pod(name: str, containers: Sequence[str] = (names.CONTAINER,)) -> PodBuilder:
    """Begin to build a pod that was not seen to start yet."""
    return PodBuilder(name, containers)


def op(name: str, *upstream: str, **fields: Any) -> Obj:
    """Return a script op of a Job that takes the results of these ops."""
    inputs = [{"name": up, "from": {"op": up}} for up in upstream]
    made = {"name": name, "image": "busybox:1", "script": "true", "inputs": inputs, "outputs": [{"name": "result"}]}
    return {**made, **fields}


def job(status: Obj | None = None, **spec: Any) -> Obj:
    """Return a Job as the API server gives it."""
    meta = {"name": "j", "namespace": "default", "uid": "u1", "generation": 1}
    return {"metadata": meta, "spec": spec, **({"status": status} if status else {})}


def image_op(name: str, *upstream: str, **fields: Any) -> Obj:
    """Return an op of a Job that runs the own command of its image, and takes the results of these ops."""
    made = op(name, *upstream, **fields)
    return {key: value for key, value in made.items() if key != "script" or key in fields}


def make_run(*ops: Obj, status: Obj | None = None, **spec: Any) -> Run:
    """Return the Run of a Job of these ops, or of one whose spec says by itself what it runs."""
    return Run(job(status, **({"ops": list(ops)} if ops else {}), **spec), SETTINGS)


def look(run: Run, *pods: Pod, now: float = NOW) -> Actions:
    """Run one pass in which all of the pods have changed."""
    known = {pod.metadata.name: pod for pod in pods}
    return run.advance(known, known, now)


def created(actions: Actions) -> list[str]:
    """Return the ops whose pods a pass creates."""
    return [pod["metadata"]["annotations"][names.OP_ANNOTATION] for pod in actions.creates]


def states(run: Run) -> dict[str, str]:
    """Return the state of each step."""
    assert run.steps is not None
    return {name: record.state for name, record in run.steps.records.items()}


def pod_with(name: str, state: ContainerState | None = None, uid: str = "p1", **status: Any) -> Pod:
    """Return a pod whose container is in this state; without a state it has not got that far."""
    containers = [ContainerStatus(names.CONTAINER, state)] if state else []
    return Pod(Meta(name, "default", uid), PodStatus(container_statuses=containers, **status))


def ended(name: str, message: str = "result=1", code: int = 0, uid: str = "p1") -> Pod:
    """Return a pod whose container ended long ago, with a termination message."""
    time = "2026-11-23T09:00:00Z"
    return pod_with(name, ContainerState(terminated=Terminated(code, 0, "", message, time, time)), uid)


def merged(status: Obj, patch: Obj) -> Obj:
    """Apply a JSON merge patch (RFC 7386)."""
    out = dict(status)
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key) or {}, value) if isinstance(value, dict) else value
    return out
