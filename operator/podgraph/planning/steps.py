"""The steps of one run and how the end of one lets others go on.

Each change costs what it touches: a step knows how many of its upstream steps are still open, so nothing is ever
scanned to find what is ready.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from podgraph.definition.graph import Graph, OutputRef
from podgraph.planning.inputs import Values, is_connected
from podgraph.planning.outcome import Outcome
from podgraph.planning.status import TERMINAL, StepRecord

__all__ = ["Steps"]

_FAILED = ("Failed", "UpstreamFailed")


class Steps:
    """The records of the selected ops, which of them are ready to start, and which changed since last asked.

    `values` holds the inputs that run config, literals and defaults give (see planning.inputs).
    """

    def __init__(
        self, graph: Graph, selected: Sequence[str], values: Values, records: Mapping[str, StepRecord] | None = None
    ) -> None:
        self.graph = graph
        self.values = values
        self.records = {name: (records or {}).get(name) or StepRecord() for name in selected}
        self.counts: dict[str, int] = {}
        for record in self.records.values():
            self.counts[record.state] = self.counts.get(record.state, 0) + 1
        self.output_bytes = sum(len(t.encode()) for r in self.records.values() for t in r.outputs.values())
        self.changed: set[str] = set()
        self.ready: deque[str] = deque()
        self._open: dict[str, int] = {}
        for name in selected:  # in topological order, so all upstream steps are settled before
            ups = [up for up in graph.upstream[name] if up in self.records]
            self._open[name] = sum(self.records[up].state not in TERMINAL for up in ups)
            if self.records[name].state == "Pending":
                self._settle(name)

    @property
    def done(self) -> bool:
        """Whether no step can change any more."""
        return sum(self.counts.get(state, 0) for state in TERMINAL) == len(self.records)

    def count(self, state: str) -> int:
        """How many steps are in `state`."""
        return self.counts.get(state, 0)

    def set_state(self, name: str, state: str, reason: str = "", message: str = "") -> None:
        """Move a step to a state that is not its end."""
        record = self.records[name]
        if (record.state, record.reason, record.message) != (state, reason, message):
            self._move(name, state)
            record.reason, record.message = reason, message

    def end(self, name: str, outcome: Outcome) -> None:
        """Record how a step ended and let what waits for it go on, be skipped or be given up."""
        record = self.records[name]
        record.outputs, record.reason, record.message = outcome.outputs, outcome.reason, outcome.message
        record.start_time = outcome.start_time or record.start_time
        record.completion_time = outcome.completion_time
        self.output_bytes += sum(len(text.encode()) for text in outcome.outputs.values())
        self._move(name, "Failed" if outcome.reason else "Succeeded")
        self._spread(name)

    def inputs_of(self, name: str) -> dict[str, str]:
        """Return the JSON text of each input of a ready step; a default only the function knows is left out."""
        texts = dict(self.values.get(name, {}))
        for item in self.graph.ops[name].inputs:
            if item.ordering or not is_connected(item, self.records):
                continue
            found = [t for ref in item.sources if (t := self.records[ref.op].outputs.get(ref.output)) is not None]
            texts[item.name] = f"[{','.join(found)}]" if item.fan_in else found[0]
        return texts

    def _spread(self, name: str) -> None:
        """Tell everything downstream of an ended step, without recursion: a chain may have thousands of steps."""
        todo = deque([name])
        while todo:
            ended = todo.popleft()
            failed = self._state(ended) in _FAILED
            for down in self.graph.downstream[ended]:
                if down not in self.records:
                    continue
                self._open[down] -= 1
                decided = failed or not self._open[down]  # so that each is looked at once, however many it waits for
                if decided and self.records[down].state == "Pending" and self._settle(down):
                    todo.append(down)

    def _settle(self, name: str) -> bool:
        """Decide a pending step if it can be decided; return whether that ended it."""
        failed = [up for up in self.graph.upstream[name] if self._state(up) in _FAILED]
        if failed:
            self.records[name].message = f"not run: {', '.join(failed[:3])} failed"
            self._move(name, "UpstreamFailed")
            return True
        if self._open[name]:
            return False
        missing = self._missing(name)
        if missing:
            self.records[name].message = f"not run: {missing}"
            self._move(name, "Skipped")
            return True
        self.ready.append(name)
        return False

    def _missing(self, name: str) -> str:
        """Say which input or step that a step needs was skipped, or return "".

        A fan-in runs with the values that are there and is skipped only when none is (as in Dagster).
        """
        op = self.graph.ops[name]
        for up in op.after:
            if self._state(up) == "Skipped":
                return f"{up} was skipped"
        for item in op.inputs:
            refs = [ref for ref in item.sources if ref.op in self.records]
            if refs and not any(self._produced(ref, item.ordering) for ref in refs):
                return f"input {item.name} was not produced"
        return ""

    def _produced(self, ref: OutputRef, ordering: bool) -> bool:
        """Whether an output is there. One that an op does not have, which may only be waited for, comes as it ends."""
        record = self.records[ref.op]
        if ordering and all(ref.output != output.name for output in self.graph.ops[ref.op].outputs):
            return record.state == "Succeeded"
        return ref.output in record.outputs

    def _state(self, name: str) -> str:
        return self.records[name].state if name in self.records else ""

    def _move(self, name: str, state: str) -> None:
        record = self.records[name]
        self.counts[record.state] -= 1
        self.counts[state] = self.counts.get(state, 0) + 1
        record.state = state
        self.changed.add(name)
