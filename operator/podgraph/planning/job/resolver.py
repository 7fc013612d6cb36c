"""The resolve pod: it loads the Python code of a Job in the user's image and reports the graph."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from podgraph.definition.errors import DefinitionError
from podgraph.planning.actions import Actions, Event
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.model.names import OP_LABEL
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.last_lines import last_lines
from podgraph.planning.pods.lifecycle import PodLifecycle, Stage
from podgraph.planning.pods.outcome import read_record
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.room import Room
from podgraph.planning.pods.state import Phase, PodState, lingers, observe
from podgraph.planning.pods.types import Pod
from podgraph.planning.prestart.resolve_handoff import STAY_SECONDS, end_resolve_pod, is_staying
from podgraph.planning.steps.infrastructure_retries import seconds_after_loss
from podgraph.planning.steps.log_lines import KeptLines, graph_lines
from podgraph.planning.steps.retry_policy import jitter_of
from podgraph.protocol.graph_codec import from_log
from podgraph.protocol.step import Record, record_text_in

__all__ = ["RESOLVE_SECONDS", "Resolver"]

RESOLVE_SECONDS = 600
"""How long a resolve pod may take once it runs: a module that hangs while it is imported ends there."""


class Telling(Protocol):
    """Receives the progress of the resolve pod."""

    def resolving(self, trouble: str, pass_: Pass) -> None:
        """Say that the code is being read; `trouble` is what keeps the resolve pod, or empty."""


class Resolver:
    """Follows the resolve pod of a Job or a JobDefinition.

    After an infrastructure fault another pod follows under another name, as for a step. To resolve twice does no harm,
    so the number of the attempt is not written: after a restart it is the last pod that exists.

    The graph comes by the pod's link or log, long before the kubelet reports that the pod ended. With `stays` the pod
    then waits to run a step (see planning.prestart.resolve_handoff).
    """

    def __init__(self, maker: PodFactory, conditions: Telling, spec: ExecutionSpec, stays: bool = False) -> None:
        self.copied = False
        self._stay = STAY_SECONDS if stays else 0
        self._told: Record | None = None  # by the pod's log, or its link
        self._lines: KeptLines | None = None
        self._followed = self._unheard = False
        self._maker = maker
        self._conditions = conditions
        self._spec = spec
        self._attempt = 0
        self._due = 0.0
        self.room = Room()
        self._life = self._new_life()

    @property
    def pod_name(self) -> str:
        """The name of the pod of the current attempt."""
        return self._maker.resolve_name(max(self._attempt, 1))

    def reconcile(self, suspended: bool, pass_: Pass) -> str:
        """Return the packed graph, "" while it is not known.

        Raises DefinitionError when there will be none. While the Job is suspended, no pod is created.
        """
        if not self._attempt:
            attempts = range(self._spec.infrastructure_retries + 1, 1, -1)
            self._attempt = next((n for n in attempts if self._maker.resolve_name(n) in pass_.pods), 1)
            self._life = self._new_life()
        pod = pass_.pods.get(self.pod_name)
        if pod is None:
            self._make(suspended, pass_)
            return ""
        self.room.clear()
        seen = observe(pod)
        if seen.phase is not Phase.ENDED and not self._is_told(seen):
            self._wait(pod, seen, pass_)
            return ""
        record = self._told or self._record(seen)
        if record is None:
            self._lost("ResolveFailed", _no_record(seen), seen.fault, pass_)
            return ""
        if record.outcome == "Failed":
            raise DefinitionError(record.reason or "CodeError", record.message)
        if not record.graph:
            pass_.actions.read_log = self.pod_name
        if lingers(pod):
            pass_.actions.deletes.append(self.pod_name)
        if not self._stay or seen.phase is Phase.ENDED:
            self._leave(pass_.actions)
        return record.graph

    def put_back(self, reason: str, message: str, now: float) -> bool:
        """Wait until there is room for the pod."""
        self.room.refused(reason, message, now, jitter_of(self._maker.ref.uid, now))
        return True

    def record(self, pods: Mapping[str, Pod]) -> Record | None:
        """Return the resolve pod's record, for reading its log."""
        pod = pods.get(self.pod_name)
        return self._told or (self._record(observe(pod)) if pod is not None else None)

    def take_lines(self, lines: Iterable[str]) -> bool:
        """Take in lines of the pod's log; return whether the graph is among them.

        What went wrong is read when the pod has ended.
        """
        lines = list(lines)
        signer = self._maker.signer_of("", max(self._attempt, 1))
        self._lines = self._lines or graph_lines(signer)
        self._lines.take(lines)
        text = record_text_in(lines, signer)
        if text is not None and (record := Record.from_text(text)).outcome == "Succeeded":
            if not record.graph:
                with contextlib.suppress(DefinitionError):  # only the last lines of a log are followed
                    record = replace(record, graph=from_log(record, self._lines.lines, self._maker.pod_key))
            self._told, self._lines = record, None
            return True
        return False

    def log_unavailable(self) -> None:
        """The pod's log cannot be followed, so do not keep the pod waiting: its termination message has the graph."""
        self._unheard = True

    def let_go(self, pass_: Pass) -> str:
        """End the pod, if it waits, as the Job has finished; return its name if it reported the graph.

        The pod then has a moment to exit.
        """
        pod = pass_.pods.get(self.pod_name)
        if pod is None or self._told is None:
            return ""
        if is_staying(pod):
            end_resolve_pod(self._maker, self._attempt, pod, pass_.actions)
        return self.pod_name

    def look_after(self, pass_: Pass) -> None:
        """Delete a pod that runs no step, when only another container keeps it running: the graph is known."""
        pod = pass_.pods.get(self.pod_name)
        if pod is not None and OP_LABEL not in pod.metadata.labels and lingers(pod):
            pass_.actions.deletes.append(self.pod_name)

    def _is_told(self, seen: PodState) -> bool:
        """Whether the graph is known, or is in a log that the kubelet has by now."""
        return self._told is not None and (bool(self._told.graph) or seen.phase is Phase.RUNNING)

    def _record(self, seen: PodState) -> Record | None:
        return read_record(seen, self._maker.signer_of("", self._attempt))

    def _make(self, suspended: bool, pass_: Pass) -> None:
        if suspended:
            return
        if self.room.trouble:
            self._conditions.resolving(self.room.trouble, pass_)
        if pass_.now < (due := max(self._due, self.room.due)):
            pass_.actions.requeue_at(due)
        elif self._maker.code_map and not self.copied:
            pass_.actions.copy_code = True
        else:
            pass_.actions.creates.append(self._maker.resolve_pod(self._attempt, self._stay))
            self._conditions.resolving(self.room.trouble, pass_)

    def _lost(self, reason: str, message: str, fault: Fault, pass_: Pass) -> None:
        """Schedule another attempt after an infrastructure fault, else refuse the Job."""
        if fault is not Fault.INFRASTRUCTURE or self._attempt > self._spec.infrastructure_retries:
            raise DefinitionError(reason, message)
        chance = jitter_of(self._maker.ref.uid, "", self._attempt)
        self._due = pass_.now + seconds_after_loss(self._attempt - 1, chance)
        self._attempt += 1
        self._told, self._lines = None, None
        self._leave(pass_.actions)
        self._life = self._new_life()
        pass_.actions.requeue_at(self._due)
        pass_.actions.events.append(Event("Warning", "ResolveRetried", f"the code is read again: {message}"))
        self._conditions.resolving(f"again, as {message}", pass_)

    def _wait(self, pod: Pod, seen: PodState, pass_: Pass) -> None:
        """Wait for the pod, and give it up if it cannot start. Raises DefinitionError when it runs too long."""
        look = self._life.look(pod, seen, pass_, timeout=RESOLVE_SECONDS)
        pass_.actions.requeue_at(look.due)
        if look.stage is Stage.OVERTIME:
            pass_.actions.deletes.append(self.pod_name)
            raise DefinitionError("ResolveFailed", f"reading the code took longer than {RESOLVE_SECONDS} seconds")
        if look.outcome is not None:
            reason, message = look.outcome.reason, look.outcome.message
            if look.stage is Stage.GIVEN_UP and seen.phase is Phase.STUCK and reason == seen.reason:
                reason = "ImagePullFailed" if "Image" in reason else reason
                message = f"the resolve pod cannot start: {seen.reason}: {message}"
            self._lost(reason, message, look.outcome.fault, pass_)
            return
        if look.stage is Stage.RUNNING:
            self._listen(pod, pass_.actions)
        self._conditions.resolving(f"{seen.reason}: {seen.message}" if seen.reason else "", pass_)

    def _listen(self, pod: Pod, actions: Actions) -> None:
        """Request the log of a running pod, once."""
        if not self._followed:
            self._followed = True
            actions.follow.append(self.pod_name)
        if self._unheard and is_staying(pod):
            end_resolve_pod(self._maker, self._attempt, pod, actions)

    def _new_life(self) -> PodLifecycle:
        return PodLifecycle(self.pod_name, self._spec.pending_seconds, noun="the resolve pod")

    def _leave(self, actions: Actions) -> None:
        if self._followed:
            self._followed = False
            actions.leave.append(self.pod_name)


def _no_record(seen: PodState) -> str:
    return f"the resolve pod reported no graph; {seen.message or 'it exited with code 0'}{last_lines(seen.text)}"
