"""The three conditions of a Job, and its end.

`Accepted` says whether the Job can run as written. `Succeeded` is Unknown until the end is known. `Finished` is True
after either outcome, so that `kubectl wait --for=condition=Finished` always returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.actions import Event
from podgraph.planning.model.status import condition, duration, seconds_of, set_condition
from podgraph.planning.pods.passes import Pass
from podgraph.planning.steps.records import Steps
from podgraph.planning.steps.stop import Stop
from podgraph.protocol.times import utc

__all__ = ["Conditions"]

_MAX_MESSAGE = 4_096


class Conditions:
    """The conditions in the status of one Job; each change goes into the actions of the pass."""

    def __init__(self, conditions: Iterable[Mapping[str, Any]], generation: int) -> None:
        self._all = [dict(c) for c in conditions]
        self.generation = generation
        self.finished = self.holds("Finished", "True")
        self.completed: str | None = None

    def holds(self, kind: str, status: str) -> bool:
        """Whether the condition `kind` has this status."""
        return any(c["type"] == kind and c["status"] == status for c in self._all)

    def accept(self, message: str, pass_: Pass) -> None:
        """Set that the Job can run as written."""
        self._set("Accepted", "True", "Accepted", message, pass_)
        pass_.actions.events.append(Event("Normal", "Accepted", message))

    def resolving(self, trouble: str, pass_: Pass) -> None:
        """Say that the Job's code is being read; `trouble` is what keeps the resolve pod, or empty."""
        message = "the job's code is being read for its graph" + (f" ({trouble})" if trouble else "")
        self.not_accepted_yet("Resolving", message, pass_)

    def not_accepted_yet(self, reason: str, message: str, pass_: Pass) -> None:
        """Set why it is not known yet whether the Job can run."""
        self._set("Accepted", "Unknown", reason, message, pass_)
        self._progress("Unknown", reason, message, pass_)

    def refuse(self, error: DefinitionError, started: str | None, pass_: Pass) -> None:
        """End the Job, as it cannot run as written. Drop what else the pass decided."""
        pass_.actions.drop_creates()
        self._set("Accepted", "False", error.reason, error.message[:_MAX_MESSAGE], pass_)
        self._progress("False", "Refused", f"{error.reason}: {error.message}"[:_MAX_MESSAGE], pass_)
        self._finish(started, pass_)

    def on_the_way(self, reason: str, message: str, pass_: Pass) -> None:
        """Set what the Job does (`Running`, `Suspended`, ...)."""
        self._progress("Unknown", reason, message, pass_)

    def stop(self, reason: str, message: str, started: str | None, pass_: Pass) -> None:
        """End the Job before its steps are known."""
        pass_.actions.drop_creates()
        self._progress("False", reason, message, pass_)
        self._finish(started, pass_)

    def conclude(self, steps: Steps, stop: Stop | None, started: str | None, pass_: Pass) -> None:
        """End the Job as its steps ended; `stop` is why steps were ended early."""
        total = len(steps.records)
        done = steps.count("Succeeded") + steps.count("Skipped")
        if stop is not None and done < total:
            message = f"{stop.message}; {done} of {total} steps were done"
            self._progress("False", stop.reason, message, pass_)
        elif steps.count("Failed"):
            self._progress("False", "Failed", _failure(steps), pass_)
        else:
            message = f"all {total} steps are done" if total > 1 else "the step is done"
            message += f", {steps.taken} of them as another job did them" if steps.taken else ""
            self._progress("True", "Succeeded", message, pass_)
        self._finish(started, pass_)

    def _progress(self, status: str, reason: str, message: str, pass_: Pass) -> None:
        self._set("Succeeded", status, reason, message, pass_)
        if not self.finished and not self.holds("Finished", "False"):
            self._set("Finished", "False", reason, "the job is not at its end", pass_)

    def _finish(self, started: str | None, pass_: Pass) -> None:
        pass_.actions.status["completionTime"] = self.completed = utc(pass_.now)
        pass_.actions.status["duration"] = duration(pass_.now - seconds_of(started or utc(pass_.now)))
        ended = next(c for c in self._all if c["type"] == "Succeeded")
        self._set("Finished", "True", ended["reason"], ended["message"], pass_)
        kind = "Normal" if ended["status"] == "True" else "Warning"
        pass_.actions.events.append(Event(kind, ended["reason"], ended["message"]))
        pass_.actions.flush_status = self.finished = True

    def _set(self, kind: str, status: str, reason: str, message: str, pass_: Pass) -> None:
        if set_condition(self._all, condition(kind, status, reason, message, self.generation, pass_.now)):
            pass_.actions.status["conditions"] = self._all
            pass_.actions.status["observedGeneration"] = self.generation
            pass_.actions.flush_status = True


def _failure(steps: Steps) -> str:
    first = next(name for name, record in steps.records.items() if record.state == "Failed")
    record, others, rest = steps.records[first], steps.count("Failed") - 1, steps.count("UpstreamFailed")
    more = (f"; {others} more failed" if others else "") + (f"; {rest} not run" if rest else "")
    return f"op {first!r} failed: {record.reason}: {record.message[: 1_024 - len(more)]}{more}"
