"""A pod that several container and script ops share: a container for each, which waits in a shell for its op's turn.

The operator decides whose turn it is as it does for steps with pods of their own, and tells the container by an
annotation; so values go from op to op through the Job's status, and a container ends with its op. A container whose op
does not run is told to end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from podgraph.flow import TERMINAL
from podgraph.planning.actions import Actions, Assign
from podgraph.planning.groups.pod import GroupPod, lost
from podgraph.planning.groups.reports import end_step
from podgraph.planning.manifests.multi_container import inputs_key
from podgraph.planning.manifests.objects import Manifest
from podgraph.planning.manifests.shell_runner import LATE, ended_in, ending
from podgraph.planning.model.names import step_container
from podgraph.planning.model.status import seconds_of
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.outcome import Outcome, container_outcome, if_room
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.state import Phase, PodState, observe, observe_all
from podgraph.planning.pods.types import Pod
from podgraph.planning.steps.log_lines import KeptLines, script_lines
from podgraph.protocol.times import utc

__all__ = ["ContainerGroupPod"]

MAX_INPUTS = 65_536
"""Most bytes of all inputs in one pod: with the scripts they are its annotations, which may have 256 KiB together."""


class ContainerGroupPod(GroupPod):
    """One such pod of a Job; the arguments are those of GroupPod."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._numbers = {step: at for at, step in enumerate(self.members)}
        self._containers = {step: step_container(step) for step in self.members}
        self._turns: set[str] = set()  # steps that may begin
        self._told: dict[str, str] = {}  # what this attempt's containers are told
        self._sent: dict[str, str] = {}  # and of that what they were told already
        self._lines: dict[str, KeptLines] = {}
        self._followed: set[str] = set()
        self._ended: dict[str, str] = {}  # results that came by a log
        for step in self.todo:  # tried again in an attempt that is there already
            record = self.steps.records[step]
            if record.state == "UpForRetry" and self.under_way and record.pod_uid != self.record.uid:
                self._turns.add(step)

    def start_turns(self, steps: Iterable[str], pass_: Pass) -> bool:
        """Begin these steps, as all that they wait for is there, if the pod is; return whether any are left."""
        self._turns.update(steps)
        pod = pass_.pods.get(self.pod_name)
        is_there = self.record.state in ("Starting", "Running") and bool(self.record.uid)
        if is_there and pod is not None and not self._is_leaving:
            begun = [step for step in self.todo if step in self._turns]
            for step in begun:
                self._begin_step(step, pass_.actions)
            if begun:
                self.observe(pod, pass_)
        return bool(self._turns)

    def take_lines(self, container: str, lines: Iterable[str], whole: bool) -> bool:
        """Take in lines of the log of one container; return whether the result of its op is among them."""
        step = next((step for step, name in self._containers.items() if name == container), None)
        if step is None or not self._is_here(step):
            return False
        token = self._maker.token_of(step, self.steps.records[step].attempt)
        kept = self._lines.setdefault(step, script_lines(token))
        text = ended_in(kept.lines, token) if kept.take(lines) else None
        if text is not None:
            self._ended[step] = text
        return text is not None

    def _make(self, attempt: int) -> Manifest:
        self._told, self._sent, self._lines, self._ended = {}, {}, {}, {}
        self._followed = set()
        self._turns.update(step for step in self.todo if self.steps.records[step].state == "UpForRetry")
        attempts = {step: self.steps.records[step].attempt + 1 for step in self.todo}
        return self._maker.joined_pod(self.name, attempt, attempts, self._numbers)

    def _observe(self, pod: Pod) -> PodState:
        return observe_all(pod, self._containers.values())

    def _take_news(self, pass_: Pass) -> None:
        told, self._ended = self._ended, {}
        for step, text in told.items():
            record = self.steps.records[step]
            if record.state in ("Starting", "Running"):
                seen = PodState(Phase.ENDED, started_at=record.start_time, finished_at=utc(pass_.now), text=text)
                self._finish(step, seen, pass_)

    def _go_on(self, pod: Pod, seen: PodState, pass_: Pass) -> None:
        """Begin the steps whose turn has come, end those whose containers have, and let go who waits for nothing."""
        if not self._told:  # a new pod, or one that was told before a restart: to say it again changes nothing
            for step in self.members:
                if self._is_here(step) and self.steps.records[step].state not in TERMINAL:
                    self._tell(step)
        for step in self.todo:
            if self._is_here(step):
                self._look_at_step(step, pod, seen, pass_)
        self._let_go()
        if self._told != self._sent:
            self._sent = dict(self._told)
            pass_.actions.assigns.append(Assign(self.pod_name, self.record.uid, self._sent))

    def _conclude(self, pod: Pod, seen: PodState, pass_: Pass) -> None:
        """Take in how each container ended; steps that had not begun go on in another pod, or cannot."""
        for step in self.todo:
            if self._is_here(step) and self.steps.records[step].state in ("Starting", "Running"):
                own = observe(pod, self._containers[step])
                if own.phase is Phase.ENDED and not _is_lost(own):
                    self._finish(step, own, pass_)
        own_ends = (observe(pod, self._containers[step]) for step in self.todo)
        first = next((own for own in own_ends if own.reason), seen)
        reason, message = first.reason or "PodEnded", first.message or "its pod ended before its turn came"
        if first.reason or self._is_leaving:
            outcome = Outcome({}, reason, message, fault=first.fault)
        else:
            outcome = lost(reason, message)
        self._over(outcome, pass_)

    def _due_after(self, todo: list[str], outcome: Outcome, pass_: Pass) -> float | None:
        retried = [step for step in todo if self.steps.records[step].state == "UpForRetry"]
        due: float | None = pass_.now
        if not retried or outcome.fault is Fault.INFRASTRUCTURE:
            due = super()._due_after(todo, outcome, pass_)
        times = (self.steps.records[step].retry_time for step in retried)
        return None if due is None else max([due, *(seconds_of(time) for time in times if time is not None)])

    def _over(self, outcome: Outcome | None, pass_: Pass) -> None:
        pass_.actions.leave += [f"{self.pod_name}/{self._containers[step]}" for step in self._followed]
        super()._over(outcome, pass_)

    # --- one step

    def _is_here(self, step: str) -> bool:
        """Whether a step has begun in the pod's present attempt."""
        record = self.steps.records[step]
        return bool(self.record.uid) and record.pod_uid == self.record.uid and record.state != "UpForRetry"

    @property
    def _is_leaving(self) -> bool:
        """Whether no step begins in this attempt any more: one has failed in it, and is tried again in the next."""
        uid = self.record.uid
        records = (self.steps.records[step] for step in self.members)
        return any(record.state == "UpForRetry" and record.pod_uid == uid for record in records)

    def _begin_step(self, step: str, actions: Actions) -> None:
        self._turns.discard(step)
        texts = [
            self.steps.inputs_of(other).values() for other in self.members if other == step or self._is_here(other)
        ]
        size = sum(len(text.encode()) for some in texts for text in some)
        if size > MAX_INPUTS:
            text = (
                f"with the inputs of op {step!r} those of the ops in pod {self.name!r} would be {size:,} bytes; they "
                f"may have at most {MAX_INPUTS:,} together"
            )
            end_step(self.steps, step, Outcome({}, "InputTooLarge", text, fault=Fault.PERMANENT), actions)
            return
        self.steps.begin(step, self.record.uid)
        self._tell(step)

    def _tell(self, step: str) -> None:
        key, timeout = inputs_key(self._numbers[step]), self.steps.graph.ops[step].timeout
        self._told[key] = self._maker.turn(step, self.steps.inputs_of(step), timeout)

    def _look_at_step(self, step: str, pod: Pod, whole: PodState, pass_: Pass) -> None:
        record, seen = self.steps.records[step], observe(pod, self._containers[step])
        if seen.phase is Phase.ENDED:
            if not _is_lost(seen):  # else the pod is on its way out, and its end tells of all that it takes with it
                self._finish(step, seen, pass_)
        elif seen.phase is not Phase.RUNNING:
            self.steps.set_state(step, "Starting", whole.reason, whole.message)
        elif record.state == "Starting":
            self.steps.start(step, utc(pass_.now))
        if seen.phase is Phase.RUNNING and step not in self._followed:
            self._followed.add(step)
            pass_.actions.follow.append(f"{self.pod_name}/{self._containers[step]}")

    def _finish(self, step: str, seen: PodState, pass_: Pass) -> None:
        op, start = self.steps.graph.ops[step], self.steps.records[step].start_time
        outcome = container_outcome(op, seen)
        if seen.exit_code == LATE and op.timeout is not None:
            text = f"it ran longer than its timeout of {op.timeout:g} seconds"
            outcome = replace(outcome, reason="Timeout", message=text)
        # The kubelet tells whole seconds, which may be before the time at which the step was seen to run.
        end = max(outcome.completion_time or utc(pass_.now), start or "")
        outcome = replace(outcome, start_time=start or outcome.start_time, completion_time=end)
        outcome = if_room(step, outcome, self.steps.output_bytes, self._output_budget)
        if step in self._followed:
            pass_.actions.leave.append(f"{self.pod_name}/{self._containers[step]}")
        if outcome.reason:
            self._ending.failed(step, outcome, pass_)
        else:
            self.steps.end(step, outcome)

    def _let_go(self) -> None:
        """Tell the containers to end whose ops do not run in this attempt: their ends are known, or another follows."""
        running = [step for step in self.todo if self._is_here(step)]
        for step in self.members:
            idle = self.steps.records[step].state in TERMINAL or (self._is_leaving and not running)
            if idle and not self._is_here(step):
                self._told.setdefault(inputs_key(self._numbers[step]), ending())


def _is_lost(seen: PodState) -> bool:
    return bool(seen.reason) and seen.fault is Fault.INFRASTRUCTURE
