"""How a finished step unblocks, skips or fails the steps downstream. Local runs and the cluster share these rules.

Each step has a count of its unfinished upstream steps, so the cost of a change depends only on the steps that it
affects; nothing scans all steps for the ready ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping
from typing import Any, Generic, TypeVar

from podgraph.definition.graph import Graph, Input, OutputRef

__all__ = ["FAILED", "TERMINAL", "NOT_STARTED", "Flow", "FlowStep", "is_connected"]

FAILED = frozenset(("Failed", "UpstreamFailed", "Canceled"))
TERMINAL = frozenset(("Succeeded", "Skipped")) | FAILED
NOT_STARTED = frozenset(("Pending", "Waiting"))
"""States of steps for which it is not decided whether they run; a step in Waiting already has a pod."""


class FlowStep:
    """The fields of a step that the rules read and set: its state, its outputs, and why it did not run."""

    state: str
    outputs: Mapping[str, Any]
    message: str


S = TypeVar("S", bound=FlowStep)


class Flow(Generic[S]):
    """The selected steps by name in run order, the number in each state, and the steps that are `ready` to start.

    A state is one of NOT_STARTED, one of TERMINAL, or any state between them. Steps that are terminal from the start,
    as after a restart, keep their state.
    """

    def __init__(self, graph: Graph, steps: dict[str, S]) -> None:
        self.graph = graph
        self.records = steps
        self.counts: dict[str, int] = {}
        self.ready: deque[str] = deque()
        self._open: dict[str, int] = {}
        for record in steps.values():
            self.counts[record.state] = self.counts.get(record.state, 0) + 1
        for name, record in steps.items():  # in topological order: all upstream steps are settled first
            ups = [up for up in graph.upstream[name] if up in steps]
            self._open[name] = sum(steps[up].state not in TERMINAL for up in ups)
            if record.state in NOT_STARTED:
                self._settle(name)

    @property
    def done(self) -> bool:
        """Whether all steps are terminal."""
        return sum(self.counts.get(state, 0) for state in TERMINAL) == len(self.records)

    def count(self, state: str) -> int:
        """Return the number of steps in `state`."""
        return self.counts.get(state, 0)

    def waits(self, name: str) -> bool:
        """Return whether a step waits for others."""
        return self._open[name] > 0

    def transition(self, name: str, state: str) -> None:
        """Set the state of a step. If the state is terminal, call :meth:`propagate` next."""
        record = self.records[name]
        self.counts[record.state] -= 1
        self.counts[state] = self.counts.get(state, 0) + 1
        self._update(name, state=state)

    def _update(self, name: str, **changes: Any) -> None:
        """Change fields of the record of a step; all writes of this class go through here."""
        for field, value in changes.items():
            setattr(self.records[name], field, value)

    def propagate(self, name: str) -> None:
        """Update the steps downstream of a finished step, without recursion: a chain may have thousands of steps."""
        todo = deque([name])
        while todo:
            ended = todo.popleft()
            failed = self.records[ended].state in FAILED
            for down in self.graph.downstream[ended]:
                if down not in self.records:
                    continue
                self._open[down] -= 1
                decided = (
                    failed or not self._open[down]
                )  # so that each step is settled once, however many steps it waits for
                if decided and self.records[down].state in NOT_STARTED and self._settle(down):
                    todo.append(down)

    def _settle(self, name: str) -> bool:
        """Decide whether a pending step runs, if possible. Returns whether the step is now terminal."""
        failed = [up for up in self.graph.upstream[name] if up in self.records and self.records[up].state in FAILED]
        if failed:
            self._update(name, message=f"not run: {', '.join(failed[:3])} failed")
            self.transition(name, "UpstreamFailed")
            return True
        if self._open[name]:
            return False
        missing = self._missing(name)
        if missing:
            self._update(name, message=f"not run: {missing}")
            self.transition(name, "Skipped")
            return True
        self.release(name)
        return False

    def release(self, name: str) -> None:
        """Mark a step as ready to start: all upstream steps have finished, and its inputs exist."""
        self.ready.append(name)

    def _missing(self, name: str) -> str:
        """Return the input or step whose absence skips a step, "" if there is none.

        A fan-in runs with the values that exist and is skipped only if there are none (as in Dagster).
        """
        op = self.graph.ops[name]
        for up in op.after:
            if up in self.records and self.records[up].state == "Skipped":
                return f"{up} was skipped"
        for item in op.inputs:
            refs = [ref for ref in item.sources if ref.op in self.records]
            if refs and not any(self._produced(ref, item.ordering) for ref in refs):
                return f"input {item.name} was not produced"
        return ""

    def _produced(self, ref: OutputRef, ordering: bool) -> bool:
        """Return whether an output exists.

        An ordering input may name an output that the op does not declare; it exists once the op has succeeded.
        """
        record = self.records[ref.op]
        if ordering and all(ref.output != output.name for output in self.graph.ops[ref.op].outputs):
            return record.state == "Succeeded"
        return ref.output in record.outputs


def is_connected(item: Input, chosen: Container[str]) -> bool:
    """Return whether the value of an input comes from selected ops."""
    return bool(item.sources) and all(ref.op in chosen for ref in item.sources)
