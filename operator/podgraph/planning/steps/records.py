"""The steps of one run: the records that its status holds, and the rules by which they follow each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from podgraph.definition.graph import Graph
from podgraph.flow import Flow, is_connected
from podgraph.planning.model.status import StepRecord
from podgraph.planning.model.value_refs import fan_in
from podgraph.planning.pods.outcome import Outcome
from podgraph.protocol.reports import StepReport
from podgraph.run_config.binding import Values

__all__ = ["ReportedSteps", "Steps"]

STATE_ONLY = "the report of this step is lost, except for its state"


class Steps(Flow[StepRecord]):
    """The records of the selected ops, which of them are ready to start, and which changed since the last write.

    In a rerun they include the steps whose results come from the parent; `taken` counts these. `values` holds the
    inputs that run config, literals and defaults give (see run_config.binding).
    """

    def __init__(
        self, graph: Graph, selected: Sequence[str], values: Values, records: Mapping[str, StepRecord] | None = None
    ) -> None:
        self.values = values
        self._changed: set[str] = set()
        self._moved: dict[str, None] = {}
        super().__init__(graph, {name: (records or {}).get(name) or StepRecord() for name in selected})
        self.taken = sum(bool(record.taken_from) for record in self.records.values())
        self.output_bytes = sum(_size(record.outputs) for record in self.records.values())

    @property
    def first(self) -> str:
        """The first step that is run here, "" when all are taken."""
        return next((name for name, record in self.records.items() if not record.taken_from), "")

    @property
    def alone(self) -> Collection[str]:
        """The steps that have pods of their own."""
        return self.records

    def inputs_of(self, name: str) -> dict[str, str]:
        """Return the text of each input of a ready step: JSON, or a reference (see planning.model.value_refs).

        A default only the function knows is left out.
        """
        texts = dict(self.values.get(name, {}))
        for item in self.graph.ops[name].inputs:
            if item.ordering or not is_connected(item, self.records):
                continue
            found = [t for ref in item.sources if (t := self.records[ref.op].outputs.get(ref.output)) is not None]
            texts[item.name] = fan_in(found) if item.fan_in else found[0]
        return texts

    # --- changes of a step: nothing else writes a record

    def set_state(self, name: str, state: str, reason: str = "", message: str = "") -> None:
        """Move a step to a state that is not its end."""
        record = self.records[name]
        if (record.state, record.reason, record.message) != (state, reason, message):
            self._update(name, reason=reason, message=message)
            self.transition(name, state)

    def begin(self, name: str, pod_uid: str = "") -> int:
        """Begin the next attempt at a step and return its number; `pod_uid` is that of its pod where there is one."""
        attempt = self.records[name].attempt + 1
        self._update(
            name, attempt=attempt, pod_uid=pod_uid, start_time=None, completion_time=None, retry_time=None, reason="",
            message="",
        )  # fmt: skip
        self.transition(name, "Starting")
        return attempt

    def put_back(self, name: str, reason: str, message: str) -> None:
        """Take back the begin of an attempt, as there is no room for its pod yet; the attempt does not count."""
        attempt = self.records[name].attempt - 1
        self._update(name, attempt=attempt, pod_uid="", reason=reason, message=message)
        self.transition(name, "Pending")

    def resume(self, name: str) -> int:
        """Continue the attempt that the status shows as under way, and return its number."""
        self._update(name, attempt=max(self.records[name].attempt, 1))
        return self.records[name].attempt

    def set_pod_uid(self, name: str, uid: str) -> None:
        """Record which pod runs the current attempt."""
        if self.records[name].pod_uid != uid:
            self._update(name, pod_uid=uid)
            self._changed.add(name)

    def start(self, name: str, time: str | None) -> None:
        """Record that a step runs since `time`."""
        self._update(name, start_time=time)
        self.set_state(name, "Running")

    def retry(self, name: str, outcome: Outcome, time: str, lost: bool = False) -> None:
        """Record a failed attempt that is followed by another at `time`; `lost` says that the cluster ended it."""
        record = self.records[name]
        self._update(
            name,
            infra_failures=record.infra_failures + lost,
            start_time=outcome.start_time or record.start_time,
            completion_time=outcome.completion_time,
            retry_time=time,
            reason=outcome.reason,
            message=f"{outcome.message}; attempt {record.attempt + 1} follows at {time[:19]}Z",
        )
        self.transition(name, "UpForRetry")

    def end(self, name: str, outcome: Outcome, lost: bool = False) -> None:
        """Record how a step ended, then start, skip or fail the steps downstream; `lost` as in :meth:`retry`."""
        record = self.records[name]
        self._update(
            name,
            infra_failures=record.infra_failures + lost,
            start_time=outcome.start_time or record.start_time,
            completion_time=outcome.completion_time,
            retry_time=None,
            outputs=outcome.outputs,
            reason=outcome.reason,
            message=outcome.message,
        )
        self.output_bytes += _size(outcome.outputs)
        self.transition(name, "Failed" if outcome.reason else "Succeeded")
        self.propagate(name)

    def cancel(self, name: str, message: str, ended: str | None = None) -> None:
        """End a step early. The caller also ends the steps downstream."""
        self._end_early(name, "Canceled", message, ended)

    def give_up(self, name: str, message: str) -> None:
        """End a step that cannot run, as an upstream step failed."""
        self._end_early(name, "UpstreamFailed", message)

    def report(self, report: StepReport, uid: str, outputs: Mapping[str, str] | None = None) -> None:
        """Record the state that the pod `uid` reports of one of its steps; the steps downstream do not change."""
        self.report_attempt(report, uid)
        if outputs is not None:
            self._update(report.step, outputs=dict(outputs))
            self.output_bytes += _size(outputs)
        self._update(report.step, reason=report.reason, message=report.message)
        self.transition(report.step, report.state)

    def report_attempt(self, report: StepReport, uid: str) -> None:
        """Record the number and the times of the attempt that the pod `uid` reports."""
        self._update(
            report.step,
            attempt=report.attempt,
            pod_uid=uid if report.attempt else self.records[report.step].pod_uid,
            start_time=report.start_time or None,
            completion_time=report.completion_time or None,
            retry_time=report.retry_time or None,
        )
        self._changed.add(report.step)

    def fill(self, name: str, state: str, uid: str, ended: str | None) -> None:
        """Record the end of a step of which the pod `uid` left the state alone; the steps downstream do not change."""
        record = self.records[name]
        if state in ("Succeeded", "Failed"):
            self._update(name, attempt=max(record.attempt, 1), pod_uid=uid, completion_time=ended)
        reason = "ReportLost" if state == "Failed" else ""
        self._update(name, retry_time=None, reason=reason, message=STATE_ONLY)
        self.transition(name, state)

    def count_loss(self, name: str) -> None:
        """Count the last attempt at a step as lost to the cluster: the step runs again, though it had succeeded."""
        self._update(name, infra_failures=self.records[name].infra_failures + 1)
        self._changed.add(name)

    def transition(self, name: str, state: str) -> None:
        """Put a step into `state` and remember that its record is to be written."""
        super().transition(name, state)
        self._changed.add(name)
        self._moved[name] = None

    def _end_early(self, name: str, state: str, message: str, ended: str | None = None) -> None:
        ended = ended or self.records[name].completion_time
        self._update(name, completion_time=ended, retry_time=None, reason="", message=message)
        self.transition(name, state)

    def _update(self, name: str, **changes: Any) -> None:
        self.records[name] = replace(self.records[name], **changes)

    # --- what changed

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`take_changed` would return any step."""
        return bool(self._changed)

    def mark_all_changed(self) -> None:
        """Have all records written, as the status has none of them yet."""
        self._changed.update(self.records)

    def take_changed(self) -> set[str]:
        """Return the steps whose records changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def take_moved(self) -> list[str]:
        """Return the steps that went to another state since the last call, in that order."""
        moved, self._moved = self._moved, {}
        return list(moved)


def _size(outputs: Mapping[str, str]) -> int:
    return sum(len(text.encode()) for text in outputs.values())


class ReportedSteps(Steps):
    """The steps of a pod that runs them all: the pod decides what follows from the end of a step, and reports it."""

    def _settle(self, name: str) -> bool:
        return False
