"""Which steps are to have waiting pods: cases by hand, and a property test against the definition itself."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from podgraph.definition.graph import Graph, Op
from podgraph.flow import NOT_STARTED
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.prestart.policy import MAX_RELEASES, PAUSE_SECONDS, PrestartPolicy
from podgraph.planning.steps.records import Steps

CHAIN = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",)}
NOW = 100.0


def steps_of(ups: dict[str, tuple[str, ...]]) -> Steps:
    graph = Graph.of("g", [Op(name, after=after) for name, after in ups.items()])
    return Steps(graph, list(ups), {})


def make(
    ups: dict[str, tuple[str, ...]], levels: int = 1, most: int = 10, fits: Any = None
) -> tuple[Steps, PrestartPolicy]:
    steps = steps_of(ups)
    return steps, PrestartPolicy(steps, levels, most, fits or (lambda _: True))


def made(steps: Steps, ahead: PrestartPolicy, now: float = NOW) -> list[str]:
    found = []
    while (name := ahead.next(now)) is not None:
        steps.set_state(name, "Waiting")
        found.append(name)
    return found


def test_one_level_follows_the_step_that_runs() -> None:
    steps, ahead = make(CHAIN)
    assert made(steps, ahead) == []
    steps.begin("a")
    assert made(steps, ahead) == ["b"]
    steps.end("a", Outcome())
    assert made(steps, ahead) == []
    assert ahead.take("b")
    steps.begin("b")
    assert made(steps, ahead) == ["c"]


def test_more_levels_go_further_and_move_on_with_each_step() -> None:
    steps, ahead = make(CHAIN, levels=2)
    steps.begin("a")
    assert made(steps, ahead) == ["b", "c"]
    steps.end("a", Outcome())
    assert ahead.take("b")
    steps.begin("b")
    assert made(steps, ahead) == ["d"]
    assert ahead.waiting == {"c": 1, "d": 2}


def test_no_more_wait_than_may_and_nearer_ones_come_first() -> None:
    steps, ahead = make({"a": (), **{f"b{n}": ("a",) for n in range(5)}, "c": ("b0",)}, levels=2, most=3)
    steps.begin("a")
    assert made(steps, ahead) == ["b0", "b1", "b2"]


def test_zero_turns_it_off() -> None:
    steps, ahead = make(CHAIN, levels=0)
    steps.begin("a")
    assert made(steps, ahead) == []


def test_a_step_waits_only_while_all_it_waits_for_is_on_its_way() -> None:
    steps, ahead = make({"a": (), "b": (), "c": ("a", "b")})
    steps.begin("a")
    assert made(steps, ahead) == []
    steps.begin("b")
    assert made(steps, ahead) == ["c"]
    steps.retry("b", Outcome({}, "OpFailed", "x"), "2026-01-01T00:00:00.000000Z")
    assert ahead.to_release(NOW) == ["c"]


def test_what_is_further_ahead_goes_with_what_it_waits_for() -> None:
    steps, ahead = make(CHAIN, levels=3)
    steps.begin("a")
    assert made(steps, ahead) == ["b", "c", "d"]
    steps.end("a", Outcome({}, "OpFailed", "x"))
    assert sorted(ahead.to_release(NOW)) == ["b", "c", "d"]


def test_one_that_does_not_fit_waits_not_nor_what_is_behind_it() -> None:
    steps, ahead = make(CHAIN, levels=2, fits=lambda name: name != "b")
    steps.begin("a")
    assert made(steps, ahead) == []


def test_a_step_whose_pods_wait_for_nothing_again_and_again_has_none_any_more() -> None:
    steps, ahead = make(CHAIN)
    steps.begin("a")
    for count in range(MAX_RELEASES):
        assert made(steps, ahead) == ["b"]
        ahead.drop("b")
        steps.set_state("b", "Pending")
        assert ahead.released("b") == count + 1
    assert made(steps, ahead) == []


def test_a_pause_lets_all_go_and_ends() -> None:
    steps, ahead = make(CHAIN)
    steps.begin("a")
    assert made(steps, ahead) == ["b"]
    ahead.pause(NOW)
    assert ahead.to_release(NOW) == ["b"]
    ahead.drop("b")
    steps.set_state("b", "Pending")
    assert made(steps, ahead, NOW + 1) == []
    assert made(steps, ahead, NOW + PAUSE_SECONDS) == ["b"]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    ups: dict[str, tuple[str, ...]] = {}
    for at in range(draw(st.integers(1, 9))):
        ups[f"s{at}"] = tuple(sorted(draw(st.sets(st.sampled_from(sorted(ups)), max_size=3)) if ups else ()))
    return ups


@given(graphs(), st.integers(1, 3), st.data())
def test_at_any_time_it_is_as_the_definition_says(
    ups: dict[str, tuple[str, ...]], levels: int, data: st.DataObject
) -> None:
    steps, ahead = make(ups, levels, most=len(ups))
    for _ in range(12):
        ready = [n for n, r in steps.records.items() if r.state in NOT_STARTED and not steps.waits(n)]
        running = [n for n, r in steps.records.items() if r.state == "Running"]
        late = [n for n, r in steps.records.items() if r.state == "UpForRetry"]
        moves = [("begin", n) for n in ready + late] + [(k, n) for k in ("end", "fail", "retry") for n in running]
        if not moves:
            break
        what, name = data.draw(st.sampled_from(sorted(moves)))
        if what == "begin":
            ahead.take(name)
            steps.begin(name)
            steps.set_state(name, "Running")
        elif what == "retry":
            steps.retry(name, Outcome({}, "OpFailed", "x"), "2026-01-01T00:00:00.000000Z")
        else:
            steps.end(name, Outcome({}, "OpFailed" if what == "fail" else "", ""))
        while released := ahead.to_release(NOW):
            for gone in released:
                ahead.drop(gone)
                if steps.records[gone].state == "Waiting":
                    steps.set_state(gone, "Pending")
        made(steps, ahead)
        waiting = {n for n, r in steps.records.items() if r.state == "Waiting"}
        assert waiting == set(ahead.waiting)
        level = levels_of(steps, ahead)
        for step, record in steps.records.items():
            wanted = record.state in NOT_STARTED and steps.waits(step) and level[step] <= levels
            if wanted and ahead.released(step) == 0 and all(ahead.released(up) == 0 for up in steps.records):
                assert step in waiting
            if step in waiting and steps.waits(step):
                assert wanted
                assert ahead.waiting[step] == level[step]


def levels_of(steps: Steps, ahead: PrestartPolicy) -> dict[str, float]:
    """How far ahead each step is, from the definition: 0 on its way, else one more than the furthest it waits for."""

    def is_due(name: str) -> bool:
        """Whether it is to begin as soon as there is room, without a pod that waits."""
        return not steps.waits(name) and name not in ahead.waiting

    level: dict[str, float] = {}
    for name, record in steps.records.items():
        if record.state in ("Starting", "Running", "Succeeded", "Skipped"):
            level[name] = 0
        elif record.state not in NOT_STARTED or ahead.released(name) >= MAX_RELEASES or is_due(name):
            level[name] = float("inf")
        else:
            level[name] = 1 + max((level[up] for up in steps.graph.upstream[name]), default=0)
    return level
