"""Runs each attempt at a step in a pod of its own: creates the pods, follows them, and ends them.

The name of a pod contains the number of its attempt, and each decision follows from the status and the pods. So a
restarted operator finds the same attempts, creates none twice, and forgets none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from podgraph.flow import NOT_STARTED, TERMINAL
from podgraph.planning.actions import Actions, Event
from podgraph.planning.executors.failed_attempt import end_failed_attempt, oversized_input
from podgraph.planning.executors.log_results import LogResults
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.model.status import seconds_of
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.lifecycle import Look, PodLifecycle, Stage
from podgraph.planning.pods.outcome import Outcome, container_outcome, if_room, micro, python_outcome, read_record
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.room import Room
from podgraph.planning.pods.scheduling_gates import GATED
from podgraph.planning.pods.state import Phase, PodState, is_alive, lingers, observe
from podgraph.planning.pods.types import Pod, Pods
from podgraph.planning.prestart.waiting_pods import WaitingPods, is_waiting, was_ahead
from podgraph.planning.steps.admission import Admission
from podgraph.planning.steps.records import Steps
from podgraph.planning.steps.retry_policy import jitter_of
from podgraph.planning.steps.stop import Stop
from podgraph.planning.steps.timers import Timers
from podgraph.protocol.step import NOT_ASSIGNED, Record
from podgraph.protocol.times import utc

__all__ = ["PodPerStep"]

EXIT_SECONDS = 60
"""How long a pod that reported its result may take to exit."""


class PodPerStep:
    """The steps of one Job and the pods of their attempts.

    `output_budget` is the most bytes of outputs of the Job. `pods` are those that exist after a restart. `units` are
    explained in Admission.
    """

    def __init__(
        self, steps: Steps, maker: PodFactory, spec: ExecutionSpec, output_budget: int, pods: Pods | None = None,
        units: Mapping[str, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        self.steps = steps
        self.timers = Timers()
        self.stopped: Stop | None = None
        self.waiting = ""
        self.room = Room()
        self._maker = maker
        self._spec = spec
        self._output_budget = output_budget
        self._admission = Admission(steps.graph.ops, spec, units)
        self._step_of: dict[str, str] = {}
        self._pod_of: dict[str, str] = {}
        self._lives: dict[str, PodLifecycle] = {}
        self._results = LogResults(maker)
        self.exits: dict[str, float] = {}  # pods that reported a result, and until when they may exit
        self._warned: set[str] = set()
        self._waiting = WaitingPods(steps, maker, spec)
        self._waiting.find(pods or {})
        for step in steps.alone:
            record = steps.records[step]
            if record.state == "UpForRetry":
                self.timers.set(step, seconds_of(record.retry_time) if record.retry_time else 0.0)
            elif record.state in NOT_STARTED:
                self._name(step, record.attempt + 1)
            elif record.state not in TERMINAL:
                self._name(step, steps.resume(step))
                self._admission.hold(step)

    @property
    def pod_names(self) -> list[str]:
        """The names of the pods of the attempts that may be under way."""
        return list(self._step_of)

    @property
    def done(self) -> bool:
        """Whether no step can change any more."""
        return self.steps.done

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`pods_patch` would return anything; the record of a step includes its pod."""
        return False

    def pods_patch(self) -> dict[str, Any]:
        """Return nothing; see `has_changes`."""
        return {}

    def observe(self, changed: Iterable[str], pass_: Pass) -> None:
        """Look at the pods that changed, and at the steps whose time has come."""
        for name, text in self._results.take_results().items():
            step = self._step_of[name]
            record = self.steps.records[step]
            if self._pod_of[step] == name and record.state in ("Starting", "Running"):
                seen = PodState(Phase.ENDED, started_at=record.start_time, finished_at=_second(pass_.now), text=text)
                record_told = None if step in self._maker.containers else Record.from_text(text)
                self._finish(step, seen, pass_, record_told)
                self.exits[name] = pass_.now + EXIT_SECONDS
        for name in changed:
            if name in self._step_of:
                self._look(self._step_of[name], name, pass_.pods.get(name), pass_)
        self._look_at_due(pass_)

    def start(self, pass_: Pass) -> None:
        """Begin an attempt at each step that is ready, as far as the Job's limits have room."""
        most = self.room.most(pass_.now)
        while most is None or len(pass_.actions.creates) < most:
            step = self._admission.take()
            if step is None:
                self.room.clear()
                break
            self._begin(step, pass_)
            self._look_at_due(pass_)
        pass_.actions.requeue_at(self.room.next(pass_.now))
        for step, attempt in self._waiting.plan(pass_):
            self._name(step, attempt)

    def hold(self, pass_: Pass) -> None:
        """Begin nothing, and release the prestarted pods: the Job is suspended."""
        self._waiting.let_all_go(pass_)

    @property
    def waiting_pods(self) -> int:
        """How many prestarted pods wait for their inputs."""
        return self._waiting.count

    def pause_ahead(self, now: float) -> bool:
        """Prestart no pods for a while, as pods find no node; return whether any waits."""
        return self._waiting.pause(now)

    def take_lines(self, pod_name: str, lines: Iterable[str], whole: bool = False) -> bool:
        """Take in lines of the log of a step's pod; return whether its result is complete."""
        step = self._step_of.get(pod_name)
        if step is None or self._pod_of[step] != pod_name:
            return False
        return self._results.take_lines(pod_name, step, self.steps.records[step].attempt, lines)

    def stop(self, stop: Stop, pass_: Pass) -> None:
        """End all steps: those without a pod at once, the others when their pod is gone."""
        if self.stopped is not None:
            return
        self.stopped = stop
        self._admission.drop()
        self.steps.ready.clear()
        self._waiting.let_all_go(pass_)
        for step in self.steps.alone:
            record = self.steps.records[step]
            if record.state in ("Pending", "UpForRetry"):
                self.timers.clear(step)
                name = self._waiting.name_of(step, record.attempt + 1)
                if name not in pass_.pods or is_waiting(pass_.pods[name]):
                    self.steps.cancel(step, f"not run: {stop.message}" if record.attempt == 0 else stop.message)
                    continue
                self._name(step, self.steps.begin(step))  # made before a restart, and to be ended as the others
            if record.state not in TERMINAL:
                self._end_pod(step, stop.reason, stop.message, pass_.actions)
                self._look(step, self._pod_of[step], pass_.pods.get(self._pod_of[step]), pass_)

    def created(self, pod_name: str, uid: str) -> None:
        """Take in that a pod exists; the next write includes its uid."""
        step = self._step_of.get(pod_name)
        if step is not None and self._pod_of[step] == pod_name and not self.steps.records[step].pod_uid:
            self._lives[step].uid = uid
            self.steps.set_pod_uid(step, uid)

    def not_created(self, pod_name: str, reason: str, message: str, now: float) -> Actions:
        """Fail the step of a pod that the API server refuses for good (an admission policy)."""
        actions = Actions()
        pass_ = Pass(now, {}, actions)
        step = self._step_of[pod_name]
        if self._waiting.refused(step, now):
            return actions
        if self._pod_of[step] == pod_name and self.steps.records[step].state == "Starting":
            text = f"the API server refuses its pod: {message}"
            self._fail(step, Outcome({}, reason, text, fault=Fault.PERMANENT), pass_)
        return actions

    def put_back(self, pod_name: str, reason: str, message: str, now: float) -> bool:
        """Let a step wait until there is room for its pod; return whether it was the pod of a step that had begun."""
        step = self._step_of[pod_name]
        if self._waiting.refused(step, now):
            return False
        if self._pod_of[step] == pod_name and self.steps.records[step].state == "Starting":
            self._waiting.pause(now)
            self._admission.give(step)
            self.steps.put_back(step, reason, message)
            self._admission.add(step)
            self._has_no_room(reason, message, now)
        return True

    def _has_no_room(self, reason: str, message: str, now: float) -> None:
        self.room.refused(reason, message, now, jitter_of(self._maker.ref.uid, now))

    def uid_of(self, pod_name: str) -> str:
        """Return the uid of the pod of this name, "" while it is not known."""
        step = self._step_of.get(pod_name)
        known = step is not None and self._pod_of[step] == pod_name
        return (self.steps.records[step].pod_uid or "") if step is not None and known else ""

    def confirm_gone(self, pod_name: str) -> None:
        """Take in that a pod which `confirm` named does not exist."""
        step = self._step_of.get(pod_name)
        if step is not None and self._pod_of[step] == pod_name:
            self._lives[step].confirm_gone()

    # --- one pod

    def _look(self, step: str, name: str, pod: Pod | None, pass_: Pass) -> None:
        record = self.steps.records[step]
        if record.state in NOT_STARTED:  # or made before a restart that lost the write: its step begins with it later
            if self._waiting.observe(step, name, pod, pass_):
                self._results.follow(name, pass_.actions)
            return
        if record.state in TERMINAL or record.state == "UpForRetry" or self._pod_of[step] != name:
            if pod is not None:
                self._look_after(step, pod, pass_)
            return
        seen = self._seen(step, pod, pass_.now) if pod is not None else None
        timeout, stopping = self.steps.graph.ops[step].timeout, record.state == "Stopping"
        look = self._lives[step].look(pod, seen, pass_, timeout=timeout, stopping=stopping)
        self.steps.set_pod_uid(step, self._lives[step].uid or record.pod_uid)
        if look.stage is Stage.UNSEEN:
            return
        if look.due is not None:
            self.timers.set(step, look.due)
        else:
            self.timers.clear(step)
        if pod is not None and look.stage in (Stage.STARTING, Stage.RUNNING) and is_waiting(pod):
            self._waiting.assign(step, pod, pass_.actions)
        self._conclude(step, look, pod, pass_)

    def _seen(self, step: str, pod: Pod, now: float) -> PodState:
        """Return the state of a step's pod; in a prestarted pod the step began with its assignment."""
        seen = observe(pod)
        if seen.phase is Phase.ENDED and self._waiting.has_missed(pod, seen):
            said = "its pod ended before it received its assignment"
            return replace(seen, reason=NOT_ASSIGNED, message=said, fault=Fault.INFRASTRUCTURE, text="")
        if is_waiting(pod) and seen.phase is not Phase.ENDED:
            return replace(seen, started_at=_second(now) if seen.phase is Phase.RUNNING else None)
        if was_ahead(pod):
            return replace(seen, started_at=self.steps.records[step].start_time or seen.started_at)
        return seen

    def _conclude(self, step: str, look: Look, pod: Pod | None, pass_: Pass) -> None:
        """Act on one look at a step's pod."""
        if look.stage is Stage.LOST and self.steps.records[step].state == "Stopping":
            self._stopped(step, None, pass_)
        elif look.stage is Stage.OVERTIME and look.outcome is not None and look.seen is not None:
            self._follow(step, look.seen, pass_.actions)  # it says when the container started
            self._end_pod(step, look.outcome.reason, look.outcome.message, pass_.actions)
        elif look.outcome is not None:
            self._fail(step, look.outcome, pass_)
        elif look.stage is Stage.ENDED and pod is not None and look.seen is not None:
            if lingers(pod):
                pass_.actions.deletes.append(pod.metadata.name)
            self._finish(step, look.seen, pass_)
        elif look.stage in (Stage.STARTING, Stage.RUNNING) and look.seen is not None:
            self._follow(step, look.seen, pass_.actions)

    def _look_after(self, step: str, pod: Pod, pass_: Pass) -> None:
        """Look at a pod whose attempt is over: it is about to exit, or it came late and is not needed."""
        record, seen = self.steps.records[step], observe(pod)
        if seen.phase is Phase.ENDED:
            self.exits.pop(pod.metadata.name, None)
        if record.pod_uid != pod.metadata.uid:
            if is_alive(pod) and pass_.now >= self.exits.get(pod.metadata.name, 0.0):
                pass_.actions.deletes.append(pod.metadata.name)
        elif seen.phase is Phase.ENDED:
            if lingers(pod):
                pass_.actions.deletes.append(pod.metadata.name)
            if record.state == "Succeeded":
                self._warn_of_exit(step, seen, pass_.actions)

    def _warn_of_exit(self, step: str, seen: PodState, actions: Actions) -> None:
        """Report a pod that failed after its result. The result counts, as the op was done by then."""
        if seen.exit_code and step not in self._warned:
            self._warned.add(step)
            text = f"op {step!r} succeeded, then {seen.message}"
            actions.events.append(Event("Warning", "FailedAfterResult", text, step))

    def _follow(self, step: str, seen: PodState, actions: Actions) -> None:
        """Record how far a pod is that starts or runs."""
        if seen.phase is Phase.RUNNING:
            self.steps.start(step, micro(seen.started_at))
            if self._maker.tells(step):
                self._results.follow(self._pod_of[step], actions)
        else:
            self.steps.set_state(step, "Starting", seen.reason, seen.message)

    def _end_pod(self, step: str, reason: str, message: str, actions: Actions) -> None:
        """Delete a step's pod; the step ends with the pod. The reason is written first, so that a restart keeps it."""
        self.timers.clear(step)
        self.steps.set_state(step, "Stopping", reason, message)
        actions.deletes.append(self._pod_of[step])
        actions.flush_status = True

    # --- the end of an attempt

    def _finish(self, step: str, seen: PodState, pass_: Pass, told: Record | None = None) -> None:
        record = self.steps.records[step]
        if record.state == "Stopping":
            self._stopped(step, micro(seen.finished_at), pass_)
            return
        op = self.steps.graph.ops[step]
        if step in self._maker.containers:
            outcome = container_outcome(op, seen)
        else:
            found = told or read_record(seen, self._maker.signer_of(step, record.attempt))
            outcome = python_outcome(op, seen, found, self._maker.prefix_of(step, record.attempt))
        outcome = if_room(step, outcome, self.steps.output_bytes, self._output_budget)
        if outcome.reason:
            self._fail(step, outcome, pass_)
        else:
            self._leave(step, pass_.actions)
            self.steps.end(step, outcome)
            self._warn_of_exit(step, seen, pass_.actions)

    def _stopped(self, step: str, ended: str | None, pass_: Pass) -> None:
        """End an attempt whose pod was deleted, for the reason in its record."""
        record = self.steps.records[step]
        ended = ended or (utc(pass_.now) if record.start_time else None)
        if record.reason == "Canceled":
            self._leave(step, pass_.actions)
            self.steps.cancel(step, record.message, ended)
            return
        self._fail(step, Outcome({}, record.reason, record.message, completion_time=ended), pass_)

    def _fail(self, step: str, outcome: Outcome, pass_: Pass) -> None:
        """End an attempt that failed; the step is retried or fails."""
        self._leave(step, pass_.actions)
        most_lost = self._spec.infrastructure_retries if self.stopped is None else None
        due = end_failed_attempt(self.steps, step, outcome, most_lost, self._maker.ref.uid, pass_)
        if due is not None:
            self.timers.set(step, due)

    def _leave(self, step: str, actions: Actions) -> None:
        if step in self._pod_of:
            self._results.leave(self._pod_of[step], actions)
        self.timers.clear(step)
        self._admission.give(step)

    # --- the begin of an attempt

    def _look_at_due(self, pass_: Pass) -> None:
        """Look at the steps whose time has come, and queue those that are ready."""
        while True:
            due = self.timers.pop_due(pass_.now)
            if not due and not self.steps.ready:
                return
            for step in due:
                if self.steps.records[step].state == "UpForRetry":
                    self._queue(step, pass_)
                else:
                    self._look(step, self._pod_of[step], pass_.pods.get(self._pod_of[step]), pass_)
            while self.steps.ready:
                self._queue(self.steps.ready.popleft(), pass_)

    def _queue(self, step: str, pass_: Pass) -> None:
        """Queue a step for admission. If its pod exists, as a restart lost the write, the step begins at once."""
        pod = pass_.pods.get(self._waiting.name_of(step, self.steps.records[step].attempt + 1))
        if pod is not None and not is_waiting(pod):
            self._admission.hold(step)
            self._begin(step, pass_)
        else:
            self._admission.add(step)

    def _begin(self, step: str, pass_: Pass) -> None:
        inputs = self.steps.inputs_of(step)
        refused = oversized_input(step, inputs)
        if refused is not None:
            self._fail(step, refused, pass_)
            return
        self._waiting.take(step, pass_)
        attempt = self.steps.begin(step)
        name = self._name(step, attempt)
        if name in pass_.pods:
            self._look(step, name, pass_.pods[name], pass_)
            return
        pass_.actions.creates.append(
            self._maker.step_pod(name, step, attempt, self.steps.records[step].infra_failures, inputs)
        )

    def _name(self, step: str, attempt: int) -> str:
        name = self._waiting.name_of(step, attempt)
        if self._pod_of.get(step) != name:
            record = self.steps.records[step]
            uid = record.pod_uid if record.attempt == attempt and record.state not in NOT_STARTED else ""
            self._lives[step] = PodLifecycle(name, self._spec.pending_seconds, uid, record.reason == GATED)
        self._step_of[name], self._pod_of[step] = step, name
        return name


def _second(now: float) -> str:
    """Return a time in whole seconds, as the kubelet does, so that no step ends after the start of the next."""
    return utc(float(int(now)))
