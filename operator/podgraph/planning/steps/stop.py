"""When a Job is ended before its steps are done: because its user says so, or because its time is over."""

from __future__ import annotations

from dataclasses import dataclass

from podgraph.planning.model.execution import Control
from podgraph.planning.steps.active_deadline import deadline_of

__all__ = ["Stop", "stop_of"]


@dataclass(frozen=True)
class Stop:
    """Why a Job is ended: the reason of its Succeeded condition, and of its steps that were cut short."""

    reason: str
    message: str


def stop_of(control: Control, started: str | None, seconds: int | None, now: float) -> Stop | None:
    """Return why the Job is to be ended now, None when it may go on."""
    if control.cancel:
        return Stop("Canceled", "the job was canceled (spec.cancel)")
    deadline = deadline_of(started, seconds)
    if deadline is not None and now >= deadline:
        return Stop("DeadlineExceeded", f"the job was not done within {seconds} seconds (spec.activeDeadlineSeconds)")
    return None
