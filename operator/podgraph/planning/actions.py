"""What the planner is told once and what it answers each time."""

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
    """What a waiting pod is to do: `annotations` tell it, or take the place of those it has; so do `labels`."""

    pod: str
    uid: str
    annotations: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PrestartOutcome:
    """How long a pod started ahead has waited, in seconds, and what became of it: `used` or `released`."""

    outcome: str
    seconds: float


@dataclass
class Actions:
    """What one pass decided. Empty fields ask for nothing.

    `copy_code` asks for the Job's own copy of its code before anything else (see :meth:`Run.code_source`), `freeze` for
    that of its definition (see :class:`~podgraph.planning.job.definition_snapshot.Defined`), `read_jobs` for Jobs by
    name (see :meth:`Run.jobs_found`), and `check_pods` whether the API server would take these pods (then
    :meth:`Run.pods_checked` is to be called); `creates` are pods; `deletes`, `confirm` (look whether it really is
    gone), `read_log` (for the graph), `follow_log` (for what its steps do) and `read_reports` (once more and whole, as
    it has ended) are pod names, as are `follow_logs` and `read_logs`, the same of pods that some steps share; `status`
    is a merge patch; `assigns` tells waiting pods what to do; the logs of `follow` (a pod, or `pod/container`) are
    followed for the record of their step, and those of `leave` no more; `unschedulable` says that a pod of the Job
    finds no room, `prestart_outcomes` which pods wait no more; `flush_status` says that the status should be written at
    once; `requeue_time` is a time (seconds since the epoch) to look again.
    """

    copy_code: bool = False
    freeze: bool = False
    read_jobs: list[str] = field(default_factory=list)
    check_pods: list[PodCheck] = field(default_factory=list)
    creates: list[Manifest] = field(default_factory=list)
    assigns: list[Assign] = field(default_factory=list)
    follow: list[str] = field(default_factory=list)
    leave: list[str] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    confirm: list[str] = field(default_factory=list)
    read_log: str = ""
    follow_log: str = ""
    read_reports: str = ""
    follow_logs: list[str] = field(default_factory=list)
    read_logs: list[str] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    unschedulable: bool = False
    prestart_outcomes: list[PrestartOutcome] = field(default_factory=list)
    flush_status: bool = False
    events: list[Event] = field(default_factory=list)
    requeue_time: float | None = None

    def requeue_at(self, time: float | None) -> None:
        """Ask to look again at `time`, or at an earlier one asked for already."""
        if time is not None:
            self.requeue_time = time if self.requeue_time is None else min(self.requeue_time, time)

    def drop_creates(self) -> None:
        """Make nothing after all: the Job is at its end."""
        self.creates, self.assigns, self.follow, self.copy_code, self.freeze = [], [], [], False, False
        self.read_jobs, self.check_pods = [], []
        self.follow_logs, self.read_logs = [], []
        self.read_log = self.follow_log = self.read_reports = ""
