"""One look at a Job: the time, its pods, and what is decided."""

from __future__ import annotations

from dataclasses import dataclass

from podgraph.planning.actions import Actions
from podgraph.planning.pods.types import Pods

__all__ = ["Pass"]


@dataclass(frozen=True, slots=True)
class Pass:
    """What each decision of one pass reads and writes.

    `now` is the time in seconds since the epoch, and does not change during the pass. `pods` holds the pods of the Job
    by name. `actions` collects what the pass decides.
    """

    now: float
    pods: Pods
    actions: Actions
