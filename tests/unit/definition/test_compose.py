"""What a job's body draws: names, edges, lists, literals, graphs in graphs; and what it may not say."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph import DefinitionError, In, Nothing, Out, graph, job, op
from podgraph.definition.compose import composing
from podgraph.definition.graph import Graph, Input, OutputRef

steady = settings(deadline=None, derandomize=True, max_examples=60)


@op
def one() -> int:
    return 1


@op
def add(a: int, b: int = 2) -> int:
    return a + b


@op
def total(items: list) -> int:  # type: ignore[type-arg]
    return sum(items)


@op(out={"count": Out(), "index": Out(is_required=False)})
def split(x: Any) -> Any:
    return x, x


@op(out={})
def write(x: Any = None) -> None: ...


@op(ins={"start": In(Nothing)})
def after() -> int:
    return 0


def made(body: Callable[..., Any]) -> Graph:
    return job(name="j")(body).graph


def refusal(body: Callable[..., Any]) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        job(name="j")(body)
    assert composing() is None
    return caught.value.reason, caught.value.message


def the_input(drawn: Graph, name: str, at: int = 0) -> Input:
    return drawn.ops[name].inputs[at]


def test_repeated_use_numbers_ops() -> None:
    def body() -> None:
        add(add(one(), 1), add(one(), 1))

    drawn = made(body)
    assert list(drawn.ops) == ["one", "add", "one_2", "add_2", "add_3"]
    assert drawn.upstream["add_3"] == ("add", "add_2")


def test_numbers_step_around_taken_names() -> None:
    def body() -> None:
        one.alias("one_2")()
        one()
        one()
        one.alias("one_5")()
        one.alias("two")()
        one()
        one()

    assert list(made(body).ops) == ["one_2", "one", "one_3", "one_5", "two", "one_4", "one_6"]


def test_thousands_of_uses_of_one_op() -> None:
    start = time.process_time()
    assert len(made(lambda: [one() for _ in range(5_000)]).ops) == 5_000  # type: ignore[arg-type]
    assert time.process_time() - start < 10


def test_aliases() -> None:
    twin = one.alias("uno")
    drawn = job(name="j")(lambda: add(twin(), one()))
    assert drawn.graph.upstream["add"] == ("uno", "one")
    assert drawn.ops["uno"].fn is one.fn


def test_an_alias_taken_twice() -> None:
    def body() -> None:
        one.alias("x")()
        add.alias("x")(1)

    assert refusal(body) == ("DuplicateOp", "two ops are named 'x'; op names must be unique")

    def inner() -> None:
        one()
        one.alias("one")()

    assert refusal(lambda: graph(name="g")(inner)())[1] == "two ops are named 'g.one'; op names must be unique"


def test_every_place_an_input_can_come_from() -> None:
    def body(given: Any) -> None:
        add(one(), 5)
        add(given)
        add(a=[1, {"x": None}], b=one())
        total([one(), one()])
        total([])

    drawn = made(body)
    number = {"type": "int", "schema": '{"type":"integer"}'}
    items = {"type": "list", "schema": '{"type":"array"}'}
    b = {"default": "2", "has_default": True, **number}
    assert drawn.ops["add"].inputs == (
        Input("a", (OutputRef("one"),), **number),
        Input("b", literal="5", **b),  # type: ignore[arg-type]
    )
    assert drawn.ops["add_2"].inputs == (Input("a", job_input="given", **number), Input("b", **b))  # type: ignore[arg-type]
    assert the_input(drawn, "add_3").literal == '[1,{"x":null}]'
    assert the_input(drawn, "add_3", 1).sources == (OutputRef("one_2"),)
    assert the_input(drawn, "total") == Input("items", (OutputRef("one_3"), OutputRef("one_4")), fan_in=True, **items)
    assert the_input(drawn, "total_2") == Input("items", literal="[]", **items)


def test_a_tuple_of_outputs_is_a_list_too() -> None:
    assert the_input(made(lambda: total((one(), one()))), "total").fan_in


def test_defaults_json_or_not() -> None:
    def fn(a: Any = None, b: Any = {1}, c: Any = "x") -> None: ...  # noqa: B006

    inputs = made(lambda: op(fn)()).ops["fn"].inputs
    assert [(i.has_default, i.default) for i in inputs] == [(True, "null"), (True, None), (True, '"x"')]


def test_several_outputs() -> None:
    def body() -> None:
        count, index = split(1)
        both = split(2)
        add(count, index)
        add(both.index, both.count)
        add(both[0], both[1])
        assert not hasattr(both, "other")
        with pytest.raises(AttributeError, match="no output is named 'other'; there are: count, index"):
            _ = both.other

    drawn = made(body)
    assert [ref for i in drawn.ops["add"].inputs for ref in i.sources] == [
        OutputRef("split", "count"),
        OutputRef("split", "index"),
    ]
    swapped = [ref.output for i in drawn.ops["add_2"].inputs for ref in i.sources]
    assert swapped == ["index", "count"]
    assert [(o.name, o.required) for o in drawn.ops["split"].outputs] == [("count", True), ("index", False)]


def test_one_named_output_is_one_handle() -> None:
    rows = op(out={"rows": Out()}, name="rows")(lambda: [])  # noqa: PIE807
    assert the_input(made(lambda: total(rows())), "total").sources == (OutputRef("rows", "rows"),)


def test_waiting() -> None:
    def body() -> None:
        after(write(1))
        after(start=one())
        after([write(2), one()])
        after(split(1))

    drawn = made(body)
    assert the_input(drawn, "after") == Input("start", (OutputRef("write"),), ordering=True, type="Nothing")
    assert drawn.ops["write"].outputs == ()
    assert drawn.upstream["after_2"] == ("one",)
    assert drawn.upstream["after_3"] == ("write_2", "one_2")
    assert the_input(drawn, "after_4").sources == (OutputRef("split", "count"), OutputRef("split", "index"))
    assert Graph.from_json(drawn.to_json()) == drawn


def test_an_op_without_outputs_gives_no_value() -> None:
    reason, message = refusal(lambda: add(write(1)))
    assert reason == "UnknownOutput"
    assert message.startswith(
        "input 'a' of op 'add' comes from output 'result' of op 'write', which has no such output"
    )


# --- graphs -------------------------------------------------------------------------------------------------------


def test_graphs_are_flattened() -> None:
    @graph
    def inner(x: Any) -> Any:
        return add(x, one())

    @graph
    def outer(x: Any, y: Any) -> Any:
        a = inner(x)
        inner(y)
        return {"a": a, "split": split(a)}

    def body() -> None:
        out = outer(one(), y=7)
        total([out["a"], out["split"].count])
        inner.alias("last")(out["split"].index)

    drawn = made(body)
    assert list(drawn.ops) == [
        *("one", "outer.inner.one", "outer.inner.add", "outer.inner_2.one", "outer.inner_2.add", "outer.split"),
        *("total", "last.one", "last.add"),
    ]
    assert drawn.upstream["outer.inner.add"] == ("one", "outer.inner.one")
    assert the_input(drawn, "outer.inner_2.add").literal == "7"
    assert drawn.upstream["total"] == ("outer.inner.add", "outer.split")
    assert drawn.upstream["last.add"] == ("outer.split", "last.one")


def test_what_passes_through_a_graph() -> None:
    same = graph(name="same")(lambda x: x)
    nothing = graph(name="nothing")(lambda x: one())
    drawn = made(lambda: (total(same([one(), one()])), add(same(3)), nothing(one())))
    assert drawn.upstream["total"] == ("one", "one_2")
    assert the_input(drawn, "add").literal == "3"
    assert "nothing.one" in drawn.ops


def test_parameters_nobody_connects() -> None:
    @graph
    def g(x, y=5, z=None):  # type: ignore[no-untyped-def]
        return add(x, y), add(one() if z is None else z)

    def body(outside: Any, factor: int = 3) -> None:
        g()
        g(outside, z=9)
        add.alias("scale")(outside, factor)

    drawn = made(body)
    assert (the_input(drawn, "g.add").literal, the_input(drawn, "g.add").sources) == (None, ())
    assert the_input(drawn, "g.add", 1).literal == "5"
    assert drawn.upstream["g.add_2"] == ("g.one",)
    assert the_input(drawn, "g_2.add_2").literal == "9"
    assert [i.literal for i in drawn.ops["scale"].inputs] == [None, "3"]


def test_a_graph_called_wrongly() -> None:
    g = graph(name="g")(lambda x: one())
    assert refusal(lambda: g(1, 2)) == (
        "InvalidGraph",
        "graph 'g' is called with the wrong arguments: too many positional arguments",
    )
    assert refusal(lambda: g(y=2))[1].startswith(
        "graph 'g' is called with the wrong arguments: got an unexpected keyword argument 'y'"
    )
    assert "multiple values for argument 'x'" in refusal(lambda: g(1, x=2))[1]
    outer = graph(name="outer")(lambda: g(1, 2))
    assert refusal(lambda: outer())[1].startswith("graph 'outer.g' is called with the wrong arguments")


def test_an_op_beside_a_graph_of_its_name() -> None:
    g = graph(name="add")(lambda: one())
    assert list(made(lambda: (add(1), g())).ops) == ["add", "add_2.one"]
    assert list(made(lambda: (g(), add(1))).ops) == ["add.one", "add_2"]


def test_paths_are_bounded() -> None:
    deep = one
    for _ in range(70):
        deep = graph(name="g" * 3)(lambda deep=deep: deep())
    assert refusal(lambda: deep())[0] == "InvalidName"


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "reason", "message"),
    [
        (lambda: add(1, c=2), "UnknownInput", "op 'add' has no input 'c'; it has: a, b"),
        (lambda: one(x=2), "UnknownInput", "op 'one' has no input 'x'; it has: none"),
        (lambda: add(1, 2, 3), "UnknownInput", "op 'add' takes 2 inputs but receives 3; its inputs are: a, b"),
        (lambda: add(1, a=2), "InvalidGraph", "input 'a' of op 'add' is set twice"),
        (
            lambda: add({1}),
            "InvalidGraph",
            "input 'a' of op 'add' must be another op's output, a list of outputs, or a JSON value, not a set",
        ),
        (
            lambda: total([one(), 1]),
            "InvalidGraph",
            "input 'items' of op 'total' must be another op's output, a list of outputs, or a JSON value, "
            "not an OutputHandle at [0]",
        ),
        (
            lambda: after(3),
            "InvalidGraph",
            "input 'start' of op 'after' only waits (Nothing), so it takes an op's output, not 3",
        ),
        (
            lambda: add(split(1)),
            "InvalidGraph",
            "input 'a' of op 'add' receives all outputs of op 'split' at once; select one, as in .count, "
            "or pass a list of them",
        ),
        (
            lambda: list(one()),
            "InvalidGraph",
            "output 'result' of op 'one' cannot be unpacked or looped over inside a job: "
            "its value exists only when the job runs; give the op several outputs with @op(out={...})",
        ),
    ],
)
def test_refusals(call: Callable[[], Any], reason: str, message: str) -> None:
    assert refusal(call) == (reason, message)


def test_unpacking() -> None:
    def body() -> None:
        _a, _b = one()

    assert "cannot be unpacked" in refusal(body)[1]


def test_a_long_value_of_a_waiting_input_is_shown_short() -> None:
    assert len(refusal(lambda: after("x" * 100_000))[1]) < 300


# --- outside, and after errors ------------------------------------------------------------------------------------


def test_outside_of_a_job_an_op_is_its_function() -> None:
    assert add(1) == 3
    assert add(1, b=5) == 6
    assert split(3) == (3, 3)
    with pytest.raises(TypeError):
        add()
    assert composing() is None


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), DefinitionError("A", "b")])
def test_nothing_stays_open_when_a_body_raises(error: BaseException) -> None:
    def fail() -> None:
        one()
        raise error

    for body in (fail, lambda: graph(name="g")(fail)(), lambda: job(name="inner")(fail)):
        with pytest.raises(type(error)):
            job(name="j")(body)
        assert composing() is None
        assert one() == 1
        assert list(made(lambda: one()).ops) == ["one"]


def test_a_graph_that_fails_and_is_caught_leaves_its_path() -> None:
    def fail() -> None:
        raise ValueError

    def body() -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            graph(name="g")(fail)()
        one()

    assert list(made(body).ops) == ["one"]


def test_a_job_made_inside_of_another_is_apart() -> None:
    def body() -> None:
        one()
        job(name="inner")(lambda: add(1))
        one()

    assert list(made(body).ops) == ["one", "one_2"]


@steady
@given(st.lists(st.lists(st.integers(0, 20), max_size=4), min_size=1, max_size=12), st.data())
def test_any_program_draws_the_edges_it_calls(calls: list[list[int]], data: st.DataObject) -> None:
    """Each call takes a list of earlier outputs; some are made inside of graphs, at any depth."""
    depths = [data.draw(st.integers(0, 2)) for _ in calls]

    def body() -> None:
        handles: list[Any] = []
        for ups, depth in zip(calls, depths, strict=True):
            call: Any = total
            for _ in range(depth):
                call = graph(name="g")(lambda items, call=call: call(items))
            handles.append(call([handles[up % len(handles)] for up in ups] if handles else []))

    drawn = made(body)
    names = list(drawn.ops)
    assert [name.count(".") for name in names] == depths
    for at, (name, ups) in enumerate(zip(names, calls, strict=True)):
        assert drawn.upstream[name] == tuple(dict.fromkeys(names[up % at] for up in ups)) if at else True
    assert drawn.order == tuple(names)
    assert Graph.from_json(drawn.to_json()) == drawn
