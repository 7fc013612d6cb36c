"""Which ops share a pod, and which cannot."""

from __future__ import annotations

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op, Output, OutputRef
from podgraph.planning.groups.steps import SharingSteps, sharing_of
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.steps.admission import Admission
from podgraph.run_config.execution import TagLimit


def op(name: str, *ups: str, pod: str = "", **more: object) -> Op:
    inputs = tuple(Input(up.replace(".", "_"), (OutputRef(up),)) for up in ups)
    return Op(name, inputs, (Output(),), pod=pod, **more)  # type: ignore[arg-type]


def graph(*ops: Op) -> Graph:
    return Graph.of("j", ops)


def test_ops_of_one_name_share_a_pod_and_one_alone_does_not() -> None:
    found = graph(op("g.a", pod="x"), op("h.b", "g.a", pod="x"), op("c", "h.b", pod="y"), op("d"))
    assert sharing_of(found, found.order) == {"x": ("g.a", "h.b")}
    assert sharing_of(found, ("h.b", "c", "d")) == {}


@pytest.mark.parametrize(
    ("ops", "way"),
    [
        ([op("a", pod="p"), op("x", "a"), op("b", "x", pod="p")], "a -> x -> b"),
        ([op("a", pod="p"), op("x", "a"), op("y", "x"), op("b", "y", "a", pod="p")], "a -> x -> y -> b"),
        (
            [op("a1", pod="p"), op("b1", "a1", pod="q"), op("b2", pod="q"), op("a2", "b2", pod="p")],
            "a1 -> b1, b2 -> a2",
        ),
    ],
)  # fmt: skip
def test_a_pod_that_would_wait_for_itself_is_refused_with_the_way(ops: list[Op], way: str) -> None:
    found = graph(*ops)
    with pytest.raises(DefinitionError) as error:
        sharing_of(found, found.order)
    assert error.value.reason == "PodCycle"
    assert f": {way};" in error.value.message


def test_a_way_through_ops_that_are_not_selected_is_none() -> None:
    found = graph(op("a", pod="p"), op("x", "a"), op("b", "x", pod="p"), op("c", "b", pod="p"))
    assert sharing_of(found, ("a", "b", "c")) == {"p": ("a", "b", "c")}


def test_a_long_way_is_shown_by_its_ends() -> None:
    ops = [op("a", pod="p"), op("x0", "a"), *(op(f"x{n}", f"x{n - 1}") for n in range(1, 60)), op("b", "x59", pod="p")]
    with pytest.raises(DefinitionError, match=r"a -> x0 -> .* -> \.\.\. -> .* -> x59 -> b;"):
        sharing_of(graph(*ops), [o.name for o in ops])


def test_a_shared_pod_is_free_when_all_outside_that_its_steps_wait_for_has_ended() -> None:
    found = graph(op("a"), op("b"), op("c", "a", pod="p"), op("d", "c", "b", pod="p"), op("e", "d"))
    steps = SharingSteps(found, found.order, {}, {}, sharing_of(found, found.order))
    assert (list(steps.ready), list(steps.free)) == (["a", "b"], [])
    for name in "ab":
        assert list(steps.free) == []
        steps.end(name, Outcome({"result": "1"}))
    assert (list(steps.ready), list(steps.free)) == (["a", "b"], ["p"])
    assert list(steps.alone) == ["a", "b", "e"]
    assert (steps.needed_outside("c"), steps.needed_outside("d")) == ([], ["result"])


def test_a_unit_has_the_slots_of_all_its_steps_and_the_highest_priority() -> None:
    ops = [
        op("a", tags={"db": "x"}), op("b", tags={"db": "y", "podgraph/priority": "5"}), op("c", tags={"db": "y"}),
        op("d", tags={"podgraph/priority": "3"}),
    ]  # fmt: skip
    spec = ExecutionSpec(tag_limits=(TagLimit("db", 1, None, True),))
    admission = Admission({o.name: o for o in ops}, spec, {"@p": ("a", "b")})
    for name in ("c", "d", "@p"):
        admission.add(name)
    assert [admission.take(), admission.take(), admission.take()] == ["@p", "d", None]
    admission.give("@p")
    assert admission.take() == "c"
