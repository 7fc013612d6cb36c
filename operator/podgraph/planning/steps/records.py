"""The steps of one run: the records that its status holds, and the rules by which they follow each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from podgraph.definition.graph import Graph
from podgraph.flow import Flow, is_connected
from podgraph.planning.model.status import StepRecord
from podgraph.planning.model.value_refs import fan_in
from podgraph.planning.pods.outcome import Outcome
from podgraph.run_config.binding import Values

__all__ = ["ReportedSteps", "Steps"]


class Steps(Flow[StepRecord]):
    """The records of the selected ops, which of them are ready to start, and which changed since last asked.

    Of a rerun they have those with them that it has taken from its parent, done as they are; `taken` counts these.
    `values` holds the inputs that run config, literals and defaults give (see run_config.binding).
    """

    def __init__(
        self, graph: Graph, selected: Sequence[str], values: Values, records: Mapping[str, StepRecord] | None = None
    ) -> None:
        self.values = values
        self.changed: set[str] = set()
        self.moved: dict[str, None] = {}  # those that went to another state, for planning.prestart.policy
        super().__init__(graph, {name: (records or {}).get(name) or StepRecord() for name in selected})
        self.taken = sum(bool(record.taken_from) for record in self.records.values())
        self.output_bytes = sum(len(t.encode()) for r in self.records.values() for t in r.outputs.values())

    @property
    def first(self) -> str:
        """The first step that is run here, "" when all are taken."""
        return next((name for name, record in self.records.items() if not record.taken_from), "")

    @property
    def alone(self) -> Collection[str]:
        """The steps that have pods of their own."""
        return self.records

    def set_state(self, name: str, state: str, reason: str = "", message: str = "") -> None:
        """Move a step to a state that is not its end."""
        record = self.records[name]
        if (record.state, record.reason, record.message) != (state, reason, message):
            self.transition(name, state)
            record.reason, record.message = reason, message

    def begin(self, name: str) -> int:
        """Begin the next attempt at a step and return its number."""
        record = self.records[name]
        record.attempt += 1
        record.pod_uid = ""
        record.start_time = record.completion_time = record.retry_time = None
        self.transition(name, "Starting")
        record.reason = record.message = ""
        return record.attempt

    def retry(self, name: str, outcome: Outcome, time: str) -> None:
        """Record how an attempt failed that is followed by another at `time`."""
        record = self.records[name]
        record.start_time = outcome.start_time or record.start_time
        record.completion_time, record.retry_time = outcome.completion_time, time
        record.reason = outcome.reason
        record.message = f"{outcome.message}; attempt {record.attempt + 1} follows at {time[:19]}Z"
        self.transition(name, "UpForRetry")

    def cancel(self, name: str, message: str) -> None:
        """End a step that was not at its end; what waits for it is for the caller to end as well."""
        record = self.records[name]
        record.reason, record.message, record.retry_time = "", message, None
        self.transition(name, "Canceled")

    def end(self, name: str, outcome: Outcome) -> None:
        """Record how a step ended and let what waits for it go on, be skipped or be given up."""
        record = self.records[name]
        record.outputs, record.reason, record.message = outcome.outputs, outcome.reason, outcome.message
        record.start_time = outcome.start_time or record.start_time
        record.completion_time, record.retry_time = outcome.completion_time, None
        self.output_bytes += sum(len(text.encode()) for text in outcome.outputs.values())
        self.transition(name, "Failed" if outcome.reason else "Succeeded")
        self.propagate(name)

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

    def transition(self, name: str, state: str) -> None:
        """Put a step into `state` and remember that its record is to be written."""
        super().transition(name, state)
        self.changed.add(name)
        self.moved[name] = None


class ReportedSteps(Steps):
    """The steps of a pod that runs them all: what follows from a step's end is decided there, and told from there."""

    def _settle(self, name: str) -> bool:
        return False
