"""A pod that several steps share: what it is told, what it said, and its attempts.

Its steps are reported one by one in its log (see runtime.reports), and what a report tells of a step counts at once for
the steps outside. A pod that ends before its steps are done is followed by another for the rest of them: when it was
lost to the cluster, as `infrastructureRetries` says; when it crashed, the step that ran has failed by its own policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from podgraph.definition.graph import Op
from podgraph.flow import TERMINAL
from podgraph.planning.actions import Actions
from podgraph.planning.admission import Admission
from podgraph.planning.deadlines import deadline_of_pod, lost_at
from podgraph.planning.execution import ExecutionSpec
from podgraph.planning.making import PodMaker
from podgraph.planning.observe import Phase, Seen, is_alive, observe
from podgraph.planning.outcome import Outcome, micro, read_record
from podgraph.planning.pods import Pod
from podgraph.planning.retry import Fault
from podgraph.planning.shared_ending import SharedEnding
from podgraph.planning.shared_reports import SharedReports
from podgraph.planning.shared_work import work_of
from podgraph.planning.sharing import SharingSteps
from podgraph.planning.status import PodRecord, seconds_of
from podgraph.planning.stopping import Stop
from podgraph.planning.timers import Timers
from podgraph.runtime.reports import INTERRUPTED, STEPS_FAILED, StepReport, reports_in, unpack_states
from podgraph.runtime.step import utc

__all__ = ["MAX_ASSIGNMENT", "SharedPod"]

MAX_ASSIGNMENT = 200_000
"""Most bytes of what the pod is told; all annotations of a pod may have 256 KiB together."""

_UNDER_WAY = ("Starting", "Running", "Stopping")
_MAX_TAIL = 1_500

Pods = Mapping[str, Pod]


class SharedPod:
    """One shared pod of a Job: `name` is what its steps call it, `unit` what it is called in `admission`."""

    def __init__(
        self, name: str, steps: SharingSteps, maker: PodMaker, spec: ExecutionSpec, admission: Admission,
        timers: Timers, output_budget: int, record: PodRecord,
    ) -> None:  # fmt: skip
        self.name, self.unit = name, f"@{name}"
        self.steps, self.members = steps, steps.sharing[name]
        self.record = record
        self.changed = False
        self._maker, self._spec, self._admission, self._timers = maker, spec, admission, timers
        self._ending = SharedEnding(name, steps, maker, spec, record)
        self._said = SharedReports(name, steps, maker, output_budget)
        # Only a stop ends a pod that could go on, so what the record says then is why.
        self._stopped = Stop(record.reason, record.message) if record.state == "Stopping" else None
        self._stuck: float | None = None
        self._gone = self._log_read = False
        self.wants_log = False
        self._reports: list[StepReport] = []
        if self.under_way:
            admission.hold(self.unit)
        elif record.state == "UpForRetry":
            timers.set(name, seconds_of(record.retry_time) if record.retry_time else 0.0)

    @property
    def under_way(self) -> bool:
        """Whether its pod was asked for and has not ended."""
        return self.record.state in _UNDER_WAY

    @property
    def pod_name(self) -> str:
        """The name of the pod that is under way, else of the next one."""
        return self._maker.shared_name(self.name, self.record.attempt + (not self.under_way))

    @property
    def todo(self) -> list[str]:
        """Its steps that are not at their end."""
        return [step for step in self.members if self.steps.records[step].state not in TERMINAL]

    def take_lines(self, lines: Iterable[str], whole: bool) -> None:
        """Take in lines of the pod's log; `whole` says that there are no others, as the pod has ended."""
        if self.under_way:
            self._reports += reports_in(lines, self._nonce)
            self._log_read = self._log_read or whole

    def queue(self, pods: Pods, now: float, actions: Actions) -> None:
        """Let it wait for its start, unless its pod is there: it was made before a restart that lost the write."""
        if self.under_way or not self.todo:
            return
        if self.pod_name in pods:
            self._admission.hold(self.unit)
            self.begin(pods, now, actions)
        else:
            self._admission.add(self.unit)

    def begin(self, pods: Pods, now: float, actions: Actions) -> None:
        """Make the pod for all of its steps that are not done."""
        if not self.todo:
            self._over(None, now, actions)
            return
        attempt = self.record.attempt + 1
        assignment = self._maker.shared_assignment(self.name, attempt, work_of(self.steps, self.name))
        size = len(assignment.to_text().encode())
        if size > MAX_ASSIGNMENT:
            text = (
                f"pod {self.name!r} would be told {size:,} bytes, the inputs of its steps with them; a pod can be told "
                f"at most {MAX_ASSIGNMENT:,}"
            )
            self._over(Outcome({}, "InputTooLarge", text, fault=Fault.LASTING), now, actions)
            return
        self._set("Starting")
        self.record.attempt, self.record.uid, self.record.retry_time = attempt, "", None
        if self.pod_name in pods:
            self.look(pods[self.pod_name], now, actions)
        else:
            actions.creates.append(self._maker.shared_pod(self.name, attempt, assignment))

    def created(self, uid: str) -> None:
        """Say that the pod exists."""
        if self.under_way and not self.record.uid:
            self.record.uid, self.changed = uid, True

    def not_created(self, reason: str, message: str, now: float) -> Actions:
        """Say that the API server refuses the pod for good: its steps have failed."""
        actions = Actions()
        if self.record.state == "Starting":
            text = f"the API server refuses its pod: {message}"
            self._over(Outcome({}, reason, text, fault=Fault.LASTING), now, actions)
        return actions

    def confirm_gone(self) -> None:
        """Say that the pod is really gone."""
        self._gone = True

    def stop(self, stop: Stop, pods: Pods, now: float, actions: Actions) -> None:
        """End its steps: at once where there is no pod, else when that has ended."""
        self._stopped = stop
        if not self.under_way:
            self._timers.clear(self.name)
            if self.pod_name not in pods:
                self._over(None, now, actions)
                return
            self.record.attempt += 1  # made before a restart, and to be ended as the others
        self._end_pod(actions)
        for step in self.todo:
            if self.steps.records[step].state in ("Running", "UpForRetry"):
                self.steps.set_state(step, "Stopping", stop.reason, stop.message)
        self.look(pods.get(self.pod_name), now, actions)

    # --- the pod

    def look(self, pod: Pod | None, now: float, actions: Actions) -> None:
        """Look at the pod that is under way, and at what was read of its log."""
        reports, self._reports = self._reports, []
        for report in reports:
            self._said.take(report, self.record.attempt, self.record.uid, actions)
        if not self.under_way:
            return
        if pod is None:
            if self._gone:
                self._over(_lost("PodDeleted", "its pod was deleted before it ended"), now, actions)
            elif self.record.uid or self._stopped is not None:
                actions.confirm.append(self.pod_name)
            return
        if self.record.uid and self.record.uid != pod.metadata.uid:
            actions.deletes.append(self.pod_name)
            self._over(_lost("PodDeleted", "its pod was deleted and another was made under its name"), now, actions)
            return
        self.created(pod.metadata.uid)
        seen = observe(pod)
        if seen.phase is Phase.GONE:
            self._over(_lost(seen.reason, seen.message), now, actions)
        elif seen.phase is Phase.ENDED:
            if self._log_read or not self.todo:
                self._conclude(seen, now, actions)
            else:
                self.wants_log = True
                actions.read_logs.append(self.pod_name)
        elif self.record.state == "Stopping":
            self._wait_for_end(pod, now, actions)
        elif not self._give_up(pod, seen, now, actions):
            if seen.phase is Phase.RUNNING:
                actions.follow_logs.append(self.pod_name)
                self._set("Running")
            else:
                self._set("Starting", seen.reason, seen.message)

    def look_at(self, name: str, pod: Pod | None, now: float, actions: Actions) -> None:
        """Look at a pod of any of its attempts."""
        if self.under_way and name == self.pod_name:
            self.look(pod, now, actions)
        elif pod is not None and is_alive(pod) and (self.under_way or name != self.pod_name):
            actions.deletes.append(name)  # a late one, that nobody waits for any more

    def time_has_come(self, pods: Pods, now: float, actions: Actions) -> None:
        """Do what was to be done now: make the next pod, or look at the one that there is."""
        if self.under_way:
            self.look(pods.get(self.pod_name), now, actions)
        else:
            self.queue(pods, now, actions)

    def _give_up(self, pod: Pod, seen: Seen, now: float, actions: Actions) -> bool:
        """End a pod that does not come to run, or whose node tells nothing; else look again when it will have."""
        self._timers.clear(self.name)
        if seen.phase is not Phase.STUCK:
            self._stuck = None
        elif self._stuck is None:
            self._stuck = now
        deadline = deadline_of_pod(Op(""), pod, seen, self._stuck or now, self._spec.pending_seconds)
        if deadline is None:
            return False
        if now < deadline.time:
            self._timers.set(self.name, deadline.time)
            return False
        if deadline.delete:
            actions.deletes.append(self.pod_name)
        self._over(deadline.outcome, now, actions)
        return True

    def _end_pod(self, actions: Actions) -> None:
        assert self._stopped is not None
        self._set("Stopping", self._stopped.reason, self._stopped.message)
        self._timers.clear(self.name)
        actions.deletes.append(self.pod_name)
        actions.urgent = True

    def _wait_for_end(self, pod: Pod, now: float, actions: Actions) -> None:
        until = lost_at(pod)
        if until is None:  # the request was lost with the operator that was to send it
            actions.deletes.append(self.pod_name)
        elif now < until:
            self._timers.set(self.name, until)
        else:
            text = "its pod was deleted, and its node does not tell that it ended"
            self._over(_lost("NodeLost", text), now, actions)

    def _conclude(self, seen: Seen, now: float, actions: Actions) -> None:
        """Take in the pod's end, when all is read that it said."""
        record = read_record(seen, self._nonce)
        ended = micro(seen.finished_at)
        if record is None or record.reason == INTERRUPTED:
            tail = f": {seen.text.strip()[-_MAX_TAIL:]}" if record is None and seen.text.strip() else ""
            reason, message = seen.reason or "NoResult", seen.message or "its process ended and left no result"
            outcome = Outcome({}, reason, message + tail, completion_time=ended, fault=seen.fault)
        elif record.outcome == "Failed" and record.reason != STEPS_FAILED:
            message = record.message or "its pod failed before its steps began"
            outcome = Outcome({}, record.reason or "OpFailed", message, completion_time=ended, fault=Fault.LASTING)
        else:
            for step, state in zip(self.members, unpack_states(record.summary), strict=False):
                self._said.fill(step, state, self.record.uid, ended)
            outcome = _lost("ReportLost", "its pod came to its end, but what it said of this step is lost")
        self._over(outcome, now, actions)

    # --- the end of an attempt

    def _over(self, outcome: Outcome | None, now: float, actions: Actions) -> None:
        """End the pod's attempt, for which `outcome` says why steps of it are not done, where there are any."""
        if self.under_way:
            actions.leave.append(self.pod_name)
        self._admission.give(self.unit)
        self._timers.clear(self.name)
        self._gone = self._log_read = self.wants_log = False
        self._stuck, self.record.retry_time = None, None
        todo = self.todo
        self._set("Ended" if self.record.attempt else "Pending")
        if self._stopped is not None:
            ended = outcome.completion_time if outcome is not None else None
            self._ending.stop(todo, self._stopped, ended or utc(now))
        elif todo and outcome is not None:
            due = self._ending.due_after(todo, outcome, now, actions)
            self._set("Ended" if due is None else "UpForRetry", outcome.reason, outcome.message)
            if due is not None:
                self.record.retry_time = utc(due)
                self._timers.set(self.name, due)
            actions.urgent = True  # the next pod is told what stands in the status

    @property
    def _nonce(self) -> str:
        return self._maker.shared_nonce(self.name, self.record.attempt)

    def _set(self, state: str, reason: str = "", message: str = "") -> None:
        record = self.record
        self.changed = self.changed or (record.state, record.reason, record.message) != (state, reason, message)
        record.state, record.reason, record.message = state, reason, message


def _lost(reason: str, message: str) -> Outcome:
    return Outcome({}, reason, message, fault=Fault.INFRASTRUCTURE)
