"""A pod that several Python ops share: it runs them by itself, and tells in its log how each went.

What a report tells of a step (see protocol.reports) counts at once for the steps outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from podgraph.planning.groups.assignment import steps_to_repeat, work_of
from podgraph.planning.groups.pod import GroupPod, Refused, lost
from podgraph.planning.groups.reports import GroupReports
from podgraph.planning.groups.steps import SharingSteps
from podgraph.planning.manifests.objects import Manifest
from podgraph.planning.model.status import seconds_of
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.last_lines import last_lines
from podgraph.planning.pods.outcome import Outcome, micro, read_record
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.state import Phase, PodState, observe
from podgraph.planning.pods.types import Pod
from podgraph.planning.steps.log_lines import KeptReports
from podgraph.protocol.reports import INTERRUPTED, STEPS_FAILED, reports_in, unpack_states
from podgraph.protocol.signing import Signer

__all__ = ["MAX_ASSIGNMENT", "PythonGroupPod"]

MAX_ASSIGNMENT = 200_000
"""Most bytes of what the pod is told; all annotations of a pod may have 256 KiB together."""


class PythonGroupPod(GroupPod):
    """One such pod of a Job; the arguments are those of GroupPod."""

    steps: SharingSteps

    def __init__(self, name: str, steps: SharingSteps, *rest: Any) -> None:
        super().__init__(name, steps, *rest)
        self._said = GroupReports(name, steps, self._maker, self._output_budget)
        self._log_read = False
        self._reports = KeptReports(self.members)

    def start_turns(self, steps: Iterable[str], pass_: Pass) -> bool:
        """Begin none: the pod begins its steps by itself."""
        return False

    def take_lines(self, container: str, lines: Iterable[str], whole: bool) -> bool:
        """Take in lines of the pod's log, `whole` when it has ended and no others come; return whether it is news."""
        if not self.under_way:
            return False
        self._log_read = self._log_read or whole
        return self._reports.take(reports_in(lines, self._signer)) or whole

    def _make(self, attempt: int) -> Manifest:
        assignment = self._maker.shared_assignment(self.name, attempt, work_of(self.steps, self.name))
        size = len(assignment.to_text().encode())
        if size > MAX_ASSIGNMENT:
            text = (
                f"pod {self.name!r} would receive {size:,} bytes, the inputs of its steps with them; a pod can be told "
                f"at most {MAX_ASSIGNMENT:,}"
            )
            raise Refused(Outcome({}, "InputTooLarge", text, fault=Fault.PERMANENT))
        return self._maker.shared_pod(self.name, attempt, assignment)

    def _observe(self, pod: Pod) -> PodState:
        return observe(pod)

    def _take_news(self, pass_: Pass) -> None:
        for report in self._reports.pop():
            self._said.take(report, self.record.attempt, self.record.uid, pass_.actions)

    def _go_on(self, pod: Pod, seen: PodState, pass_: Pass) -> None:
        if seen.phase is not Phase.RUNNING:
            return
        pass_.actions.follow_logs.append(self.pod_name)
        for step in self.todo:
            self._look_at_time(step, pod, pass_)

    def _look_at_time(self, step: str, pod: Pod, pass_: Pass) -> None:
        """End the pod when a step has run for too long: nothing less ends what runs in its one process."""
        record, timeout = self.steps.records[step], self.steps.graph.ops[step].timeout
        if record.state == "Running" and timeout is not None and record.start_time:
            due = seconds_of(record.start_time) + timeout
            if pass_.now < due:
                self._timers.set(self.name, due)
                return
            text = f"it ran longer than its timeout of {timeout:g} seconds"
            self.steps.set_state(step, "Stopping", "Timeout", text)
            pass_.actions.flush_status = True  # a restart must not forget why
        if self.steps.records[step].state == "Stopping" and not pod.metadata.deletion_timestamp:
            pass_.actions.deletes.append(self.pod_name)

    def _conclude(self, pod: Pod, seen: PodState, pass_: Pass) -> None:
        """Take in the pod's end, when all is read that it said."""
        if self.todo and not self._log_read:
            self.wants_log = True
            pass_.actions.read_logs.append(self.pod_name)
            return
        record = read_record(seen, self._signer)
        ended = micro(seen.finished_at)
        if record is None or record.reason == INTERRUPTED:
            tail = last_lines(seen.text) if record is None else ""
            reason, message = seen.reason or "NoResult", seen.message or "its process ended and left no result"
            outcome = Outcome({}, reason, message + tail, completion_time=ended, fault=seen.fault)
        elif record.outcome == "Failed" and record.reason != STEPS_FAILED:
            message = record.message or "its pod failed before its steps began"
            outcome = Outcome({}, record.reason or "OpFailed", message, completion_time=ended, fault=Fault.PERMANENT)
        else:
            for step, state in zip(self.members, unpack_states(record.summary), strict=False):
                self._said.fill(step, state, self.record.uid, ended)
            outcome = lost("ReportLost", "its pod ended, but its report of this step is lost")
        self._over(outcome, pass_)

    def _over(self, outcome: Outcome | None, pass_: Pass) -> None:
        self._log_read = self.wants_log = False
        late = next((r for r in map(self.steps.records.__getitem__, self.todo) if r.state == "Stopping"), None)
        if late is not None and self._stopped is None:  # its time was over, and that is why the pod has ended
            ended = outcome.completion_time if outcome is not None else None
            outcome = Outcome({}, late.reason, late.message, completion_time=ended)
        super()._over(outcome, pass_)

    def _due_after(self, todo: list[str], outcome: Outcome, pass_: Pass) -> float | None:
        due = super()._due_after(todo, outcome, pass_)
        if due is not None:
            self._lose_repeated()
        return due

    def _lose_repeated(self) -> None:
        """Count the attempts that had succeeded in this pod and are made again as lost: it was not their fault."""
        for step in steps_to_repeat(self.steps, self.name):
            if self.steps.records[step].pod_uid == self.record.uid:
                self.steps.count_loss(step)

    @property
    def _signer(self) -> Signer:
        return self._maker.shared_signer(self.name, self.record.attempt)
