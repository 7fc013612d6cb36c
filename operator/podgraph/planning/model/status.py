"""A Job's status as Kubernetes keeps it: conditions, step records and the figures the printed columns show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from podgraph.definition.values import to_json
from podgraph.flow import TERMINAL, FlowStep
from podgraph.planning.model.limits import MAX_MESSAGE
from podgraph.planning.model.value_refs import Reference, to_status
from podgraph.protocol.times import utc

__all__ = ["CONDITIONS", "STATES", "PodRecord", "StepRecord", "condition", "duration", "seconds_of", "set_condition"]

CONDITIONS = ("Accepted", "Succeeded", "Finished")
STATES = (
    "Pending",
    "Waiting",
    "Starting",
    "Running",
    "Stopping",
    "UpForRetry",
    "Succeeded",
    "Failed",
    "Skipped",
    "UpstreamFailed",
    "Canceled",
)

Object = dict[str, Any]


@dataclass(frozen=True)
class StepRecord(FlowStep):
    """One entry of `status.steps`. Only `planning.steps.records.Steps` replaces the record of a step.

    `attempt` is the number of the last attempt, 0 before the first; `infra_failures` counts the attempts that the
    cluster ended. `retry_time` is when a step in UpForRetry starts again. While Stopping, `reason` and `message`
    already say why the step will have ended. `outputs` holds JSON texts and references (`stored` in the status).
    `taken_from` names the Job whose result a rerun uses instead of running the step (see planning.job.rerun_of).
    """

    state: str = "Pending"
    attempt: int = 0
    infra_failures: int = 0
    pod_uid: str = ""
    start_time: str | None = None
    completion_time: str | None = None
    retry_time: str | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    taken_from: str = ""

    @classmethod
    def from_status(cls, data: Mapping[str, Any]) -> StepRecord:
        """Read what :meth:`to_patch` wrote."""
        return cls(
            state=data.get("state", "Pending"),
            attempt=data.get("attempt") or 0,
            infra_failures=data.get("infrastructureFailures") or 0,
            pod_uid=data.get("podUID") or "",
            start_time=data.get("startTime"),
            completion_time=data.get("completionTime"),
            retry_time=data.get("retryTime"),
            outputs={
                **(data.get("outputs") or {}),
                **{name: Reference(to_json(item)) for name, item in (data.get("stored") or {}).items()},
            },
            reason=data.get("reason") or "",
            message=data.get("message") or "",
            taken_from=data.get("takenFrom") or "",
        )

    def to_patch(self, short: int = 0, keep_pod: bool = True) -> Object:
        """Return the record for a merge patch: what is empty is null, so that an older value goes away.

        With `short` it is as the status of a large Job has room for: times in milliseconds, a message of so many
        characters at most, and, unless `keep_pod`, without the pod of a step that is at its end.
        """
        outputs, stored = to_status(self.outputs)
        most = short or MAX_MESSAGE
        message = self.message if len(self.message) <= most else self.message[: most - 4] + " ..."
        pod_uid = self.pod_uid if keep_pod or not short or self.state not in TERMINAL else ""
        return {
            "state": self.state,
            "attempt": self.attempt or None,
            "infrastructureFailures": self.infra_failures or None,
            "podUID": pod_uid or None,
            "startTime": _milli(self.start_time) if short else self.start_time,
            "completionTime": _milli(self.completion_time) if short else self.completion_time,
            "retryTime": self.retry_time,
            "outputs": outputs,
            "stored": stored,
            "reason": self.reason or None,
            "message": message or None,
            "takenFrom": self.taken_from or None,
        }


@dataclass
class PodRecord:
    """One entry of `status.pods`: a pod that several steps share.

    `attempt` counts its pods, `infra_failures` those that ended by the cluster's fault. `state` is Pending, Starting,
    Running, Stopping, UpForRetry (another follows at `retry_time`), or Ended.
    """

    state: str = "Pending"
    attempt: int = 0
    infra_failures: int = 0
    uid: str = ""
    retry_time: str | None = None
    reason: str = ""
    message: str = ""

    @classmethod
    def from_status(cls, data: Mapping[str, Any]) -> PodRecord:
        """Read what :meth:`to_patch` wrote; a pod that was requested and never seen is created again."""
        state, attempt, uid = data.get("state", "Pending"), data.get("attempt") or 0, data.get("podUID") or ""
        if state == "Starting" and not uid:
            attempt -= 1
            state = "UpForRetry" if attempt else "Pending"
        return cls(
            state,
            attempt,
            data.get("infrastructureFailures") or 0,
            uid,
            data.get("retryTime"),
            data.get("reason") or "",
            data.get("message") or "",
        )

    def to_patch(self) -> Object:
        """Return the record for a merge patch: what is empty is null, so that an older value goes away."""
        return {
            "state": self.state,
            "attempt": self.attempt or None,
            "infrastructureFailures": self.infra_failures or None,
            "podUID": self.uid or None,
            "retryTime": self.retry_time,
            "reason": self.reason or None,
            "message": self.message[:MAX_MESSAGE] or None,
        }


def _milli(time: str | None) -> str | None:
    return time and re.sub(r"(\.\d{3})\d+Z$", r"\1Z", time)


def condition(kind: str, status: str, reason: str, message: str, generation: int, now: float) -> Object:
    """Return one condition; its transition time is kept by :func:`set_condition` when the status does not change."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": utc(now)[:19] + "Z",
    }


def set_condition(conditions: list[Object], new: Object) -> bool:
    """Put `new` into the list in place of the one of its type; return whether anything changed."""
    for index, old in enumerate(conditions):
        if old["type"] != new["type"]:
            continue
        if old["status"] == new["status"]:
            new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
        conditions[index] = new
        return old != new
    conditions.append(new)
    return True


def seconds_of(time: str) -> float:
    """Read an RFC 3339 time as seconds since the epoch. Raises ValueError.

    >>> seconds_of("1970-01-01T00:00:00.250000Z")
    0.25
    """
    found = datetime.fromisoformat(time.replace("Z", "+00:00"))
    try:
        return found.astimezone(UTC).timestamp()
    except OverflowError:
        raise ValueError(f"{time[:80]!r} is outside the years 1 to 9999 in UTC") from None


def duration(seconds: float) -> str:
    """Return a length of time as a person reads it.

    >>> [duration(s) for s in (3.21, 125, 3720)]
    ['3.2s', '2m05s', '1h02m']
    """
    seconds = max(0.0, seconds)
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(max(seconds, 60)), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"
