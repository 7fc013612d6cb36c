"""The steps of a run in local processes."""

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
    """A step: its state, its outputs by name (Python values, or how to get them), and its times in seconds."""

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
    """The steps of one run, its events so far, and those steps that wait for their next attempt.

    `watch` is called with each event as it happens. `taken` holds the outputs of ops that are not run, but count as
    done; `records` the steps, in run order, where some have begun before.
    """

    def __init__(
        self, graph: Graph, selected: Sequence[str], watch: Callable[[Event], None] | None = None,
        taken: Mapping[str, dict[str, Any]] | None = None,
        records: dict[str, LocalStep] | None = None,
    ) -> None:  # fmt: skip
        self.events: list[Event] = []
        self._watch = watch
        self._retries: list[tuple[float, str]] = []  # a heap of when which step is tried again
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
        """Say that an attempt of a step begins."""
        step = self.records[name]
        step.attempt += 1
        step.start = step.start or time.time()
        self.transition(name, "Running")
        self.emit("STEP_START" if step.attempt == 1 else "STEP_RESTARTED", name, {"attempt": step.attempt})
        return step

    def succeed(self, name: str, outputs: dict[str, Any]) -> None:
        """End a step with its outputs."""
        self.records[name].outputs = outputs
        self._end(name, "Succeeded", "STEP_SUCCESS", {})

    def fail(self, name: str, error: ErrorInfo, exception: BaseException | None = None) -> None:
        """End a step with its last error."""
        step = self.records[name]
        step.error, step.exception, step.message = error, exception, error.message
        self._end(name, "Failed", "STEP_FAILURE", {"reason": error.reason, "error": error.message})

    def retry(self, name: str, error: ErrorInfo, seconds: float) -> None:
        """Let a step be ready again in some seconds."""
        self.transition(name, "UpForRetry")
        seconds = round(seconds, 3)
        self.emit("STEP_UP_FOR_RETRY", name, {"error": error.message, "seconds": seconds})
        heapq.heappush(self._retries, (time.monotonic() + seconds, name))

    def seconds_to_retry(self) -> float | None:
        """Make steps ready whose time has come; return the seconds until the next one's, None when none waits."""
        now = time.monotonic()
        while self._retries and self._retries[0][0] <= now:
            self.ready.append(heapq.heappop(self._retries)[1])
        return self._retries[0][0] - now if self._retries else None

    def cancel(self) -> None:
        """Say that the run was canceled: what runs or waits for a retry will not go on."""
        for name, step in self.records.items():
            if step.state in ("Running", "UpForRetry"):
                self.transition(name, "Canceled")
        self.emit("RUN_CANCELED", "", {})

    def transition(self, name: str, state: str) -> None:
        """Put a step into `state`; one that is not to run is told as an event."""
        super().transition(name, state)
        if state == "Skipped":
            self.emit("STEP_SKIPPED", name, {"reason": self.records[name].message.replace("not run: ", "", 1)})

    def _end(self, name: str, state: str, kind: str, data: dict[str, Any]) -> None:
        self.records[name].end = time.time()
        self.transition(name, state)
        self.emit(kind, name, data)
        self.propagate(name)
