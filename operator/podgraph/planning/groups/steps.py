"""Which steps share a pod (`@op(pod=...)`, `ops[].pod`), whether they can, and how they follow each other then."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, OutputRef
from podgraph.flow import TERMINAL
from podgraph.planning.model.status import StepRecord
from podgraph.planning.steps.records import Steps
from podgraph.run_config.binding import Values

__all__ = ["GroupedSteps", "Sharing", "SharingSteps", "sharing_of"]

Sharing = Mapping[str, tuple[str, ...]]
"""The steps of each shared pod, in run order."""

_MOST_SHOWN = 20


def sharing_of(graph: Graph, selected: Sequence[str]) -> Sharing:
    """Return the pods that at least two of the `selected` ops share.

    Raises DefinitionError (`PodCycle`) when one of them would have to end before it can start.
    """
    found: dict[str, list[str]] = {}
    for name in selected:
        if pod := graph.ops[name].pod:
            found.setdefault(pod, []).append(name)
    sharing = {pod: tuple(steps) for pod, steps in found.items() if len(steps) > 1}
    if sharing:
        _check_order(graph, selected, sharing)
    return sharing


class GroupedSteps(Steps):
    """Steps of which some share pods. A shared pod is `free` to start when every step outside that one of its steps
    waits for has ended; a step of one that may begin in it is in `turns`, and never `ready` by itself.
    """

    def __init__(
        self, graph: Graph, selected: Sequence[str], values: Values, records: Mapping[str, StepRecord], sharing: Sharing
    ) -> None:
        self.sharing = sharing
        self.pod_of = {step: pod for pod, steps in sharing.items() for step in steps}
        self.free: deque[str] = deque()
        self.turns: deque[str] = deque()
        self._waits: dict[str, set[str]] = {}
        self._waiting: dict[str, list[str]] = {}
        super().__init__(graph, selected, values, records)
        self._alone = [step for step in self.records if step not in self.pod_of]
        for pod, steps in sharing.items():
            ups = {up for step in steps for up in graph.upstream[step] if self.pod_of.get(up) != pod}
            waits = {up for up in ups if up in self.records and self.records[up].state not in TERMINAL}
            for up in waits:
                self._waiting.setdefault(up, []).append(pod)
            if waits:
                self._waits[pod] = waits
            else:
                self.free.append(pod)

    @property
    def alone(self) -> Collection[str]:
        """The steps that have pods of their own."""
        return self._alone

    def release(self, name: str) -> None:
        """Let a step start; one that shares a pod starts when that pod comes to it."""
        if name in self.pod_of:
            self.turns.append(name)
        else:
            super().release(name)

    def transition(self, name: str, state: str) -> None:
        """Put a step into `state`, and find the pods that waited for nothing but its end."""
        super().transition(name, state)
        if state not in TERMINAL:
            return
        for pod in self._waiting.pop(name, ()):
            self._waits[pod].discard(name)
            if not self._waits[pod]:
                del self._waits[pod]
                self.free.append(pod)


class SharingSteps(GroupedSteps):
    """Steps of Python ops of which some share pods: each such pod runs its steps by itself.

    What steps of one pod pass to each other is known in that pod alone, so whether one of them is skipped for want of
    such a value is decided there.
    """

    def release(self, name: str) -> None:
        """Let a step start that has a pod of its own."""
        if name not in self.pod_of:
            super().release(name)

    def is_inside(self, step: str, ref: OutputRef) -> bool:
        """Whether `ref` is an output of another step of the same pod."""
        return ref.op in self.records and self.pod_of[step] == self.pod_of.get(ref.op)

    def needed_outside(self, step: str) -> list[str]:
        """Return the outputs of a step in a shared pod that steps outside need: the value, or whether it is there."""
        needed: list[str] = []
        for down in self.graph.downstream[step]:
            if down in self.records and self.pod_of.get(down) != self.pod_of[step]:
                for item in self.graph.ops[down].inputs:
                    refs = [ref for ref in item.sources if ref.op == step]
                    needed += [ref.output for ref in refs if not (item.ordering and self.is_sure(ref))]
        return list(dict.fromkeys(needed))

    def is_sure(self, ref: OutputRef) -> bool:
        """Whether the output is there, or was never one, when its step has succeeded."""
        return all(output.required or output.name != ref.output for output in self.graph.ops[ref.op].outputs)

    def _missing(self, name: str) -> str:
        missing = super()._missing(name)
        pod = self.pod_of.get(name)
        if missing and pod is not None:
            ups = (up for up in self.graph.upstream[name] if self.pod_of.get(up) == pod and up in self.records)
            if any(self.records[up].state == "Succeeded" for up in ups):
                return ""
        return missing

    def _produced(self, ref: OutputRef, ordering: bool) -> bool:
        if ordering and ref.op in self.pod_of and self.is_sure(ref):
            return self.records[ref.op].state == "Succeeded"
        return super()._produced(ref, ordering)


def _check_order(graph: Graph, selected: Sequence[str], sharing: Sharing) -> None:
    """Refuse pods that wait for each other in a cycle, as seen from outside of them."""
    chosen = set(selected)
    unit_of = {step: f"@{pod}" for pod, steps in sharing.items() for step in steps}
    downs: dict[str, set[str]] = {}
    waiting: dict[str, int] = {unit_of.get(name, name): 0 for name in selected}
    for name in selected:
        unit = unit_of.get(name, name)
        for up in graph.upstream[name]:
            above = unit_of.get(up, up)
            if up in chosen and above != unit and unit not in downs.setdefault(above, set()):
                downs[above].add(unit)
                waiting[unit] += 1
    ready = deque(unit for unit, count in waiting.items() if not count)
    while ready:
        for down in downs.get(ready.popleft(), ()):
            waiting[down] -= 1
            if not waiting[down]:
                ready.append(down)
    for pod, steps in sharing.items():
        if waiting[f"@{pod}"] and (loop := _loop(graph, chosen, unit_of, pod, steps, sharing)):
            raise DefinitionError(
                "PodCycle",
                f"pod {pod!r} would have to end before it can start: {loop}; between ops that share a pod there can "
                "be none outside it",
            )


def _loop(
    graph: Graph, chosen: Collection[str], unit_of: Mapping[str, str], pod: str, steps: Iterable[str], sharing: Sharing
) -> str:
    """Return the shortest way from a pod's ops through others back to it, "" when there is none."""
    came: dict[str, str] = dict.fromkeys(steps, "")  # each op, and the one before it on the way
    todo = deque(came)
    while todo:
        name = todo.popleft()
        for down in graph.downstream[name]:
            if down not in chosen:
                continue
            if unit_of.get(down) == f"@{pod}":
                if unit_of.get(name) == f"@{pod}":
                    continue
                return _shown([*_way(came, name), down], unit_of)
            # Who comes into a pod waits for all of it, so the way goes on from each of its ops.
            others = sharing[unit_of[down][1:]] if down in unit_of else ()
            for op in (down, *others):
                if op not in came:
                    came[op] = name if op == down else down
                    todo.append(op)
    return ""


def _way(came: Mapping[str, str], name: str) -> list[str]:
    way = [name]
    while came[way[-1]]:
        way.append(came[way[-1]])
    return way[::-1]


def _shown(way: Sequence[str], unit_of: Mapping[str, str]) -> str:
    if len(way) > _MOST_SHOWN + 1:
        way = [*way[: _MOST_SHOWN // 2], "...", *way[-_MOST_SHOWN // 2 :]]
    text = way[0]
    for before, name in pairwise(way):
        inside = before in unit_of and unit_of[before] == unit_of.get(name)
        text += f", {name}" if inside else f" -> {name}"
    return text
