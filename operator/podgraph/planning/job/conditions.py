"""What a Job says of itself as a whole: its three conditions, and the end of it.

`Accepted` tells whether it can run as written, `Succeeded` is Unknown until the end is known, and `Finished` is True
in either outcome, so that `kubectl wait --for=condition=Finished` always returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.actions import Actions, Event
from podgraph.planning.model.status import condition, duration, seconds_of, set_condition
from podgraph.planning.steps.records import Steps
from podgraph.planning.steps.stop import Stop
from podgraph.protocol.times import utc

__all__ = ["Conditions"]

_MAX_MESSAGE = 4_096


class Conditions:
    """The conditions of one Job as its status holds them; every change goes into the pass's Actions."""

    def __init__(self, conditions: Iterable[Mapping[str, Any]], generation: int) -> None:
        self._all = [dict(c) for c in conditions]
        self.generation = generation
        self.finished = self.holds("Finished", "True")
        self.completed: str | None = None

    def holds(self, kind: str, status: str) -> bool:
        """Whether the condition `kind` has this status."""
        return any(c["type"] == kind and c["status"] == status for c in self._all)

    def accept(self, message: str, now: float, actions: Actions) -> None:
        """Say that the Job can run as written."""
        self._set("Accepted", "True", "Accepted", message, now, actions)
        actions.events.append(Event("Normal", "Accepted", message))

    def resolving(self, trouble: str, now: float, actions: Actions) -> None:
        """Say that the Job's code is being read; `trouble` is what keeps the resolve pod, or empty."""
        message = "the job's code is being read for its graph" + (f" ({trouble})" if trouble else "")
        self.not_accepted_yet("Resolving", message, now, actions)

    def not_accepted_yet(self, reason: str, message: str, now: float, actions: Actions) -> None:
        """Say what has to come before it is known whether the Job can run."""
        self._set("Accepted", "Unknown", reason, message, now, actions)
        self._progress("Unknown", reason, message, now, actions)

    def refuse(self, error: DefinitionError, started: str | None, now: float, actions: Actions) -> None:
        """End the Job: it cannot run as written. Nothing else that the pass had decided is done."""
        actions.drop_creates()
        self._set("Accepted", "False", error.reason, error.message[:_MAX_MESSAGE], now, actions)
        self._progress("False", "Refused", f"{error.reason}: {error.message}"[:_MAX_MESSAGE], now, actions)
        self._finish(started, now, actions)

    def on_the_way(self, reason: str, message: str, now: float, actions: Actions) -> None:
        """Say what the Job is doing (`Running`, `Suspended`, ...)."""
        self._progress("Unknown", reason, message, now, actions)

    def stop(self, reason: str, message: str, started: str | None, now: float, actions: Actions) -> None:
        """End the Job before its steps are known."""
        actions.drop_creates()
        self._progress("False", reason, message, now, actions)
        self._finish(started, now, actions)

    def conclude(self, steps: Steps, stop: Stop | None, started: str | None, now: float, actions: Actions) -> None:
        """End the Job as its steps ended; `stop` is what ended those that had not come to it by themselves."""
        total = len(steps.records)
        done = steps.count("Succeeded") + steps.count("Skipped")
        if stop is not None and done < total:
            message = f"{stop.message}; {done} of {total} steps were done"
            self._progress("False", stop.reason, message, now, actions)
        elif steps.count("Failed"):
            self._progress("False", "Failed", _failure(steps), now, actions)
        else:
            message = f"all {total} steps are done" if total > 1 else "the step is done"
            message += f", {steps.taken} of them as another job did them" if steps.taken else ""
            self._progress("True", "Succeeded", message, now, actions)
        self._finish(started, now, actions)

    def _progress(self, status: str, reason: str, message: str, now: float, actions: Actions) -> None:
        self._set("Succeeded", status, reason, message, now, actions)
        if not self.finished and not self.holds("Finished", "False"):
            self._set("Finished", "False", reason, "the job is not at its end", now, actions)

    def _finish(self, started: str | None, now: float, actions: Actions) -> None:
        actions.status["completionTime"] = self.completed = utc(now)
        actions.status["duration"] = duration(now - seconds_of(started or utc(now)))
        ended = next(c for c in self._all if c["type"] == "Succeeded")
        self._set("Finished", "True", ended["reason"], ended["message"], now, actions)
        kind = "Normal" if ended["status"] == "True" else "Warning"
        actions.events.append(Event(kind, ended["reason"], ended["message"]))
        actions.flush_status = self.finished = True

    def _set(self, kind: str, status: str, reason: str, message: str, now: float, actions: Actions) -> None:
        if set_condition(self._all, condition(kind, status, reason, message, self.generation, now)):
            actions.status["conditions"] = self._all
            actions.status["observedGeneration"] = self.generation
            actions.flush_status = True


def _failure(steps: Steps) -> str:
    first = next(name for name, record in steps.records.items() if record.state == "Failed")
    record, others, rest = steps.records[first], steps.count("Failed") - 1, steps.count("UpstreamFailed")
    more = (f"; {others} more failed" if others else "") + (f"; {rest} not run" if rest else "")
    return f"op {first!r} failed: {record.reason}: {record.message[: 1_024 - len(more)]}{more}"
