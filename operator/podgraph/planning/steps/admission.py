"""Which of the steps that are ready may start now, and in which order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Op
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.run_config.limits import Limits

__all__ = ["PRIORITY_TAG", "Admission", "check_priorities"]

PRIORITY_TAG = "podgraph/priority"

Slots = tuple[tuple[int, str], ...]


def check_priorities(ops: Iterable[Op]) -> None:
    """Raise DefinitionError (`InvalidTags`) for a priority that is no whole number."""
    for op in ops:
        _priority(op)


class Admission:
    """The ready steps: those of higher priority (tag `podgraph/priority`, 0 when absent) start first, among equals
    the one that was ready first, each only while the Job's limits have room for it.

    Steps that count the same under the tag limits wait in one line, so a pass looks at the heads of lines and never
    at all that wait. A step that a limit holds back holds back no other.

    Under the names of `units` stand several steps that run one after the other: together they count as one, for each
    tag limit that one of them is under, and as the one with the highest priority.
    """

    def __init__(
        self, ops: Mapping[str, Op], spec: ExecutionSpec, units: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._ops = ops
        self._units = units or {}
        self._limits = Limits(len(ops) if spec.max_concurrent is None else spec.max_concurrent, spec.tag_limits)
        self._lines: dict[Slots, list[tuple[int, int, str]]] = {}
        self._order = itertools.count()

    def add(self, name: str) -> None:
        """Let a ready step wait for its start."""
        line = self._lines.setdefault(self._slots(name), [])
        priority = max(_priority(self._ops[step]) for step in self._steps(name))
        heapq.heappush(line, (-priority, next(self._order), name))

    def take(self) -> str | None:
        """Return the next step that may start, counted as running from now on; None when there is none."""
        if self._limits.is_full:
            return None
        heads = [(line[0], slots) for slots, line in self._lines.items() if self._limits.has_room(slots)]
        if not heads:
            return None
        head, slots = min(heads)
        heapq.heappop(self._lines[slots])
        if not self._lines[slots]:
            del self._lines[slots]
        self.hold(head[2])
        return head[2]

    def drop(self) -> None:
        """Forget all that wait."""
        self._lines.clear()

    def hold(self, name: str) -> None:
        """Count a step as running whether or not there is room: it does run, as after a restart."""
        self._limits.hold_slots(name, self._slots(name))

    def give(self, name: str) -> None:
        """Say that a step runs no more."""
        self._limits.give(name)

    def _steps(self, name: str) -> Sequence[str]:
        return self._units.get(name) or (name,)

    def _slots(self, name: str) -> Slots:
        found = (slot for step in self._steps(name) for slot in self._limits.slots(self._ops[step].tags))
        return tuple(dict.fromkeys(found))


def _priority(op: Op) -> int:
    text = op.tags.get(PRIORITY_TAG, "0")
    try:
        return int(text)
    except ValueError:
        raise DefinitionError(
            "InvalidTags", f"op {op.name!r} has the tag {PRIORITY_TAG!r}: {text[:60]!r}; it must be a whole number"
        ) from None
