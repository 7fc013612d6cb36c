"""What one pass decides: pods to create and delete, questions to the API server, and the status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podgraph.planning.manifests.objects import Manifest
from podgraph.planning.manifests.pod_template import PodCheck

__all__ = ["Actions", "Assign", "Event", "PrestartOutcome"]


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event on the Job: `type` is Normal or Warning, `op` the name of the op that it is about, if any."""

    type: str
    reason: str
    message: str
    op: str = ""


@dataclass(frozen=True)
class Assign:
    """The assignment of a waiting pod: `annotations` and `labels` are added to the pod, or replace those it has."""

    pod: str
    uid: str
    annotations: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PrestartOutcome:
    """How many seconds a prestarted pod waited, and its end: `used` or `released`."""

    outcome: str
    seconds: float


@dataclass
class Actions:
    """What one pass decided. Empty fields request nothing."""

    copy_code: bool = False
    """Copy the code of the Job before anything else (see :meth:`Run.code_source`)."""
    freeze: bool = False
    """Copy the definition (see :class:`~podgraph.planning.job.definition_snapshot.Defined`)."""
    read_jobs: list[str] = field(default_factory=list)
    """Names of Jobs to read for :meth:`Run.jobs_found`."""
    check_pods: list[PodCheck] = field(default_factory=list)
    """Pods to create as a dry run, before :meth:`Run.pods_checked`."""
    creates: list[Manifest] = field(default_factory=list)
    """Pods to create."""
    assigns: list[Assign] = field(default_factory=list)
    """Assignments of waiting pods."""
    follow: list[str] = field(default_factory=list)
    """Pods, or `pod/container`, whose log is followed for the record of their step."""
    leave: list[str] = field(default_factory=list)
    """Entries of `follow` whose log is not needed any more."""
    deletes: list[str] = field(default_factory=list)
    """Names of pods to delete."""
    confirm: list[str] = field(default_factory=list)
    """Names of pods to read, as they seem to be gone."""
    read_log: str = ""
    """The pod whose log holds the graph."""
    follow_log: str = ""
    """The pod of all steps whose log is followed for reports."""
    read_reports: str = ""
    """The same pod, when it has ended and its whole log is read once more."""
    follow_logs: list[str] = field(default_factory=list)
    """Shared pods whose log is followed for reports."""
    read_logs: list[str] = field(default_factory=list)
    """Shared pods that have ended and whose whole log is read once more."""
    status: dict[str, Any] = field(default_factory=dict)
    """A merge patch of the status."""
    unschedulable: bool = False
    """Whether a pod of the Job finds no node."""
    prestart_outcomes: list[PrestartOutcome] = field(default_factory=list)
    """Prestarted pods that wait no more."""
    flush_status: bool = False
    """Whether the status is written at once."""
    events: list[Event] = field(default_factory=list)
    """Kubernetes Events to create."""
    requeue_time: float | None = None
    """When the next pass is due, in seconds since the epoch."""

    def requeue_at(self, time: float | None) -> None:
        """Request another pass at `time`, unless an earlier one is requested."""
        if time is not None:
            self.requeue_time = time if self.requeue_time is None else min(self.requeue_time, time)

    def drop_creates(self) -> None:
        """Create nothing after all: the Job has finished."""
        self.creates, self.assigns, self.follow, self.copy_code, self.freeze = [], [], [], False, False
        self.read_jobs, self.check_pods = [], []
        self.follow_logs, self.read_logs = [], []
        self.read_log = self.follow_log = self.read_reports = ""
