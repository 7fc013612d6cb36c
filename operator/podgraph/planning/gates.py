"""Pods that a scheduling gate holds, as Kueue does until its queue has room: they wait for their turn, not for a node.

While a pod is held its time to come to run does not count; it begins when the pod is let go.
"""

from __future__ import annotations

from podgraph.planning.observe import Seen

__all__ = ["GATED", "Gates", "is_gated"]

GATED = "SchedulingGated"


def is_gated(seen: Seen) -> bool:
    """Whether a gate holds a pod now."""
    return seen.reason == GATED


class Gates:
    """When each of some pods was let go. A pod does not tell it, so it is when that was seen."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._let_go: dict[str, float] = {}

    def look(self, name: str, seen: Seen, now: float, before: str = "") -> float:
        """Take in a pod and return when it was let go, 0 for one that never was held.

        `before` is the reason that was told of it until now, by which a restart knows that it was held.
        """
        if is_gated(seen):
            self._held.add(name)
        elif name in self._held or before == GATED:
            self._held.discard(name)
            self._let_go[name] = now
        return self._let_go.get(name, 0.0)
