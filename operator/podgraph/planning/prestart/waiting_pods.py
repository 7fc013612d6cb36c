"""Prestarted pods, which wait before the inputs of their step exist: creates, finds, assigns and releases them.

A prestarted pod has the name of the attempt that it waits for. An unused one is deleted. Deletion takes time, so the
next pod of the attempt gets a new name, which includes the number of pods released so far. The resolve pod, which
waits for the first step, gets its assignment in the same way (see planning.prestart.resolve_handoff).
"""

from __future__ import annotations

from collections.abc import Mapping

from podgraph.planning.actions import Actions, Assign, PrestartOutcome
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.model.names import AHEAD_LABEL, ASSIGNED, OP_LABEL, WAITING
from podgraph.planning.model.status import seconds_of
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.state import Phase, PodState, is_alive, observe
from podgraph.planning.pods.types import Pod
from podgraph.planning.prestart.policy import LIFETIME_SECONDS, MAX_RELEASES, PrestartPolicy
from podgraph.planning.prestart.resolve_handoff import ResolveHandoff
from podgraph.planning.steps.records import Steps

__all__ = ["WaitingPods", "is_waiting", "was_ahead"]

Pods = Mapping[str, Pod]


def is_waiting(pod: Pod) -> bool:
    """Whether a pod still waits for its assignment."""
    return pod.metadata.labels.get(AHEAD_LABEL) == WAITING


def was_ahead(pod: Pod) -> bool:
    """Whether a pod was prestarted."""
    return AHEAD_LABEL in pod.metadata.labels


class WaitingPods:
    """The waiting pods of one Job."""

    def __init__(self, steps: Steps, maker: PodFactory, spec: ExecutionSpec) -> None:
        most = spec.max_prestarted if spec.max_concurrent is None else min(spec.max_prestarted, spec.max_concurrent)
        self._ahead = PrestartPolicy(steps, spec.prestart, most, maker.can_wait)
        self._steps = steps
        self._maker = maker
        self._since: dict[str, float] = {}
        self._first = ResolveHandoff(steps, maker, spec.infrastructure_retries + 1)

    def name_of(self, step: str, attempt: int) -> str:
        """Return the name of the pod of an attempt at a step."""
        return self._first.name_of(step, attempt) or self._maker.name_of(step, attempt, self._ahead.released(step))

    def find(self, pods: Pods) -> None:
        """Find the pods that wait after a restart, and count the released ones."""
        self._first.find(pods)
        if not any(was_ahead(pod) and OP_LABEL in pod.metadata.labels for pod in pods.values()):
            return
        for step in self._steps.alone:
            record = self._steps.records[step]
            begun = bool(record.pod_uid)
            there = [pods.get(name) for name in self._names(step, record.attempt if begun else record.attempt + 1)]
            found = next((at for at, pod in enumerate(there) if pod is not None and _is_own(pod, record.pod_uid)), None)
            if found is None:
                found = 0 if begun else next((at for at, pod in enumerate(there) if pod is None), MAX_RELEASES)
            self._ahead.found_released(step, found)
            pod = there[found]
            if not begun and pod is not None and is_waiting(pod) and self._steps.waits(step):
                self._ahead.adopt(step)
                created = pod.metadata.creation_timestamp
                self._since[step] = seconds_of(created) if created else 0.0
                self._steps.set_state(step, "Waiting")

    def observe(self, step: str, name: str, pod: Pod | None, pass_: Pass) -> bool:
        """Look at a pod of a step that has not begun; return whether it runs, so that its log can be followed."""
        if pod is None or step not in self._ahead.waiting or name != self.name_of(step, self._attempt(step)):
            if pod is not None and is_waiting(pod) and is_alive(pod):
                pass_.actions.deletes.append(name)
            return False
        seen = observe(pod)
        if not _is_of_use(pod, seen):
            self.release(step, pass_)
            return False
        pass_.actions.unschedulable = pass_.actions.unschedulable or seen.reason == "Unschedulable"
        return seen.phase is Phase.RUNNING

    def plan(self, pass_: Pass) -> list[tuple[str, int]]:
        """Release the pods that need not wait any more, then prestart others; return their steps and attempts."""
        self.let_go(pass_)
        made = []
        while (step := self._ahead.next(pass_.now)) is not None:
            attempt = self._attempt(step)
            pod = self._maker.waiting_pod(self.name_of(step, attempt), step, attempt, LIFETIME_SECONDS)
            pass_.actions.creates.append(pod)
            self._since[step] = pass_.now
            self._steps.set_state(step, "Waiting")
            made.append((step, attempt))
        self._first.let_go(pass_.actions)
        return made

    def let_go(self, pass_: Pass) -> None:
        """Delete the pods whose inputs will not exist soon."""
        while steps := self._ahead.to_release(pass_.now):  # with one goes what waits further ahead
            for step in steps:
                self.release(step, pass_)

    def let_all_go(self, pass_: Pass) -> None:
        """Delete all waiting pods, and end the resolve pod."""
        self._first.let_go(pass_.actions)
        for step in list(self._ahead.waiting):
            self.release(step, pass_)

    def release(self, step: str, pass_: Pass) -> None:
        """Delete the pod that waits for a step."""
        pass_.actions.prestart_outcomes.append(
            PrestartOutcome("released", pass_.now - self._since.pop(step, pass_.now))
        )
        pass_.actions.deletes.append(self.name_of(step, self._attempt(step)))
        self._ahead.drop(step)
        if self._steps.records[step].state == "Waiting":
            self._steps.set_state(step, "Pending")

    def take(self, step: str, pass_: Pass) -> None:
        """Take in that a step begins: it uses the pod that waits for it, if that pod can still run."""
        if step not in self._ahead.waiting:
            self._first.take(step, pass_.pods)
            return
        pod = pass_.pods.get(self.name_of(step, self._attempt(step)))
        if pod is not None and not _is_of_use(pod, observe(pod)):
            self.release(step, pass_)
        else:
            self._ahead.take(step)
            pass_.actions.prestart_outcomes.append(
                PrestartOutcome("used", pass_.now - self._since.pop(step, pass_.now))
            )

    def assign(self, step: str, pod: Pod, actions: Actions) -> None:
        """Assign a step that has begun to its pod; repeated until the label of the pod shows it."""
        record = self._steps.records[step]
        name, inputs = pod.metadata.name, self._steps.inputs_of(step)
        told = self._maker.assignment(name, step, record.attempt, record.infra_failures, inputs)
        assign = Assign(name, pod.metadata.uid, told, {AHEAD_LABEL: ASSIGNED})
        actions.assigns.append(self._first.named(step, assign))

    def has_missed(self, pod: Pod, seen: PodState) -> bool:
        """Whether a pod ended before its assignment reached it."""
        return is_waiting(pod) or self._first.has_missed(pod, seen)

    def pause(self, now: float) -> bool:
        """Prestart none for a while, as pods find no node; return whether any waits."""
        self._ahead.pause(now)
        return bool(self._ahead.waiting)

    def refused(self, step: str, now: float) -> bool:
        """Take in that the API server refuses the pod of a step; return whether it was a prestarted one.

        A refused prestarted pod fails nothing: the step gets a pod when it begins.
        """
        if step not in self._ahead.waiting:
            return False
        self._ahead.drop(step)
        self._since.pop(step, None)
        self._ahead.pause(now)
        self._steps.set_state(step, "Pending")
        return True

    @property
    def count(self) -> int:
        """How many pods wait."""
        return len(self._ahead.waiting)

    def _attempt(self, step: str) -> int:
        return self._steps.records[step].attempt + 1

    def _names(self, step: str, attempt: int) -> list[str]:
        return [self._maker.name_of(step, attempt, count) for count in range(MAX_RELEASES + 1)]


def _is_of_use(pod: Pod, seen: PodState) -> bool:
    return is_alive(pod) and seen.phase is not Phase.STUCK


def _is_own(pod: Pod, uid: str) -> bool:
    """Whether a pod is that of the attempt: the one that was recorded, or one that was not let go before."""
    return pod.metadata.uid == uid if uid else not is_waiting(pod) or is_alive(pod)
