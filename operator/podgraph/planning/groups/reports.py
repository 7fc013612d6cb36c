"""Records the reports of a shared pod: reports may repeat, and a step never goes back."""

from __future__ import annotations

from dataclasses import replace

from podgraph.flow import FAILED, TERMINAL
from podgraph.planning.actions import Actions, Event
from podgraph.planning.groups.assignment import steps_to_repeat
from podgraph.planning.groups.steps import GroupedSteps, SharingSteps
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.model.status import StepRecord
from podgraph.planning.pods.outcome import Outcome, if_room, reported_outcome
from podgraph.protocol.reports import LAST_RANK, RANKS, StepReport

__all__ = ["GroupReports", "end_step"]


class GroupReports:
    """Records the reports of the pod `name`; `output_budget` is the most bytes of outputs of the Job."""

    def __init__(self, name: str, steps: SharingSteps, maker: PodFactory, output_budget: int) -> None:
        self.name, self.steps, self.members = name, steps, frozenset(steps.sharing[name])
        self._maker, self._output_budget = maker, output_budget

    def take(self, report: StepReport, pod_attempt: int, uid: str, actions: Actions) -> None:
        """Record a report of attempt `pod_attempt` of the pod, with this `uid`, if it is newer than what is known."""
        if report.step not in self.members:
            return
        step, record = report.step, self.steps.records[report.step]
        news = (report.attempt, RANKS.get(report.state, LAST_RANK))
        if record.state in TERMINAL:
            self._take_repeated(report, record, uid, actions)
            return
        if news <= (record.attempt, RANKS[record.state]) and report.state not in TERMINAL:
            return
        if record.state == "Stopping" and report.state not in TERMINAL:
            return
        self.steps.report_attempt(report, uid)
        if report.state == "Succeeded":
            prefix = self._maker.shared_prefix(self.name, pod_attempt, step, report.attempt)
            outcome = reported_outcome(self.steps.graph.ops[step], report, self.steps.needed_outside(step), prefix)
            end_step(self.steps, step, self._with_room(step, outcome), actions)
        elif report.state == "Failed":
            times = (report.start_time or None, report.completion_time or None)
            end_step(self.steps, step, Outcome({}, report.reason, report.message, *times), actions)
        elif report.state == "UpstreamFailed" and not self._has_failed_upstream(step):
            text = (
                f"a value that it needs was lost with an earlier pod and could not be computed again ({report.message})"
            )
            end_step(self.steps, step, Outcome({}, "InputLost", text), actions)
        else:
            self.steps.report(report, uid)
            if report.state == "UpForRetry":
                said = f"{report.reason}: {report.message}"
                text = f"attempt {report.attempt} of op {step!r} failed and is followed by another: {said}"
                actions.events.append(Event("Warning", "StepRetried", text, step))
            elif report.state in TERMINAL:
                self.steps.propagate(step)

    def _take_repeated(self, report: StepReport, record: StepRecord, uid: str, actions: Actions) -> None:
        """Handle the report of a step that runs again only because its in-memory outputs were lost with the old pod.

        Its recorded result stays: steps outside may have used it. If it fails now, the steps that need it in this pod
        fail.
        """
        if record.state != "Succeeded" or report.attempt <= record.attempt:
            return
        if report.state == "Failed" and report.step in steps_to_repeat(self.steps, self.name):
            text = (
                f"what op {report.step!r} returned was lost with the pod, and it failed when it ran again: "
                f"{report.reason}: {report.message}"
            )
            for down in self.steps.graph.downstream[report.step]:
                if down in self.members and self.steps.records[down].state not in TERMINAL:
                    end_step(self.steps, down, Outcome({}, "InputLost", text), actions)
        elif report.state == "Succeeded":
            self.steps.report_attempt(report, uid)

    def _with_room(self, step: str, outcome: Outcome) -> Outcome:
        """Return an outcome that fits into the status: only with the outputs needed outside, or as a failure."""
        room = self._output_budget - self.steps.output_bytes
        if sum(len(text.encode()) for text in outcome.outputs.values()) <= room:
            return outcome
        needed = self.steps.needed_outside(step)
        outputs = {name: text for name, text in outcome.outputs.items() if name in needed}
        return if_room(step, replace(outcome, outputs=outputs), self.steps.output_bytes, self._output_budget)

    def fill(self, step: str, state: str, uid: str, ended: str | None) -> None:
        """Record the end of a step by the record of its pod, as its log does not say; skip it if values are missing."""
        if not state or self.steps.records[step].state in TERMINAL:
            return
        if state == "UpstreamFailed" and not self._has_failed_upstream(step):
            state = "Failed"
        if state == "Succeeded" and self.steps.needed_outside(step):
            return
        self.steps.fill(step, state, uid, ended)
        self.steps.propagate(step)

    def _has_failed_upstream(self, step: str) -> bool:
        ups = self.steps.graph.upstream[step]
        return any(up in self.steps.records and self.steps.records[up].state in FAILED for up in ups)


def end_step(steps: GroupedSteps, step: str, outcome: Outcome, actions: Actions) -> None:
    """End a step for good, with an event when it has failed."""
    steps.end(step, outcome)
    if outcome.reason:
        text = f"op {step!r} failed: {outcome.reason}: {outcome.message}"
        actions.events.append(Event("Warning", "StepFailed", text, step))
