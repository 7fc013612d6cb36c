"""Pods that a scheduling gate holds, as Kueue does until its queue has room: they wait for their turn, not for a node.

While a pod is held its time to come to run does not count; it begins when the pod is let go.
"""

from __future__ import annotations

from podgraph.planning.pods.state import PodState

__all__ = ["GATED", "Gates", "is_gated"]

GATED = "SchedulingGated"


def is_gated(seen: PodState) -> bool:
    """Whether a gate holds a pod now."""
    return seen.reason == GATED


class Gates:
    """When a pod was let go. A pod does not say so, therefore it is the time at which that was seen.

    `held` says that the pod was held when it was last seen, before a restart.
    """

    __slots__ = ("_held", "_ungated_at")

    def __init__(self, held: bool = False) -> None:
        self._held = held
        self._ungated_at = 0.0

    def observe(self, seen: PodState, now: float) -> float:
        """Take in the state of the pod and return when it was let go, 0 for one that was never held."""
        if is_gated(seen):
            self._held = True
        elif self._held:
            self._held = False
            self._ungated_at = now
        return self._ungated_at
