"""The steps of a run on one machine."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from podgraph.definition.graph import Graph
from podgraph.flow import Flow, FlowStep
from podgraph.protocol.errors import ErrorInfo
from podgraph.runtime.local.events import Event

__all__ = ["LocalStep", "LocalSteps"]


class LocalStep(FlowStep):
    """A step: its state, its outputs by name (Python values or references), and its times (seconds since the epoch)."""

    __slots__ = ("attempt", "end", "error", "exception", "message", "outputs", "start", "state")

    def __init__(self) -> None:
        self.state = "Pending"
        self.outputs: dict[str, Any] = {}
        self.message = ""
        self.attempt = 0
        self.start = self.end = 0.0
        self.error: ErrorInfo | None = None
        self.exception: BaseException | None = None


class LocalSteps(Flow[LocalStep]):
    """The steps of one run, its events so far, and the steps that wait for a retry.

    `watch` is called with each event. `taken` holds the outputs of ops that do not run but count as succeeded.
    `records` are the steps in run order if some have already started.
    """

    def __init__(
        self, graph: Graph, selected: Sequence[str], watch: Callable[[Event], None] | None = None,
        taken: Mapping[str, dict[str, Any]] | None = None,
        records: dict[str, LocalStep] | None = None,
    ) -> None:  # fmt: skip
        self.events: list[Event] = []
        self._watch = watch
        self._retries: list[tuple[float, str]] = []  # a heap of (time of the retry, step)
        steps = {name: LocalStep() for name in selected} if records is None else records
        if taken:
            steps = {name: steps.get(name) or LocalStep() for name in graph.order if name in steps or name in taken}
        for name, outputs in (taken or {}).items():
            steps[name].state, steps[name].outputs = "Succeeded", outputs
        super().__init__(graph, steps)

    def emit(self, kind: str, step: str, data: dict[str, Any]) -> None:
        """Add an event."""
        event = Event(kind, step, time.time(), data)
        self.events.append(event)
        if self._watch is not None:
            self._watch(event)

    def start(self, name: str) -> LocalStep:
        """Start an attempt of a step."""
        step = self.records[name]
        step.attempt += 1
        step.start = step.start or time.time()
        self.transition(name, "Running")
        self.emit("STEP_START" if step.attempt == 1 else "STEP_RESTARTED", name, {"attempt": step.attempt})
        return step

    def succeed(self, name: str, outputs: dict[str, Any]) -> None:
        """Finish a step with its outputs."""
        self.records[name].outputs = outputs
        self._end(name, "Succeeded", "STEP_SUCCESS", {})

    def fail(self, name: str, error: ErrorInfo, exception: BaseException | None = None) -> None:
        """Fail a step with its last error."""
        step = self.records[name]
        step.error, step.exception, step.message = error, exception, error.message
        self._end(name, "Failed", "STEP_FAILURE", {"reason": error.reason, "error": error.message})

    def retry(self, name: str, error: ErrorInfo, seconds: float) -> None:
        """Schedule the retry of a step in `seconds`."""
        self.transition(name, "UpForRetry")
        seconds = round(seconds, 3)
        self.emit("STEP_UP_FOR_RETRY", name, {"error": error.message, "seconds": seconds})
        heapq.heappush(self._retries, (time.monotonic() + seconds, name))

    def seconds_to_retry(self) -> float | None:
        """Make steps ready whose retry is due. Returns the seconds until the next retry, None if there is none."""
        now = time.monotonic()
        while self._retries and self._retries[0][0] <= now:
            self.ready.append(heapq.heappop(self._retries)[1])
        return self._retries[0][0] - now if self._retries else None

    def cancel(self) -> None:
        """Cancel the run: the steps that run or wait for a retry become Canceled."""
        for name, step in self.records.items():
            if step.state in ("Running", "UpForRetry"):
                self.transition(name, "Canceled")
        self.emit("RUN_CANCELED", "", {})

    def transition(self, name: str, state: str) -> None:
        """Set the state of a step; Skipped also emits an event."""
        super().transition(name, state)
        if state == "Skipped":
            self.emit("STEP_SKIPPED", name, {"reason": self.records[name].message.replace("not run: ", "", 1)})

    def _end(self, name: str, state: str, kind: str, data: dict[str, Any]) -> None:
        self.records[name].end = time.time()
        self.transition(name, state)
        self.emit(kind, name, data)
        self.propagate(name)
