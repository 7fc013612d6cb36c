"""The plain graph: what it refuses, its order, and its JSON form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.graph import Graph, Input, Op, Output, OutputRef
from podgraph.planning.model.limits import MAX_OPS

steady = settings(deadline=None, derandomize=True, max_examples=100)
MOST_MESSAGE = 4_000  # a Kubernetes condition's message ends at 32,768


def value(op: str, output: str = "result", name: str = "x") -> tuple[Input, ...]:
    return (Input(name, (OutputRef(op, output),)),)


def refusal(*ops: Op) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        Graph.of("j", ops)
    return caught.value.reason, caught.value.message


def unreadable(text: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        Graph.from_json(text)
    return caught.value


def test_edges_of_every_kind() -> None:
    graph = Graph.of(
        "j",
        [
            Op(
                "e",
                (Input("v", (OutputRef("a"),)), Input("f", (OutputRef("b"), OutputRef("a")), fan_in=True)),
                after=("c",),
            ),
            Op("d", (Input("w", (OutputRef("a", "anything"),), ordering=True),)),
            *(Op(name) for name in "abc"),
        ],
    )
    assert graph.upstream == {"e": ("a", "b", "c"), "d": ("a",), "a": (), "b": (), "c": ()}
    assert graph.downstream == {"e": (), "d": (), "a": ("e", "d"), "b": ("e",), "c": ("e",)}
    assert list(graph.ops) == ["e", "d", "a", "b", "c"]
    assert graph.order == ("a", "d", "b", "c", "e")


def test_two_ops_of_one_name() -> None:
    assert refusal(Op("a"), Op("b"), Op("a")) == ("DuplicateOp", "two ops are named 'a'; op names must be unique")


def test_no_ops() -> None:
    assert refusal() == ("NoOps", "job 'j' has no ops; it must have at least one")


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ({"a": "a"}, "a -> a"),
        ({"a": "b", "b": "a"}, "a -> b -> a"),
        ({"x": "", "a": "x c", "b": "a", "c": "b", "y": "c"}, "a -> b -> c -> a"),
        ({"a": "z", "y": "z", "z": "y"}, "z -> y -> z"),
    ],
)
def test_the_circle_is_listed_in_run_order(edges: dict[str, str], circle: str) -> None:
    ops = [Op(name, after=tuple(ups.split())) for name, ups in edges.items()]
    assert refusal(*ops) == ("Cycle", f"the ops wait for each other in a cycle: {circle}")


def test_a_long_circle_is_shortened() -> None:
    names = [f"o{i}" + "x" * 100 for i in range(MAX_OPS)]
    reason, message = refusal(*(Op(name, after=(names[i - 1],)) for i, name in enumerate(names)))
    assert reason == "Cycle"
    assert message.count(names[0]) == 2
    assert " -> ... -> " in message
    assert message.endswith(f" -> {names[0]} ({MAX_OPS} ops)")
    assert len(message) < MOST_MESSAGE


def test_unknown_ops_and_outputs() -> None:
    one = Op("return_one", outputs=(Output("result"), Output("rest")))
    assert refusal(one, Op("b", value("retrun_one"))) == (
        "UnknownOp",
        "input 'x' of op 'b' comes from op 'retrun_one', which does not exist; did you mean 'return_one'?",
    )
    assert refusal(one, Op("b", after=("zzz",))) == (
        "UnknownOp",
        "op 'b' runs after op 'zzz', which does not exist; there are: return_one, b",
    )
    assert refusal(one, Op("b", value("return_one", "reslt"))) == (
        "UnknownOutput",
        "input 'x' of op 'b' comes from output 'reslt' of op 'return_one', which has no such output; "
        "did you mean 'result'?",
    )
    assert refusal(Op("a", outputs=()), Op("b", value("a")))[1].endswith("which has no such output; there are none")


@pytest.mark.parametrize("op", [Op("a", value("x" * 100_000)), Op("a", after=("x" * 100_000,)), Op("x" * 100_000)])
def test_messages_stay_short(op: Op) -> None:
    assert len(refusal(op)[1]) < MOST_MESSAGE
    assert len(refusal(Op("a"), Op("b", value("a", "x" * 100_000)))[1]) < MOST_MESSAGE


@pytest.mark.parametrize("name", ["a", "_", "A-b_9", "src.add", "a.b.c", "x" * 128])
def test_op_names(name: str) -> None:
    assert Graph.of("j", [Op(name)]).order == (name,)


@pytest.mark.parametrize(
    "name", ["", "2a", "-a", "a b", "a.", ".a", "a..b", "a\n", "a/b", "a[1]", "\u00e9", "\ud800", "*", "x" * 129, "a.1"]
)
def test_bad_op_names(name: str) -> None:
    reason, message = refusal(Op(name))
    assert reason == "InvalidName"
    assert message.startswith("op name ")
    assert "at most 128 characters" in message


@pytest.mark.parametrize("name", ["", "2a", "a-b", "a.b", "a\n", "x" * 64])
def test_bad_value_names(name: str) -> None:
    for op in (Op("a", (Input(name),)), Op("a", outputs=(Output(name),))):
        reason, message = refusal(op)
        assert reason == "InvalidName"
        assert "at most 63 characters" in message


def test_value_names_are_unique_in_their_op() -> None:
    two = (Input("x"), Input("x"))
    assert refusal(Op("a", two)) == ("InvalidName", "op 'a' has two inputs named 'x'; they must be unique")
    outputs = (Output("x"), Output("x"))
    assert refusal(Op("a", outputs=outputs)) == (
        "InvalidName",
        "op 'a' has two outputs named 'x'; they must be unique",
    )
    assert Graph.of("j", [Op("a", (Input("x"),), (Output("x"),))])


@pytest.mark.parametrize("names", [("src", "src.add"), ("src.add", "src"), ("a.b.c.d", "a.b")])
def test_an_op_holds_no_ops(names: tuple[str, str]) -> None:
    inner, outer = sorted(names, key=len, reverse=True)
    assert refusal(*map(Op, names)) == (
        "InvalidName",
        f"op {inner!r} is inside {outer!r}, which is an op; only a graph can contain ops",
    )


def test_how_many_ops() -> None:
    assert len(Graph.of("j", [Op(f"o{i}") for i in range(1001)]).order) == 1001


def test_the_longest_chain() -> None:
    names = [f"o{i}" for i in range(MAX_OPS)]
    ops = [Op(name, value(names[i - 1]) if i else ()) for i, name in enumerate(names)]
    graph = Graph.of("j", reversed(ops))
    assert graph.order == tuple(names)
    assert Graph.from_json(graph.to_json()) == graph


def test_one_op_that_waits_for_all_others() -> None:
    names = [f"o{i}" for i in range(MAX_OPS - 1)]
    last = Op("last", (Input("all", tuple(map(OutputRef, names)), fan_in=True),))
    assert Graph.of("j", [last, *map(Op, names)]).order == (*names, "last")


def test_ops_written_in_a_possible_order_keep_it() -> None:
    ops = [Op("a"), Op("b", after=("a",)), Op("c"), Op("d", after=("b",)), Op("e", after=("c",)), Op("f")]
    assert Graph.of("j", ops).order == ("a", "b", "c", "d", "e", "f")
    assert Graph.of("j", reversed(ops)).order == ("f", "c", "e", "a", "b", "d")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Input("x", (OutputRef("a"), OutputRef("a"))), "input 'x' of op 'b' has 2 sources but does not take a list"),
        (
            Input("x", (OutputRef("a"),), literal="1"),
            "input 'x' of op 'b' has a source and a value; it can have only one",
        ),
        (Input("x", literal=""), "the value of input 'x' of op 'b' is not valid JSON: ''"),
        (Input("x", literal="NaN"), "the value of input 'x' of op 'b' is not valid JSON: 'NaN'"),
        (Input("x", literal="1e999"), "the value of input 'x' of op 'b' is not valid JSON: '1e999'"),
        (Input("x", default="{"), "the default of input 'x' of op 'b' is not valid JSON: '{'"),
        (Input("x", default='"\\ud800"'), None),
        (Input("x", default='"\ud800"'), None),
        (Input("x", literal="[" * 100_000), None),
        (Input("x", literal="9" * 5_000), None),
        (Input("x", type="\ud800"), "input 'x' of op 'b' contains text that is not valid Unicode"),
        (
            Input("x", (OutputRef("a", "\ud800"),), ordering=True),
            "input 'x' of op 'b' contains text that is not valid Unicode",
        ),
    ],
)
def test_inputs_no_code_draws(item: Input, message: str | None) -> None:
    """A graph may come from a user's pod, and so hold anything."""
    reason, found = refusal(Op("a"), Op("b", (item,)))
    assert reason == "InvalidGraph"
    assert found == message or (message is None and len(found) < 200)
    data = {"name": "j", "ops": [{"name": "a"}, json.loads(Graph("j", {"b": Op("b", (item,))}).to_json())["ops"][0]]}
    assert unreadable(json.dumps(data)).message == found


def test_texts_that_are_no_unicode() -> None:
    assert refusal(Op("a", description="\ud800"))[0] == "InvalidGraph"
    with pytest.raises(DefinitionError, match=r"the job's name '.ud800' is not valid Unicode"):
        Graph.of("\ud800", [Op("a")])


# --- properties ---------------------------------------------------------------------------------------------------

texts = st.text(max_size=8)
value_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
maybe_json = st.none() | (st.integers() | texts | st.lists(texts, max_size=2)).map(json.dumps)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw a graph with every field in use."""
    ops: list[Op] = []
    for i in range(draw(st.integers(1, 7))):
        known = [OutputRef(op.name, out.name) for op in ops for out in op.outputs]
        refs = st.sampled_from(known) if known else st.nothing()
        inputs = []
        for name in draw(st.lists(value_names, unique=True, max_size=3)):
            fan_in = draw(st.booleans())
            sources = tuple(draw(st.lists(refs, max_size=3 if fan_in else 1))) if known else ()
            rest: dict[str, Any] = {key: draw(st.booleans()) for key in ("ordering", "has_default")}
            literal = None if sources else draw(maybe_json)
            inputs.append(Input(name, sources, fan_in, literal=literal, default=draw(maybe_json), **rest))
        outputs = tuple(Output(n, draw(st.booleans())) for n in draw(st.lists(value_names, unique=True, max_size=2)))
        after = draw(st.lists(st.sampled_from([op.name for op in ops]), max_size=2)) if ops else []
        prefix = draw(st.sampled_from(["", "g.", "g.h."]))
        ops.append(Op(f"{prefix}o{i}", tuple(inputs), outputs, tuple(after), draw(texts)))
    return Graph.of(draw(texts), draw(st.permutations(ops)))


@steady
@given(graphs())
def test_the_order_is_topological(graph: Graph) -> None:
    assert sorted(graph.order) == sorted(graph.ops)
    at = {name: i for i, name in enumerate(graph.order)}
    assert all(at[up] < at[name] for name in graph.ops for up in graph.upstream[name])
    pairs = {(up, name) for name, ups in graph.upstream.items() for up in ups}
    assert pairs == {(name, down) for name, downs in graph.downstream.items() for down in downs}
    assert all(len(set(ups)) == len(ups) for ups in graph.upstream.values())


@steady
@given(graphs())
def test_json_round_trip(graph: Graph) -> None:
    text = graph.to_json()
    again = Graph.from_json(text)
    assert again == graph
    assert list(again.ops) == list(graph.ops)
    assert again.to_json() == text


@steady
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=2), min_size=1))
def test_an_order_or_a_true_circle(edges: dict[str, list[str]]) -> None:
    ops = [Op(name, after=tuple(up for up in ups if up in edges)) for name, ups in edges.items()]
    try:
        order, error = Graph.of("j", ops).order, None
    except DefinitionError as refused:
        order, error = (), refused
    if error:
        circle = error.message.partition("cycle: ")[2].split(" -> ")
        assert error.reason == "Cycle"
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all(circle[at] in edges[circle[at + 1]] for at in range(len(circle) - 1))
    else:
        assert sorted(order) == sorted(edges)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "null",
        "3",
        '"ops"',
        "[]",
        "{}",
        "NaN",
        '{"name":"j"}',
        '{"ops":[]}',
        '{"name":3,"ops":[]}',
        '{"name":"j","ops":null}',
        '{"name":"j","ops":"abc"}',
        '{"name":"j","ops":{}}',
        '{"name":"j","ops":{"a":{"name":"a"}}}',
        '{"name":"j","ops":[null]}',
        '{"name":"j","ops":[["name"]]}',
        '{"name":"j","ops":[{}]}',
        '{"name":"j","ops":[{"name":["a"]}]}',
        '{"name":"j","ops":[{"name":"a","inputs":{}}]}',
        '{"name":"j","ops":[{"name":"a","inputs":"x"}]}',
        '{"name":"j","ops":[{"name":"a","inputs":[{"name":"x","fan_in":1}]}]}',
        '{"name":"j","ops":[{"name":"a","inputs":[{"name":"x","literal":3}]}]}',
        '{"name":"j","ops":[{"name":"a","inputs":[{"name":"x","sources":["ab"]}]}]}',
        '{"name":"j","ops":[{"name":"a","inputs":[{"name":"x","sources":{"ab":1}}]}]}',
        '{"name":"j","ops":[{"name":"a","inputs":[{"name":"x","sources":[{"a":1,"result":2}]}]}]}',
        '{"name":"j","ops":[{"name":"a","inputs":[{"name":"x","sources":[["a"]]}]}]}',
        '{"name":"j","ops":[{"name":"a","inputs":[{"name":"x","sources":[["a","b","c"]]}]}]}',
        '{"name":"j","ops":[{"name":"a","outputs":{}}]}',
        '{"name":"j","ops":[{"name":"a","outputs":["x"]}]}',
        '{"name":"j","ops":[{"name":"a","outputs":[{"name":"x","required":0}]}]}',
        '{"name":"j","ops":[{"name":"a"},{"name":"b","after":"a"}]}',
        '{"name":"j","ops":[{"name":"a"},{"name":"b","after":{"a":1}}]}',
        '{"name":"j","ops":[{"name":"a","after":null}]}',
        '{"name":"j","ops":[{"name":"a","description":null}]}',
        "[" * 200_000,
        '{"name":"j","ops":' + "[" * 900 + "]" * 900 + "}",
        '{"name":"j","ops":[{"name":' + "1" * 10_000 + "}]}",
        '{"name":"j","ops":[{"name":"a","description":["' + "x" * 100_000 + '"]}]}',
        None,
        b"\xff\xfe\xfa",
    ],
)
def test_json_of_another_form(text: Any) -> None:
    error = unreadable(text)
    assert error.reason == "InvalidGraph"
    assert error.message.startswith("the graph cannot be read: ")
    assert len(error.message) < MOST_MESSAGE


@pytest.mark.parametrize(
    ("ops", "reason"),
    [
        ([], "NoOps"),
        ([{"name": "a"}, {"name": "a"}], "DuplicateOp"),
        ([{"name": "a", "after": ["b"]}], "UnknownOp"),
        ([{"name": "a", "after": ["a"]}], "Cycle"),
        ([{"name": "a b"}], "InvalidName"),
        ([{"name": "a", "inputs": [{"name": "x"}, {"name": "x"}]}], "InvalidName"),
    ],
)
def test_json_is_checked_as_ops_are(ops: list[Any], reason: str) -> None:
    assert unreadable(json.dumps({"name": "j", "ops": ops})).reason == reason


KEYS = ["name", "ops", "inputs", "outputs", "after", "sources", "fan_in", "literal", "required", "description", "type"]
keys = st.sampled_from(KEYS) | texts
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from(["a", "b", "a.b"])
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=12
)


@steady
@given(anything | st.fixed_dictionaries({"name": texts, "ops": st.lists(anything, max_size=3)}))
def test_any_json_is_a_graph_or_a_clean_refusal(data: Any) -> None:
    _clean(json.dumps(data))


def _clean(text: str) -> None:
    try:
        graph, error = Graph.from_json(text), None
    except DefinitionError as refused:
        graph, error = None, refused
    if graph:
        assert Graph.from_json(graph.to_json()) == graph
    else:
        assert error
        assert error.reason
        assert len(error.message) < MOST_MESSAGE


@steady
@given(graphs(), st.data())
def test_a_damaged_graph_is_a_graph_or_a_clean_refusal(graph: Graph, data: st.DataObject) -> None:
    """Replace one random part of a good graph's JSON by something else, or cut its text."""
    text = graph.to_json()
    _clean(text[: data.draw(st.integers(0, len(text)))])
    tree = json.loads(text)
    at: Any = tree
    while True:
        spots = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not spots:
            break
        spot = data.draw(st.sampled_from(spots))
        if not isinstance(at[spot], (dict, list)) or data.draw(st.booleans()):
            at[spot] = data.draw(anything)
            break
        at = at[spot]
    _clean(json.dumps(tree))


def test_nearest_name() -> None:
    assert nearest("ADD", ["add", "sub"]) == "; did you mean 'add'?"
    assert nearest("zz", list("abcdefghij")) == "; there are: a, b, c, d, e, f, g, h and 2 more"
    assert nearest("zz", []) == "; there are none"
