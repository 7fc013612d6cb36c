"""Runs all steps of a Job in one pod.

The pod reports its steps in its log (see protocol.reports). A report holds all that is known of a step, so reports may
repeat and come in any order; a step never goes back. When the pod ends, its whole log is read once more. For a step
that the log leaves open, the record of the pod says how it ended.

A second pod is never created: nobody knows what the first one did, and the values in its memory are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.flow import FAILED, TERMINAL
from podgraph.planning.actions import Actions, Event
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.pods.last_lines import last_lines
from podgraph.planning.pods.lifecycle import PodLifecycle, Stage
from podgraph.planning.pods.outcome import Outcome, micro, read_record
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.room import Room
from podgraph.planning.pods.state import PodState, is_alive, observe
from podgraph.planning.pods.types import Pod
from podgraph.planning.steps.log_lines import KeptReports
from podgraph.planning.steps.records import ReportedSteps
from podgraph.planning.steps.retry_policy import jitter_of
from podgraph.planning.steps.stop import Stop
from podgraph.planning.steps.timers import Timers
from podgraph.protocol.reports import INTERRUPTED, LAST_RANK, RANKS, STEPS_FAILED, StepReport, reports_in, unpack_states
from podgraph.protocol.times import utc

__all__ = ["SinglePod"]

MAX_ASSIGNMENT = 200_000
"""Most bytes of the assignment; all annotations of a pod may have 256 KiB together."""

_POD = "pod"  # the one name in the timers


class SinglePod:
    """All steps of one Job in one pod, as a StepExecutor.

    `group` is the assignment of the pod; `output_budget` is the most bytes of outputs that the status has room for.
    """

    def __init__(
        self, steps: ReportedSteps, maker: PodFactory, spec: ExecutionSpec, output_budget: int, group: Mapping[str, Any]
    ) -> None:
        self.steps = steps
        self.timers = Timers()
        self.stopped: Stop | None = None
        self._maker = maker
        self._spec = spec
        self._output_budget = output_budget
        self._assignment = maker.run_assignment(group)
        size = len(self._assignment.to_text().encode())
        if size > MAX_ASSIGNMENT:
            raise DefinitionError(
                "TooLarge",
                f"run config and selection are {size:,} bytes; a pod that runs all steps takes at most "
                f"{MAX_ASSIGNMENT:,}: use the mode PodPerStep or a smaller run config",
            )
        uid = next((record.pod_uid for record in steps.records.values() if record.pod_uid), "")
        self._life = PodLifecycle(maker.run_name, spec.pending_seconds, uid)
        self._asked = False  # for the pod's creation
        self._log_read = self._over = False
        self._reports = KeptReports(steps.records)
        self.waiting = ""
        self.room = Room()
        self.exits: dict[str, float] = {}

    @property
    def pod_names(self) -> list[str]:
        """The name of the pod."""
        return [self._life.name]

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`pods_patch` would return anything; the record of the first step includes the pod."""
        return False

    def pods_patch(self) -> dict[str, Any]:
        """Return nothing; see `has_changes`."""
        return {}

    @property
    def done(self) -> bool:
        """Whether nothing can change any more: the pod has ended and all its reports are recorded."""
        return self._over and self.steps.done

    def hold(self, pass_: Pass) -> None:
        """Begin nothing: the Job is suspended."""

    @property
    def waiting_pods(self) -> int:
        """How many prestarted pods wait: none."""
        return 0

    def pause_ahead(self, now: float) -> bool:
        """Prestart no pods; here none ever is."""
        return False

    def take_lines(self, pod_name: str, lines: Iterable[str], whole: bool = False) -> bool:
        """Take in lines of the pod's log, `whole` when no others follow; return whether they are news."""
        self._log_read = self._log_read or whole
        return self._reports.take(reports_in(lines, self._maker.run_signer)) or whole

    def observe(self, changed: Iterable[str], pass_: Pass) -> None:
        """Take in the reports of the pod, and look at the pod."""
        for report in self._reports.pop():
            self._take(report, pass_.actions)
        self.timers.clear(_POD)
        if not self._over:
            self._look(pass_.pods.get(self._life.name), pass_)
        elif (pod := pass_.pods.get(self._life.name)) is not None and is_alive(pod):  # a late one
            pass_.actions.deletes.append(self._life.name)

    def start(self, pass_: Pass) -> None:
        """Create the pod, unless it was created before."""
        if not (self._asked or self._life.uid or self._over or self._life.name in pass_.pods):
            if self.room.most(pass_.now) == 0:
                pass_.actions.requeue_at(self.room.next(pass_.now))
                return
            self._asked = True
            pass_.actions.creates.append(self._maker.run_pod(self._assignment))

    def stop(self, stop: Stop, pass_: Pass) -> None:
        """Delete the pod; the remaining steps end with it."""
        if self.stopped is not None:
            return
        self.stopped = stop
        if not (self._asked or self._life.uid or self._life.name in pass_.pods):
            self._end(None, pass_)
            return
        pass_.actions.deletes.append(self._life.name)
        pass_.actions.flush_status = True
        for step, record in self.steps.records.items():
            if record.state in ("Running", "UpForRetry"):
                self.steps.set_state(step, "Stopping", stop.reason, stop.message)
        if not self._over:
            self._look(pass_.pods.get(self._life.name), pass_)

    def created(self, pod_name: str, uid: str) -> None:
        """Take in that the pod exists; the first step records its uid, so that no other pod is created."""
        first = self.steps.first
        if pod_name == self._life.name and not self.steps.records[first].pod_uid:
            self._life.uid = uid
            self.steps.set_pod_uid(first, uid)
            self.room.clear()
            if self.steps.records[first].state == "Pending":
                self.steps.set_state(first, "Pending")

    def not_created(self, pod_name: str, reason: str, message: str, now: float) -> Actions:
        """Fail the steps, as the API server refuses the pod for good (an admission policy)."""
        actions = Actions()
        pass_ = Pass(now, {}, actions)
        if pod_name == self._life.name and not (self._life.uid or self._over):
            self._end(Outcome({}, reason, f"the API server refuses its pod: {message}"), pass_)
        return actions

    def put_back(self, pod_name: str, reason: str, message: str, now: float) -> bool:
        """Wait until there is room for the pod."""
        if pod_name == self._life.name and not (self._life.uid or self._over):
            self._asked = False
            self.steps.set_state(self.steps.first, "Pending", reason, message)
            self.room.refused(reason, message, now, jitter_of(self._maker.ref.uid, now))
        return True

    def uid_of(self, pod_name: str) -> str:
        """Return the pod's uid, "" while it is not known."""
        return self._life.uid if pod_name == self._life.name else ""

    def confirm_gone(self, pod_name: str) -> None:
        """Take in that the pod does not exist."""
        if pod_name == self._life.name:
            self._life.confirm_gone()

    # --- the pod

    def _look(self, pod: Pod | None, pass_: Pass) -> None:
        state = observe(pod) if pod is not None else None
        look = self._life.look(pod, state, pass_, stopping=self.stopped is not None)
        if self._life.uid:
            self.created(self._life.name, self._life.uid)
        if look.due is not None:
            self.timers.set(_POD, look.due)
        held = look.seen is not None and look.stage in (Stage.STARTING, Stage.GIVEN_UP) and look.seen.reason
        self.waiting = f"{look.seen.reason}: {look.seen.message}" if look.seen is not None and held else ""
        if look.outcome is not None:
            self._end(look.outcome, pass_)
        elif look.stage is Stage.RUNNING:
            pass_.actions.follow_log = self._life.name
        elif look.stage is Stage.ENDED and look.seen is not None:
            if self._log_read:
                self._conclude(look.seen, pass_)
            else:
                pass_.actions.read_reports = self._life.name

    def _conclude(self, seen: PodState, pass_: Pass) -> None:
        """Record the end of the pod, once its whole log was read."""
        record = read_record(seen, self._maker.run_signer)
        ended = micro(seen.finished_at)
        if record is None or record.reason == INTERRUPTED:
            tail = last_lines(seen.text) if record is None else ""
            reason, message = seen.reason or "NoResult", seen.message or "its process ended and left no result"
            self._end(Outcome({}, reason, message + tail, completion_time=ended), pass_)
        elif record.outcome == "Failed" and record.reason != STEPS_FAILED:
            message = record.message or "its pod failed before its steps began"
            self._end(Outcome({}, record.reason or "OpFailed", message, completion_time=ended), pass_)
        else:
            states = unpack_states(record.summary)
            if len(states) == len(self.steps.records):
                for step, state in zip(self.steps.records, states, strict=True):
                    if state and self.steps.records[step].state not in TERMINAL:
                        self.steps.fill(step, state, self._life.uid, ended)
            text = "its pod ended, but its report of this step is lost"
            self._end(Outcome({}, "ReportLost", text, completion_time=ended), pass_)

    # --- the steps

    def _take(self, report: StepReport, actions: Actions) -> None:
        """Record a report that is newer than what is known of its step."""
        record = self.steps.records.get(report.step)
        if record is None or record.state in TERMINAL:
            return
        news = (report.attempt, RANKS.get(report.state, LAST_RANK))
        if news <= (record.attempt, RANKS[record.state]):
            return
        if record.state == "Stopping" and report.state not in TERMINAL:
            return
        self.steps.report(report, self._life.uid, self._with_room(report.outputs))
        said = f"{report.reason}: {report.message}"
        if report.state == "Failed":
            actions.events.append(Event("Warning", "StepFailed", f"op {report.step!r} failed: {said}", report.step))
        elif report.state == "UpForRetry":
            text = f"attempt {report.attempt} of op {report.step!r} failed and is followed by another: {said}"
            actions.events.append(Event("Warning", "StepRetried", text, report.step))

    def _with_room(self, outputs: Mapping[str, str]) -> Mapping[str, str]:
        """Return outputs as far as the status has room; the steps have their values in any case."""
        size = sum(len(text.encode()) for text in outputs.values())
        return {} if self.steps.output_bytes + size > self._output_budget else outputs

    def _end(self, outcome: Outcome | None, pass_: Pass) -> None:
        """End the remaining steps, as the pod has ended or will never exist."""
        self._over = True
        self.timers.clear(_POD)
        first = True
        for step, record in self.steps.records.items():  # in run order, so all upstream steps are settled before
            if record.state in TERMINAL:
                continue
            begun = record.attempt > 0
            ended = ((outcome.completion_time if outcome else None) or utc(pass_.now)) if begun else None
            failed = [up for up in self.steps.graph.upstream[step] if self._has_failed(up)]
            if self.stopped is not None and (self.stopped.reason == "Canceled" or not begun):
                message = self.stopped.message if begun else f"not run: {self.stopped.message}"
                self.steps.cancel(step, message, ended)
            elif failed:
                self.steps.give_up(step, f"not run: {', '.join(failed[:3])} failed")
            else:
                why = self.stopped or outcome
                reason, message = (why.reason, why.message) if why is not None else ("NoResult", "")
                self.steps.end(step, Outcome({}, reason, message, completion_time=ended))
                if first:
                    text = f"op {step!r} failed: {reason}: {message}"
                    pass_.actions.events.append(Event("Warning", "StepFailed", text, step))
                    first = False

    def _has_failed(self, step: str) -> bool:
        return step in self.steps.records and self.steps.records[step].state in FAILED
