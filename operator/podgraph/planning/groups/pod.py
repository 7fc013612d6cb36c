"""A pod that several steps share: creates it, follows it, and ends it, whatever runs in it.

When the pod ends before its steps, another pod runs the rest: after an infrastructure fault as `infrastructureRetries`
allows, after a failed step as the retry policy of the step allows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from podgraph.flow import TERMINAL
from podgraph.planning.actions import Actions
from podgraph.planning.groups.recovery import GroupRecovery
from podgraph.planning.groups.steps import GroupedSteps
from podgraph.planning.manifests.objects import Manifest
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.model.status import PodRecord, seconds_of
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.lifecycle import PodLifecycle, Stage
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.scheduling_gates import GATED
from podgraph.planning.pods.state import PodState, is_alive
from podgraph.planning.pods.types import Pod
from podgraph.planning.steps.admission import Admission
from podgraph.planning.steps.stop import Stop
from podgraph.planning.steps.timers import Timers
from podgraph.protocol.times import utc

__all__ = ["Refused", "GroupPod", "lost"]

_UNDER_WAY = ("Starting", "Running", "Stopping")


class Refused(Exception):
    """Why a pod cannot be created, as the outcome of its steps."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class GroupPod(ABC):
    """One shared pod of a Job; `name` is its name in the ops, `unit` its name in `admission`."""

    wants_log = False
    """Whether it waits for its whole log."""

    def __init__(
        self, name: str, steps: GroupedSteps, maker: PodFactory, spec: ExecutionSpec, admission: Admission,
        timers: Timers, output_budget: int, record: PodRecord,
    ) -> None:  # fmt: skip
        self.name, self.unit = name, f"@{name}"
        self.steps, self.members = steps, steps.sharing[name]
        self.record = record
        self.changed = False
        self._maker, self._spec, self._admission, self._timers = maker, spec, admission, timers
        self._output_budget = output_budget
        self._ending = GroupRecovery(name, steps, maker, spec, record)
        # Only a stop ends a pod that could go on, so what the record says then is why.
        self._stopped = Stop(record.reason, record.message) if record.state == "Stopping" else None
        self._life = self._new_life(record.uid, record.reason == GATED)
        if self.under_way:
            admission.hold(self.unit)
        elif record.state == "UpForRetry":
            timers.set(name, seconds_of(record.retry_time) if record.retry_time else 0.0)

    @property
    def under_way(self) -> bool:
        """Whether its pod was requested and has not ended."""
        return self.record.state in _UNDER_WAY

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell of it."""
        return bool(self.record.attempt or self.record.reason)

    @property
    def pod_name(self) -> str:
        """The name of the pod that is under way, else of the next one."""
        return self._maker.shared_name(self.name, self.record.attempt + (not self.under_way))

    @property
    def todo(self) -> list[str]:
        """Its steps that have not ended."""
        return [step for step in self.members if self.steps.records[step].state not in TERMINAL]

    @abstractmethod
    def start_turns(self, steps: Iterable[str], pass_: Pass) -> bool:
        """Begin these steps, whose inputs exist, if the pod exists; return whether any are left."""

    @abstractmethod
    def take_lines(self, container: str, lines: Iterable[str], whole: bool) -> bool:
        """Take in lines of the log of a container, "" for the only one; `whole` says that no others follow."""

    @abstractmethod
    def _make(self, attempt: int) -> Manifest:
        """Return the pod of an attempt, for all steps that have not ended. Raises Refused."""

    @abstractmethod
    def _observe(self, pod: Pod) -> PodState:
        """Return the state of the pod as a whole."""

    @abstractmethod
    def _take_news(self, pass_: Pass) -> None:
        """Record what was read of its log."""

    @abstractmethod
    def _go_on(self, pod: Pod, seen: PodState, pass_: Pass) -> None:
        """Look at the steps of a pod that starts or runs."""

    @abstractmethod
    def _conclude(self, pod: Pod, seen: PodState, pass_: Pass) -> None:
        """Record the end of the pod."""

    def _due_after(self, todo: list[str], outcome: Outcome, pass_: Pass) -> float | None:
        """Return when another pod continues with what is left of `todo` (see GroupRecovery)."""
        return self._ending.due_after(todo, outcome, pass_)

    def queue(self, pass_: Pass) -> None:
        """Queue the pod for admission. If it exists, as a restart lost the write, it begins at once."""
        if self.under_way or not self.todo:
            return
        if self.pod_name in pass_.pods:
            self._admission.hold(self.unit)
            self.begin(pass_)
        else:
            self._admission.add(self.unit)

    def begin(self, pass_: Pass) -> None:
        """Create the pod for all of its steps that have not ended."""
        if not self.todo:
            self._over(None, pass_)
            return
        attempt = self.record.attempt + 1
        try:
            made = self._make(attempt)
        except Refused as refused:
            self._over(refused.outcome, pass_)
            return
        if self.record.state == "Pending" and self.record.reason:
            self._explain()
        self._set("Starting")
        self.record.attempt, self.record.uid, self.record.retry_time = attempt, "", None
        self._life = self._new_life()
        if self.pod_name in pass_.pods:
            self.observe(pass_.pods[self.pod_name], pass_)
        else:
            pass_.actions.creates.append(made)

    def created(self, uid: str) -> None:
        """Take in that the pod exists."""
        if self.under_way and uid and not self.record.uid:
            self.record.uid, self._life.uid, self.changed = uid, uid, True

    def not_created(self, reason: str, message: str, now: float) -> Actions:
        """Fail the steps, as the API server refuses the pod for good."""
        actions = Actions()
        pass_ = Pass(now, {}, actions)
        if self.record.state == "Starting":
            text = f"the API server refuses its pod: {message}"
            self._over(Outcome({}, reason, text, fault=Fault.PERMANENT), pass_)
        return actions

    def put_back(self, reason: str, message: str) -> bool:
        """Wait until there is room for the pod; the attempt does not count. Return whether the pod was requested."""
        if self.record.state != "Starting":
            return False
        self.record.attempt -= 1
        self._set("Pending", reason, message)
        self._explain(reason, message)
        self._admission.give(self.unit)
        self._admission.add(self.unit)
        return True

    def _explain(self, reason: str = "", message: str = "") -> None:
        """Record why the steps wait that have not begun."""
        for step in self.todo:
            if self.steps.records[step].state == "Pending":
                self.steps.set_state(step, "Pending", reason, message)

    def confirm_gone(self) -> None:
        """Take in that the pod does not exist."""
        self._life.confirm_gone()

    def stop(self, stop: Stop, pass_: Pass) -> None:
        """End its steps: at once without a pod, else when the pod has ended."""
        self._stopped = stop
        if not self.under_way:
            self._timers.clear(self.name)
            if self.pod_name not in pass_.pods:
                self._over(None, pass_)
                return
            self.record.attempt += 1  # made before a restart, and to be ended as the others
            name = self._maker.shared_name(self.name, self.record.attempt)
            self._life = PodLifecycle(name, self._spec.pending_seconds)
        self._end_pod(pass_.actions)
        for step in self.todo:
            if self.steps.records[step].state in ("Running", "UpForRetry"):
                self.steps.set_state(step, "Stopping", stop.reason, stop.message)
        self.observe(pass_.pods.get(self.pod_name), pass_)

    # --- the pod

    def observe(self, pod: Pod | None, pass_: Pass) -> None:
        """Record what was read of its log, and look at the pod."""
        self._take_news(pass_)
        if not self.under_way:
            return
        state = self._observe(pod) if pod is not None else None
        self._timers.clear(self.name)
        look = self._life.look(pod, state, pass_, stopping=self.record.state == "Stopping")
        self.created(self._life.uid)
        if look.due is not None:
            self._timers.set(self.name, look.due)
        if look.outcome is not None:
            self._over(look.outcome, pass_)
        elif pod is not None and look.seen is not None and look.stage is Stage.ENDED:
            self._conclude(pod, look.seen, pass_)
        elif pod is not None and look.seen is not None and look.stage in (Stage.STARTING, Stage.RUNNING):
            if look.stage is Stage.RUNNING:
                self._set("Running")
            else:
                self._set("Starting", look.seen.reason, look.seen.message)
            self._go_on(pod, look.seen, pass_)

    def look_at(self, name: str, pod: Pod | None, pass_: Pass) -> None:
        """Look at a pod of any of its attempts."""
        if self.under_way and name == self.pod_name:
            self.observe(pod, pass_)
        elif pod is not None and is_alive(pod) and (self.under_way or name != self.pod_name):
            pass_.actions.deletes.append(name)  # a late one, that nobody waits for any more

    def time_has_come(self, pass_: Pass) -> None:
        """Do what is due now: look at the pod, or queue the next one."""
        if self.under_way:
            self.observe(pass_.pods.get(self.pod_name), pass_)
        else:
            self.queue(pass_)

    def _end_pod(self, actions: Actions) -> None:
        assert self._stopped is not None
        self._set("Stopping", self._stopped.reason, self._stopped.message)
        self._timers.clear(self.name)
        actions.deletes.append(self.pod_name)
        actions.flush_status = True

    def _new_life(self, uid: str = "", held: bool = False) -> PodLifecycle:
        return PodLifecycle(self.pod_name, self._spec.pending_seconds, uid, held)

    # --- the end of an attempt

    def _over(self, outcome: Outcome | None, pass_: Pass) -> None:
        """End the attempt of the pod; `outcome` says why steps are left, where there are any."""
        if self.under_way:
            pass_.actions.leave.append(self.pod_name)
        self._admission.give(self.unit)
        self._timers.clear(self.name)
        self.record.retry_time = None
        todo = self.todo
        self._set("Ended" if self.record.attempt else "Pending")
        if self._stopped is not None:
            ended = outcome.completion_time if outcome is not None else None
            self._ending.stop(todo, self._stopped, ended or utc(pass_.now))
        elif todo and outcome is not None:
            due = self._due_after(todo, outcome, pass_)
            self._set("Ended" if due is None else "UpForRetry", outcome.reason, outcome.message)
            if due is not None:
                self.record.retry_time = utc(due)
                self._timers.set(self.name, due)
            pass_.actions.flush_status = True  # the next pod is told what stands in the status

    def _set(self, state: str, reason: str = "", message: str = "") -> None:
        before = (self.record.state, self.record.reason, self.record.message)
        self.changed = self.changed or before != (state, reason, message)
        self.record.state, self.record.reason, self.record.message = state, reason, message


def lost(reason: str, message: str) -> Outcome:
    """Return how steps end whose pod the cluster ended."""
    return Outcome({}, reason, message, fault=Fault.INFRASTRUCTURE)
