"""What happens to the steps of a shared pod that ended before them."""

from __future__ import annotations

from podgraph.flow import TERMINAL
from podgraph.planning.actions import Event
from podgraph.planning.groups.reports import end_step
from podgraph.planning.groups.steps import GroupedSteps
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.model.status import PodRecord
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.pods.passes import Pass
from podgraph.planning.steps.infrastructure_retries import seconds_after_loss
from podgraph.planning.steps.retry_policy import jitter_of, seconds_until_retry
from podgraph.planning.steps.stop import Stop
from podgraph.protocol.errors import ErrorInfo
from podgraph.protocol.times import utc

__all__ = ["GroupRecovery"]


class GroupRecovery:
    """Decides for the steps of the pod `name`; `record` is the pod's own."""

    def __init__(
        self, name: str, steps: GroupedSteps, maker: PodFactory, spec: ExecutionSpec, record: PodRecord
    ) -> None:
        self.name, self.steps, self.record = name, steps, record
        self._uid, self._most = maker.ref.uid, spec.infrastructure_retries

    def stop(self, todo: list[str], stop: Stop, ended: str) -> None:
        """End the steps of a stopped Job; those that had not begun come first, so that others do not fail them."""
        pending = [step for step in todo if self.steps.records[step].state == "Pending"]
        for step in pending:
            self.steps.cancel(step, f"not run: {stop.message}")
        for step in todo:
            record = self.steps.records[step]
            if step in pending:
                continue
            if stop.reason == "Canceled" or record.state == "UpForRetry":
                self.steps.cancel(step, stop.message, ended)
            else:
                self.steps.end(step, Outcome({}, stop.reason, stop.message, completion_time=ended))

    def due_after(self, todo: list[str], outcome: Outcome, pass_: Pass) -> float | None:
        """Return when another pod continues with what is left of `todo`; None when nothing is.

        After an infrastructure fault another pod follows as `infrastructureRetries` allows. A crash counts for the
        step that ran, by its own retry policy, and the others continue. In other cases another pod would not help.
        """
        due = pass_.now
        running = [step for step in todo if self.steps.records[step].state in ("Starting", "Running", "Stopping")]
        if outcome.fault is Fault.INFRASTRUCTURE and self.record.infra_failures < self._most:
            due += seconds_after_loss(
                self.record.infra_failures, jitter_of(self._uid, f"@{self.name}", self.record.attempt)
            )
            self.record.infra_failures += 1
            for step in running:
                self.steps.retry(step, outcome, utc(due), lost=True)
            text = f"pod {self.name!r} ended and is followed by another for {len(todo)} of its steps"
            pass_.actions.events.append(Event("Warning", "PodRetried", f"{text}: {outcome.reason}: {outcome.message}"))
        elif outcome.fault is Fault.APPLICATION and running:
            for step in running:
                due = max(due, self.failed(step, outcome, pass_))
        else:
            for step in todo:
                if self.steps.records[step].state not in TERMINAL:
                    end_step(self.steps, step, outcome, pass_.actions)
        return None if all(self.steps.records[step].state in TERMINAL for step in todo) else due

    def failed(self, step: str, outcome: Outcome, pass_: Pass) -> float:
        """End the failed attempt of a step in the pod; return when the steps of the pod may continue."""
        record, op = self.steps.records[step], self.steps.graph.ops[step]
        error, chance = ErrorInfo(outcome.reason, outcome.message), jitter_of(self._uid, step, record.attempt)
        seconds = seconds_until_retry(
            op, outcome.fault, error, record.attempt, record.infra_failures, self._most, chance
        )
        if seconds is None:
            end_step(self.steps, step, outcome, pass_.actions)
            return pass_.now
        self.steps.retry(step, outcome, utc(pass_.now + seconds))
        said = f"{outcome.reason}: {outcome.message}"
        text = f"attempt {record.attempt} of op {step!r} failed and is followed by another: {said}"
        pass_.actions.events.append(Event("Warning", "StepRetried", text, step))
        return pass_.now + seconds
