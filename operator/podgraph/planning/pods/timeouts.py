"""How long an attempt at a step may take, from its pod's creation to its end, and what is said of one that did not."""

from __future__ import annotations

from dataclasses import dataclass

from podgraph.planning.model.status import seconds_of
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.pods.scheduling_gates import is_gated
from podgraph.planning.pods.state import Phase, PodState, grace_of
from podgraph.planning.pods.types import Pod

__all__ = ["LOST_SECONDS", "Deadline", "deadline_of_pod", "lost_at", "node_lost", "unstarted_at"]

LOST_SECONDS = 30
"""How long after the end of its grace period a deleted pod is waited for: its node may be gone and never tell."""


@dataclass(frozen=True)
class Deadline:
    """When an attempt has had its time, and how it ends then.

    `delete` says that its pod is to be deleted, so that it does not start after all when nobody waits for it any more;
    `wait` that it runs, and has ended only when its pod has.
    """

    time: float
    outcome: Outcome
    delete: bool = True
    wait: bool = False


def deadline_of_pod(
    pod: Pod, seen: PodState, stuck_since: float, pending_seconds: float, ungated_at: float = 0.0,
    timeout: float | None = None, noun: str = "its pod",
) -> Deadline | None:  # fmt: skip
    """Return the first deadline of a pod on its way; `stuck_since` counts only while its container cannot start.

    `ungated_at` is when a scheduling gate let go of it, 0 when none ever held it; `timeout` is how many seconds it may
    run, None without a limit.
    """
    found: list[Deadline] = []
    if seen.phase is Phase.STUCK and (grace := grace_of(seen)) is not None:
        given_up = Outcome({}, seen.reason, seen.message, fault=seen.fault)
        found.append(Deadline(stuck_since + grace, given_up))
    until = unstarted_at(pod, seen, pending_seconds, ungated_at)
    if until is not None:
        why = f": {seen.reason}: {seen.message}" if seen.reason else ""
        text = f"{noun} was not running within {pending_seconds:g} seconds{why}"
        found.append(Deadline(until, Outcome({}, "PendingTimeout", text, fault=Fault.INFRASTRUCTURE)))
    if seen.phase is Phase.RUNNING and timeout is not None and seen.started_at:
        text = f"it ran longer than its timeout of {timeout:g} seconds"
        found.append(Deadline(seconds_of(seen.started_at) + timeout, Outcome({}, "Timeout", text), wait=True))
    until = lost_at(pod)
    if until is not None:
        found.append(Deadline(until, node_lost(noun), delete=False))
    return min(found, key=lambda deadline: deadline.time, default=None)


def unstarted_at(pod: Pod, seen: PodState, pending_seconds: float, ungated_at: float = 0.0) -> float | None:
    """Return when a pod that does not run yet has been there for too long; None for one that runs or that a gate holds.

    `ungated_at` see :func:`deadline_of_pod`.
    """
    if seen.phase is Phase.RUNNING or pod.metadata.creation_timestamp is None or is_gated(seen):
        return None
    return max(seconds_of(pod.metadata.creation_timestamp), ungated_at) + pending_seconds


def node_lost(noun: str) -> Outcome:
    """Return how an attempt ends whose deleted pod was waited for in vain (see :func:`lost_at`)."""
    text = f"{noun} was deleted, and its node does not report that it ended"
    return Outcome({}, "NodeLost", text, fault=Fault.INFRASTRUCTURE)


def lost_at(pod: Pod) -> float | None:
    """Return when a pod that is being deleted is taken for ended; None for one that is not.

    Kubernetes sets the time of deletion to the end of the grace period.
    """
    deleted = pod.metadata.deletion_timestamp
    return None if deleted is None else seconds_of(deleted) + LOST_SECONDS
