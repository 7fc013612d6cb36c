"""Runs the steps of a Job of which some share pods, beside those with a pod of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from podgraph.planning.actions import Actions
from podgraph.planning.executors.pod_per_step import PodPerStep
from podgraph.planning.groups.container_pod import ContainerGroupPod
from podgraph.planning.groups.pod import GroupPod
from podgraph.planning.groups.python_pod import PythonGroupPod
from podgraph.planning.groups.steps import GroupedSteps, SharingSteps
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.model.status import PodRecord
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.types import Pods
from podgraph.planning.steps.stop import Stop
from podgraph.planning.steps.timers import Timers

__all__ = ["WithGroups"]


class WithGroups(PodPerStep):
    """Attempts in pods of one step and in pods that steps share; `records` holds `status.pods`, about the latter.

    A shared pod counts as one step under the limits of the Job, from its begin to its end.
    """

    steps: GroupedSteps

    def __init__(
        self, steps: GroupedSteps, maker: PodFactory, spec: ExecutionSpec, output_budget: int,
        records: Mapping[str, Mapping[str, Any]], pods: Pods | None = None,
    ) -> None:  # fmt: skip
        units = {f"@{pod}": members for pod, members in steps.sharing.items()}
        super().__init__(steps, maker, spec, output_budget, pods, units)
        self._pod_timers = Timers()
        self._pods: dict[str, GroupPod] = {}
        self._pod_called: dict[str, GroupPod] = {}  # by the name it has in the cluster
        self._with_news: dict[str, GroupPod] = {}
        self._with_turns = set(steps.sharing)
        for name in steps.sharing:
            record = PodRecord.from_status(records.get(name) or {})
            made: type[GroupPod] = PythonGroupPod if isinstance(steps, SharingSteps) else ContainerGroupPod
            pod = made(name, steps, maker, spec, self._admission, self._pod_timers, output_budget, record)
            self._pods[name] = pod
            self._pod_called[pod.pod_name] = pod

    @property
    def pod_names(self) -> list[str]:
        """The names of the pods of the attempts that may be under way."""
        return [*super().pod_names, *self._pod_called]

    @property
    def done(self) -> bool:
        """Whether no step can change any more, and all shared pods have ended."""
        return super().done and not any(pod.under_way for pod in self._pods.values())

    def take_lines(self, pod_name: str, lines: Iterable[str], whole: bool = False) -> bool:
        """Take in lines of the log of `pod` or `pod/container`, `whole` when no others follow."""
        called, _, container = pod_name.partition("/")
        pod = self._pod_called.get(called)
        if pod is None:
            return super().take_lines(pod_name, lines, whole)
        if pod.pod_name != called or not pod.take_lines(container, lines, whole):
            return False
        self._with_news[pod.name] = pod
        return True

    def observe(self, changed: Iterable[str], pass_: Pass) -> None:
        """Look at the pods that changed or reported something, and at those whose time has come."""
        changed = list(changed)
        news, self._with_news = self._with_news, {}
        for pod in self._pods.values():
            if pod.wants_log:  # reading it may have failed
                news[pod.name] = pod
        for pod in news.values():
            pod.observe(pass_.pods.get(pod.pod_name), pass_)
        for name in changed:
            if name in self._pod_called:
                self._pod_called[name].look_at(name, pass_.pods.get(name), pass_)
        for name in self._pod_timers.pop_due(pass_.now):
            self._pods[name].time_has_come(pass_)
        super().observe(changed, pass_)
        pass_.actions.requeue_at(self._pod_timers.next())

    def start(self, pass_: Pass) -> None:
        """Begin an attempt at each step and shared pod that is ready, as far as the Job's limits have room."""
        todo = {**dict.fromkeys(self._with_turns, ()), **self._turns()}
        while todo:
            for pod, turns in todo.items():
                if self._pods[pod].start_turns(turns, pass_):
                    self._with_turns.add(pod)
                else:
                    self._with_turns.discard(pod)
            todo = self._turns()
        super().start(pass_)
        pass_.actions.requeue_at(self._pod_timers.next())

    def stop(self, stop: Stop, pass_: Pass) -> None:
        """End all steps: those without a pod at once, the others when their pod is gone."""
        if self.stopped is None:
            super().stop(stop, pass_)
            for pod in self._pods.values():
                pod.stop(stop, pass_)
        pass_.actions.requeue_at(self._pod_timers.next())

    def created(self, pod_name: str, uid: str) -> None:
        """Take in that a pod exists."""
        pod = self._pod_called.get(pod_name)
        if pod is None:
            super().created(pod_name, uid)
        elif pod.pod_name == pod_name:
            pod.created(uid)

    def not_created(self, pod_name: str, reason: str, message: str, now: float) -> Actions:
        """Take in that the API server refuses a pod for good."""
        pod = self._pod_called.get(pod_name)
        if pod is None:
            return super().not_created(pod_name, reason, message, now)
        return pod.not_created(reason, message, now) if pod.pod_name == pod_name else Actions()

    def put_back(self, pod_name: str, reason: str, message: str, now: float) -> bool:
        """Let a step or a shared pod wait until there is room; return whether it had begun."""
        pod = self._pod_called.get(pod_name)
        if pod is None:
            return super().put_back(pod_name, reason, message, now)
        if pod.pod_name == pod_name and pod.put_back(reason, message):
            self._waiting.pause(now)
            self._has_no_room(reason, message, now)
        return True

    def uid_of(self, pod_name: str) -> str:
        """Return the uid of the pod of this name, "" while it is not known."""
        pod = self._pod_called.get(pod_name)
        if pod is None:
            return super().uid_of(pod_name)
        return pod.record.uid if pod.pod_name == pod_name else ""

    def confirm_gone(self, pod_name: str) -> None:
        """Take in that a pod which `confirm` named does not exist."""
        pod = self._pod_called.get(pod_name)
        if pod is None:
            super().confirm_gone(pod_name)
        elif pod.pod_name == pod_name:
            pod.confirm_gone()

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`pods_patch` would return anything."""
        return any(pod.changed for pod in self._pods.values())

    def pods_patch(self) -> dict[str, Any]:
        """Return `pods` of the status when anything of it changed since the last call, else nothing."""
        if not self.has_changes:
            return {}
        for pod in self._pods.values():
            pod.changed = False
        return {"pods": {name: pod.record.to_patch() for name, pod in self._pods.items() if pod.is_known}}

    def _turns(self) -> dict[str, Sequence[str]]:
        """Return the steps that may begin now in their shared pods."""
        found: dict[str, list[str]] = {}
        while self.steps.turns:
            step = self.steps.turns.popleft()
            found.setdefault(self.steps.pod_of[step], []).append(step)
        return {**found}

    def _look_at_due(self, pass_: Pass) -> None:
        super()._look_at_due(pass_)
        while self.steps.free:
            pod = self._pods[self.steps.free.popleft()]
            if pod.record.state == "Pending":
                pod.queue(pass_)

    def _begin(self, step: str, pass_: Pass) -> None:
        pod = self._pods.get(step.removeprefix("@")) if step.startswith("@") else None
        if pod is None:
            super()._begin(step, pass_)
        else:
            pod.begin(pass_)
            self._with_turns.add(pod.name)
            self._pod_called[pod.pod_name] = pod
