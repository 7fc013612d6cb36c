"""Any graph gives the same with any grouping into pods, through any losses of those pods and restarts."""

from __future__ import annotations

import graphlib
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from builders import NOW, SETTINGS
from podgraph import In, Nothing, Out, job, op
from podgraph.definition.errors import DefinitionError
from podgraph.definition.jobs import JobDefinition
from podgraph.planning.groups.steps import sharing_of
from podgraph.planning.job.run import Run
from podgraph.planning.model import names
from podgraph.planning.pods.types import ContainerState, ContainerStatus, Meta, Pod, PodStatus, Terminated
from podgraph.protocol.graph_codec import pack
from podgraph.protocol.step import Assignment
from podgraph.protocol.times import utc
from podgraph.runtime.pod.pod_group import run_shared
from podgraph.runtime.pod.step import run_step

Obj = dict[str, Any]


@dataclass(frozen=True)
class Node:
    """One op: what it waits for, whether it takes a list, one value or none, what it does, and its pod."""

    ups: tuple[int, ...] = ()
    takes: str = "list"
    does: str = "int"
    pod: str | None = None


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Node, ...]:
    nodes = []
    for at in range(draw(st.integers(2, 8))):
        ups = draw(st.lists(st.integers(0, at - 1), max_size=3, unique=True)) if at else []
        nodes.append(
            Node(
                tuple(ups),
                draw(st.sampled_from(["list", "one", "wait"])),
                draw(st.sampled_from(["int", "int", "set", "set", "nothing", "fail"])),
                draw(st.sampled_from([None, "a", "b"])),
            )
        )
    return tuple(nodes)


def job_of(nodes: tuple[Node, ...]) -> JobDefinition:
    def define(at: int, node: Node) -> Any:
        def does(values: list[Any]) -> Any:
            if node.does == "fail":
                raise ValueError(f"n{at}")
            total = at + sum(sum(v) if isinstance(v, (set, list)) else v for v in values)
            return {total} if node.does == "set" else total

        optional = node.does == "nothing"
        ins = {"start": In(Nothing)} if node.takes != "list" and node.ups else {}
        if node.ups and node.takes == "list":

            def fn(x):  # type: ignore[no-untyped-def]
                yield from () if optional else [_output(does(x))]
        elif node.ups and node.takes == "one":

            def fn(x):  # type: ignore[no-untyped-def]
                yield from () if optional else [_output(does([x]))]
        else:

            def fn():  # type: ignore[no-untyped-def]
                yield from () if optional else [_output(does([]))]

        return op(name=f"n{at}", ins=ins, out=Out(is_required=not optional), pod=node.pod)(fn)

    ops = [define(at, node) for at, node in enumerate(nodes)]

    @job(name="j")
    def made() -> None:
        handles: list[Any] = []
        for node, called in zip(nodes, ops, strict=True):
            ups = [handles[up] for up in node.ups]
            if not ups:
                handles.append(called())
            elif node.takes == "list":
                handles.append(called(ups))
            elif node.takes == "one":
                handles.append(called(ups[0], start=ups))
            else:
                handles.append(called(start=ups))

    return made


def _output(value: Any) -> Any:
    from podgraph import Output

    return Output(value)


class World:
    """Plays the cluster for one Job: each pod does its work at once, and a shared one may be lost in the middle.

    `losses` says of each shared pod, in turn, after how many of its lines it is lost; -1 that it is not. With
    `restarts` an operator makes one pass and dies.
    """

    def __init__(self, nodes: tuple[Node, ...], losses: list[int] | None = None, restarts: bool = False) -> None:
        self.job = job_of(nodes)
        self.losses, self.restarts = list(losses or []), restarts
        self.pods: dict[str, Pod] = {}
        self.logs: dict[str, list[str]] = {}
        self.status: Obj = {"graph": pack(self.job.graph)}
        self.now = NOW
        self.made: list[str] = []
        self.run = self._operator()

    def _operator(self) -> Run:
        meta = {"name": "j", "namespace": "default", "uid": "u1", "generation": 1}
        spec = {"code": {"source": "x"}, "execution": {"infrastructureRetries": 20, "prestart": 0}}
        return Run({"metadata": meta, "spec": spec, "status": self.status}, SETTINGS)

    def play(self) -> World:
        changed = list(self.pods)
        for _ in range(300):
            actions = self.run.advance(self.pods, changed, self.now)
            changed = []
            for manifest in actions.creates:
                changed.append(self._make(manifest))
            for name in actions.confirm:
                self.run.confirm_gone(name)
                changed.append(name)
            for name in actions.read_logs:
                self.run.take_lines(name, self.logs[name], True)
                changed.append(name)
            self.status = _merged(self.status, {**actions.status, **self.run.patch(self.now)})
            if self.run.finished:
                return self
            if self.restarts and not actions.read_logs and not actions.confirm:
                self.run, changed = self._operator(), list(self.pods)
            if not changed or (self.restarts and not actions.creates):
                assert changed or actions.requeue_time is not None, self.status
                self.now = max(self.now, actions.requeue_time or self.now)
        raise AssertionError(f"it comes to no end: {self.status}")

    def _make(self, manifest: Obj) -> str:
        name = manifest["metadata"]["name"]
        assert name not in self.pods
        self.made.append(name)
        uid = f"p{len(self.made)}"
        self.run.created(name, uid)
        work = Assignment.from_text(manifest["metadata"]["annotations"][names.ASSIGNMENT])
        lines: list[str] = []
        record = run_shared(self.job, work, lines.append) if work.shared else run_step(self.job, work)
        lost = self.losses.pop(0) if self.losses and work.shared else -1
        if 0 <= lost < len(lines):
            self.run.take_lines(name, lines[:lost])
            self.pods[name] = Pod(Meta(name, "default", uid), gone=True)
            return str(name)
        self.logs[name] = lines
        self.run.take_lines(name, lines[: len(lines) // 2])  # a part of it was followed
        time = utc(self.now)
        state = ContainerState(
            terminated=Terminated(int(record.outcome == "Failed"), 0, "", record.to_line(), time, time)
        )
        self.pods[name] = Pod(
            Meta(name, "default", uid), PodStatus(container_statuses=[ContainerStatus(names.CONTAINER, state)])
        )  # fmt: skip
        return str(name)

    @property
    def results(self) -> dict[str, tuple[str, Obj]]:
        """The state of each step and its outputs in JSON."""
        return {name: (step["state"], step.get("outputs") or {}) for name, step in self.status["steps"].items()}


def _merged(before: Obj, patch: Obj) -> Obj:
    """Apply a merge patch."""
    merged = dict(before)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged


def has_cycle(nodes: tuple[Node, ...]) -> bool:
    counts = [node.pod for node in nodes]
    unit = [pod if pod and counts.count(pod) > 1 else at for at, pod in enumerate(counts)]
    above: dict[Any, set[Any]] = {}
    for at, node in enumerate(nodes):
        above.setdefault(unit[at], set()).update(unit[up] for up in node.ups if unit[up] != unit[at])
    try:
        list(graphlib.TopologicalSorter(above).static_order())
    except graphlib.CycleError:
        return True
    return False


SKIPPING = (Node(does="nothing", pod="a"), Node((0,), "one", pod="a"), Node((1,), "wait"), Node((0,), "list"))
REPEATED = (Node(does="set", pod="a"), Node((0,), "one", "set", "a"), Node((1,), "one"), Node((0, 1), "list", pod="a"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes=graphs(), losses=st.lists(st.integers(-1, 12), max_size=4), restarts=st.booleans())
@example(nodes=SKIPPING, losses=[], restarts=False)
@example(nodes=SKIPPING, losses=[2, 0], restarts=True)
@example(nodes=REPEATED, losses=[4, 3, 1], restarts=False)
def test_any_grouping_gives_what_pods_of_their_own_give(
    nodes: tuple[Node, ...], losses: list[int], restarts: bool
) -> None:
    graph = job_of(nodes).graph
    if has_cycle(nodes):
        with pytest.raises(DefinitionError) as error:
            sharing_of(graph, graph.order)
        assert error.value.reason == "PodCycle"
        nodes = tuple(replace(node, pod=node.pod if node.pod == "a" else None) for node in nodes)
        if has_cycle(nodes):
            return
    apart = World(tuple(replace(node, pod=None) for node in nodes)).play()
    together = World(nodes, losses, restarts).play()
    assert together.results == apart.results


def test_what_was_told_is_not_done_again_and_what_was_lost_with_the_pod_is() -> None:
    """a gives a set to b, which is told, and to c, which is still to run when the pod is lost."""
    world = World(REPEATED, losses=[4]).play()
    steps = world.status["steps"]
    assert {name: (steps[name]["attempt"], steps[name].get("infrastructureFailures", 0)) for name in sorted(steps)} == {
        "n0": (2, 1), "n1": (1, 0), "n2": (1, 0), "n3": (1, 0)
    }  # fmt: skip
    assert world.status["pods"]["a"] == {
        "state": "Ended", "attempt": 2, "infrastructureFailures": 1, "podUID": steps["n0"]["podUID"]
    }  # fmt: skip
