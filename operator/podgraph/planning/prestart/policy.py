"""Which steps get a prestarted pod, and which lose theirs.

A step is a candidate while every step it still waits for is on its way, or has a waiting pod itself and is less than
`levels` levels from one that is. All is counted as it changes: nothing is scanned to find the candidates.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from podgraph.flow import NOT_STARTED
from podgraph.planning.steps.records import Steps

__all__ = ["LIFETIME_SECONDS", "MAX_RELEASES", "PrestartPolicy"]

LIFETIME_SECONDS = 300
"""How long a pod may wait. A step whose upstream step takes longer than that gains next to nothing by it."""
MAX_RELEASES = 3
"""Unused prestarted pods allowed per step; after that the step is no longer prestarted."""
PAUSE_SECONDS = 30
"""How long no pod is prestarted after a pod of any Job found no node."""

_ON_THE_WAY = frozenset(("Starting", "Running", "Succeeded", "Skipped"))
_NEVER = 1_000_000


class PrestartPolicy:
    """The waiting pods of one Job's steps: at most `most`, `levels` levels ahead.

    `fits` says of a step whether its pod can wait at all.
    """

    def __init__(self, steps: Steps, levels: int, most: int, fits: Callable[[str], bool]) -> None:
        self.waiting: dict[str, int] = {}  # how many levels ahead
        self.paused_until = 0.0
        self._steps = steps
        self._levels = levels
        self._most = most if levels else 0
        self._fits = fits
        self._releases: dict[str, int] = {}
        self._depth: dict[str, int] = {}
        self._blocked: dict[str, int] = {}
        self._candidates: list[tuple[int, int, str]] = []
        self._to_release: dict[str, None] = {}
        self._order = {name: at for at, name in enumerate(steps.records)} if self._most else {}
        self._depth = {name: self._depth_of(name) for name in self._order}
        for name in steps.alone if self._most else ():  # steps that share a pod have none that could wait
            ups = [up for up in steps.graph.upstream[name] if up in steps.records]
            self._blocked[name] = sum(self._depth[up] >= levels for up in ups)
        for name in self._blocked:
            self._consider(name)

    def adopt(self, step: str) -> None:
        """Count a pod that waits since before a restart."""
        self._set_waiting(step)

    def take(self, step: str) -> bool:
        """Take in that a step begins; return whether a pod waits for it."""
        return self.waiting.pop(step, None) is not None

    def drop(self, step: str) -> None:
        """Count the waiting pod of a step as released; the next one has another name."""
        if self.waiting.pop(step, None) is not None:
            self._releases[step] = self._releases.get(step, 0) + 1
            self._set_depth(step, self._depth_of(step))

    def released(self, step: str) -> int:
        """Return how many prestarted pods of a step were released."""
        return self._releases.get(step, 0)

    def found_released(self, step: str, count: int) -> None:
        """Set how many were released, as the pods show after a restart."""
        if count:
            self._releases[step] = count

    def pause(self, now: float) -> None:
        """Prestart none for a while, as pods find no node."""
        self.paused_until = now + PAUSE_SECONDS

    def to_release(self, now: float) -> list[str]:
        """Return the steps whose pods need not wait any more: an upstream step failed or is retried."""
        self._follow_moves()
        found, self._to_release = [name for name in self._to_release if name in self.waiting], {}
        if now < self.paused_until:
            return list(self.waiting)
        return found

    def next(self, now: float) -> str | None:
        """Return a step that is to have a waiting pod now, and count it; None when there is none or no room."""
        self._follow_moves()
        while self._candidates and len(self.waiting) < self._most and now >= self.paused_until:
            name = heapq.heappop(self._candidates)[2]
            if self._is_candidate(name):
                self._set_waiting(name)
                return name
        return None

    # --- what is counted

    def _follow_moves(self) -> None:
        moved = self._steps.take_moved()
        if not self._most:
            return
        for name in moved:
            state = self._steps.records[name].state
            if name in self.waiting and state not in NOT_STARTED:
                self._to_release[name] = None
            self._set_depth(name, self._depth_of(name))
            self._consider(name)

    def _depth_of(self, name: str) -> int:
        if self._steps.records[name].state in _ON_THE_WAY:
            return 0
        return self.waiting.get(name, _NEVER)

    def _set_depth(self, name: str, depth: int) -> None:
        """Record how far ahead a step is, and what follows from it for those that wait for it."""
        todo = [(name, depth)]
        while todo:
            step, new = todo.pop()
            old, self._depth[step] = self._depth.get(step, _NEVER), new
            if old == new:
                continue
            for down in self._steps.graph.downstream[step]:
                if down not in self._blocked:
                    continue
                self._blocked[down] += (new >= self._levels) - (old >= self._levels)
                if down not in self.waiting:
                    self._consider(down)
                elif self._blocked[down]:
                    self._to_release[down] = None
                else:
                    self._to_release.pop(down, None)
                    self.waiting[down] = self._level(down)
                    todo.append((down, self.waiting[down]))

    def _consider(self, name: str) -> None:
        if self._is_candidate(name):
            heapq.heappush(self._candidates, (self._level(name), self._order[name], name))

    def _is_candidate(self, name: str) -> bool:
        return (
            self._blocked.get(name) == 0
            and name not in self.waiting
            and self._steps.records[name].state == "Pending"
            and self._steps.waits(name)
            and self._releases.get(name, 0) < MAX_RELEASES
            and self._fits(name)
        )

    def _level(self, name: str) -> int:
        ups = self._steps.graph.upstream[name]
        return 1 + max((self._depth[up] for up in ups if up in self._depth), default=0)

    def _set_waiting(self, name: str) -> None:
        self.waiting[name] = self._level(name)
        self._set_depth(name, self.waiting[name])
