"""How the end of one step lets others go on, be skipped, or be given up: the same rules in a process and a cluster.

Each change costs what it touches: a step knows how many of its upstream steps are still open, so nothing is ever
scanned to find what is ready.
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
"""Steps of which nobody knows yet whether they will run; for one in Waiting a pod is there already."""


class FlowStep:
    """What the rules read and set of a step: its state, the outputs it produced, and why it was not run."""

    state: str
    outputs: Mapping[str, Any]
    message: str


S = TypeVar("S", bound=FlowStep)


class Flow(Generic[S]):
    """The selected steps by name (in run order), how many are in which state, and which are `ready` to start.

    States are the NOT_STARTED ones, any others on the way, and the TERMINAL ones. Steps that are already at their end,
    as after a restart, count as they are.
    """

    def __init__(self, graph: Graph, steps: dict[str, S]) -> None:
        self.graph = graph
        self.records = steps
        self.counts: dict[str, int] = {}
        self.ready: deque[str] = deque()
        self._open: dict[str, int] = {}
        for record in steps.values():
            self.counts[record.state] = self.counts.get(record.state, 0) + 1
        for name, record in steps.items():  # in topological order, so all upstream steps are settled before
            ups = [up for up in graph.upstream[name] if up in steps]
            self._open[name] = sum(steps[up].state not in TERMINAL for up in ups)
            if record.state in NOT_STARTED:
                self._settle(name)

    @property
    def done(self) -> bool:
        """Whether no step can change any more."""
        return sum(self.counts.get(state, 0) for state in TERMINAL) == len(self.records)

    def count(self, state: str) -> int:
        """How many steps are in `state`."""
        return self.counts.get(state, 0)

    def waits(self, name: str) -> bool:
        """Whether a step waits for others."""
        return self._open[name] > 0

    def transition(self, name: str, state: str) -> None:
        """Put a step into `state`; one that ends thereby is told to what waits for it by :meth:`propagate`."""
        record = self.records[name]
        self.counts[record.state] -= 1
        self.counts[state] = self.counts.get(state, 0) + 1
        self._update(name, state=state)

    def _update(self, name: str, **changes: Any) -> None:
        """Change fields of the record of a step; all writes of this class go through here."""
        for field, value in changes.items():
            setattr(self.records[name], field, value)

    def propagate(self, name: str) -> None:
        """Tell everything downstream of an ended step, without recursion: a chain may have thousands of steps."""
        todo = deque([name])
        while todo:
            ended = todo.popleft()
            failed = self.records[ended].state in FAILED
            for down in self.graph.downstream[ended]:
                if down not in self.records:
                    continue
                self._open[down] -= 1
                decided = failed or not self._open[down]  # so that each is looked at once, however many it waits for
                if decided and self.records[down].state in NOT_STARTED and self._settle(down):
                    todo.append(down)

    def _settle(self, name: str) -> bool:
        """Decide a pending step if it can be decided; return whether that ended it."""
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
        """Let a step start: all it waits for has ended, and what it needs is there."""
        self.ready.append(name)

    def _missing(self, name: str) -> str:
        """Say which input or step that a step needs was skipped, or return "".

        A fan-in runs with the values that are there and is skipped only when none is (as in Dagster).
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
        """Whether an output is there. One that an op does not have, which may only be waited for, comes as it ends."""
        record = self.records[ref.op]
        if ordering and all(ref.output != output.name for output in self.graph.ops[ref.op].outputs):
            return record.state == "Succeeded"
        return ref.output in record.outputs


def is_connected(item: Input, chosen: Container[str]) -> bool:
    """Whether an input's value comes from ops that are selected."""
    return bool(item.sources) and all(ref.op in chosen for ref in item.sources)
