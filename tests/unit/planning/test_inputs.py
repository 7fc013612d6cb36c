"""Where each input gets its value before anything runs, and what run config may say."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.planning.inputs import bind_inputs, is_connected, read_run_config

steady = settings(deadline=None, derandomize=True, max_examples=100)

A, B = OutputRef("a"), OutputRef("b")
GRAPH = Graph.of(
    "j",
    [
        Op("a", (Input("n", type="int"),)),
        Op("b"),
        Op("c", (Input("x", (A,)), Input("y", literal="[1]"), Input("z", default="3", has_default=True))),
        Op("d", (Input("all", (A, B), fan_in=True), Input("own", has_default=True))),
        Op("e", (Input("start", (A, B), fan_in=True, ordering=True), Input("late", ordering=True))),
        Op("f", (Input("x", (A,), default="null", has_default=True),)),
        Op("src.g", (Input("p", type="str"), Input("q", type="dict"))),
        Op("src.in.h", (Input("r"),)),
    ],
)
FULL = {
    "ops": {
        "a": {"inputs": {"n": 1}},
        "src": {"ops": {"g": {"inputs": {"p": "x", "q": {}}}, "in": {"ops": {"h": {"inputs": {"r": None}}}}}},
    }
}


def bind(selected: str, config: Any = None) -> dict[str, dict[str, str]]:
    return bind_inputs(GRAPH, selected.split() if selected else GRAPH.order, config or {})


def refusal(selected: str, config: Any = None) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        bind(selected, config)
    return caught.value.reason, caught.value.message


def ops(**inputs: Any) -> dict[str, Any]:
    return {"ops": {op: {"inputs": values} for op, values in inputs.items()}}


def test_all_ops() -> None:
    assert bind("", FULL) == {
        "a": {"n": "1"},
        "c": {"y": "[1]", "z": "3"},
        "src.g": {"p": '"x"', "q": "{}"},
        "src.in.h": {"r": "null"},
    }


def test_run_config_goes_before_a_default_only() -> None:
    assert bind("c b a", ops(a={"n": 1}, c={"z": [2]}))["c"] == {"y": "[1]", "z": "[2]"}
    assert bind("d b a", ops(a={"n": 1}, d={"own": 2}))["d"] == {"own": "2"}
    assert "d" not in bind("d b a", ops(a={"n": 1}))


def test_inputs_whose_ops_are_not_selected() -> None:
    assert bind("c", ops(c={"x": 5})) == {"c": {"x": "5", "y": "[1]", "z": "3"}}
    assert bind("d", ops(d={"all": [1, 2]})) == {"d": {"all": "[1,2]"}}
    assert bind("f") == {"f": {"x": "null"}}
    assert bind("f", ops(f={"x": 1})) == {"f": {"x": "1"}}
    assert bind("e") == {}
    assert refusal("c")[0] == refusal("d")[0] == "MissingInput"


def test_inputs_whose_ops_are_selected() -> None:
    assert bind("b f a", ops(a={"n": 1})) == {"a": {"n": "1"}}


@pytest.mark.parametrize(
    ("wrapped", "text"),
    [
        ({"value": 1}, "1"),
        ({"value": None}, "null"),
        ({"value": {"value": 2}}, '{"value":2}'),
        ({"value": 1, "x": 2}, '{"value":1,"x":2}'),
        ({"Value": 1}, '{"Value":1}'),
        ({}, "{}"),
        ("\u00fc", '"\u00fc"'),
    ],
)
def test_both_forms_of_a_value(wrapped: Any, text: str) -> None:
    assert bind("a", ops(a={"n": wrapped})) == {"a": {"n": text}}


def test_ops_that_are_not_selected_may_be_set() -> None:
    assert bind("b", FULL) == {}
    assert bind("b", ops(c={"x": 1, "nonsense": 2})) == {}


@pytest.mark.parametrize("config", [{}, {"ops": None}, {"ops": {}}, {"ops": {"b": None}}, {"ops": {"b": {}}}])
def test_nothing_set(config: Any) -> None:
    assert bind("b", config) == {}
    assert bind("b", {"ops": {"b": {"inputs": None}, "src": None}}) == {}


def test_a_path_may_be_written_with_dots() -> None:
    assert read_run_config(GRAPH, ops(**{"src.in.h": {"r": 1}})) == {"src.in.h": {"r": "1"}}
    assert read_run_config(GRAPH, {"ops": {"src.in": ops(h={"r": 1})}}) == {"src.in.h": {"r": "1"}}


@pytest.mark.parametrize(
    ("config", "reason", "message"),
    [
        ([], "InvalidRunConfig", "runConfig must be a mapping, not []"),
        ({"op": {}}, "InvalidRunConfig", "runConfig has the unknown key 'op'; allowed: ops"),
        ({"ops": [1]}, "InvalidRunConfig", "runConfig.ops must be a mapping, not [1]"),
        ({"ops": {"a": 3}}, "InvalidRunConfig", "runConfig.ops.a must be a mapping, not 3"),
        ({"ops": {"a": {"x": 1}}}, "InvalidRunConfig", "runConfig.ops.a has the unknown key 'x'; allowed: inputs"),
        ({"ops": {"src": {"inputs": {}}}}, "InvalidRunConfig", "runConfig.ops.src has the unknown key 'inputs'"),
        (ops(a="n"), "InvalidRunConfig", 'runConfig.ops.a.inputs must be a mapping, not "n"'),
        ({"ops": {"aa": {}}}, "UnknownOp", "runConfig.ops.aa: the job has no op 'aa'; "),
        (
            {"ops": {"src": {"ops": {"gg": {}}}}},
            "UnknownOp",
            "runConfig.ops.src.ops.gg: the job has no op 'src.gg'; did you mean 'src.g'?",
        ),
        (ops(a={"m": 1}), "InvalidRunConfig", "runConfig sets input 'm' of op 'a', which it has not; there are: n"),
        (
            ops(a={"n": 1}, c={"x": 1}),
            "InvalidRunConfig",
            "runConfig sets input 'x' of op 'c', which gets its value from op 'a'; remove it",
        ),
        (
            ops(a={"n": 1}, c={"y": 1}),
            "InvalidRunConfig",
            "runConfig sets input 'y' of op 'c', which the job sets itself; remove it",
        ),
        (
            ops(a={"n": 1}, e={"late": 1}),
            "InvalidRunConfig",
            "runConfig sets input 'late' of op 'e', which only waits and takes no value",
        ),
        (
            {"ops": {"src": ops(g={"p": 1}), "src.g": {}}},
            "InvalidRunConfig",
            "op 'src.g' is set twice",
        ),
        (
            ops(a={"n": [datetime.date(2026, 1, 1)]}),
            "InvalidRunConfig",
            "runConfig.ops.a.inputs.n must be a JSON value, not a date at [0]",
        ),
        (ops(a={"n": float("nan")}), "InvalidRunConfig", "runConfig.ops.a.inputs.n must be a JSON value"),
        (ops(a={"n": "\ud800"}), "InvalidRunConfig", "runConfig.ops.a.inputs.n must be a JSON value"),
        ({"ops": {1: {}}}, "InvalidRunConfig", "runConfig.ops has the key 1, which is no text"),
        ({"ops": datetime.date(2026, 1, 1)}, "InvalidRunConfig", 'runConfig.ops must be a mapping, not "2026-01-01"'),
    ],
)
def test_what_run_config_may_not_say(config: Any, reason: str, message: str) -> None:
    found = refusal("a b c d e f", config) if config else refusal_of(config)
    assert found[0] == reason
    assert message in found[1]


def refusal_of(config: Any) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        read_run_config(GRAPH, config)
    return caught.value.reason, caught.value.message


def test_a_part_of_a_list() -> None:
    assert refusal("a d", ops(a={"n": 1})) == (
        "PartialFanIn",
        "input 'all' of op 'd' takes a list from several ops, of which b are not selected; select all of them or none",
    )
    assert refusal("b d", ops(d={"all": []}))[0] == "PartialFanIn"


def test_a_part_of_what_is_only_waited_for() -> None:
    assert bind("b e") == {}


def test_missing_inputs() -> None:
    assert refusal("a") == (
        "MissingInput",
        "input 'n' of op 'a' has no value: no selected op gives one; for example set runConfig: "
        '{"ops": {"a": {"inputs": {"n": 0}}}}',
    )
    assert refusal("src.g src.in.h", {"ops": {"src": ops(g={"p": 1})}}) == (
        "MissingInput",
        "inputs 'q' of op 'src.g', 'r' of op 'src.in.h' have no value: no selected op gives one; for example set "
        'runConfig: {"ops": {"src": {"ops": {"g": {"inputs": {"q": {}}}, '
        '"in": {"ops": {"h": {"inputs": {"r": "..."}}}}}}}}',
    )


def test_a_list_that_is_missing_is_shown_as_one() -> None:
    assert refusal("d")[1].endswith('runConfig: {"ops": {"d": {"inputs": {"all": []}}}}')


def test_connected() -> None:
    item = GRAPH.ops["d"].inputs[0]
    assert is_connected(item, {"a": 0, "b": 0, "d": 0})
    assert not is_connected(item, {"a": 0, "d": 0})
    assert not is_connected(Input("x"), {})


def merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    both = dict(one)
    for key, value in two.items():
        both[key] = merged(both[key], value) if isinstance(both.get(key), dict) and isinstance(value, dict) else value
    return both


paths = st.lists(st.sampled_from(["x", "y1", "z-z"]), max_size=3).map(lambda parts: "".join(f"{p}." for p in parts))
kinds = st.sampled_from(["Any", "int", "float", "str", "bool", "list", "dict", "list[int]", "Row"])


@steady
@given(st.lists(st.tuples(paths, st.lists(kinds, max_size=3), st.booleans()), min_size=1, max_size=8), st.data())
def test_the_example_is_valid_itself(drawn: list[tuple[str, list[str], bool]], data: st.DataObject) -> None:
    """Feeding the example back, again and again, ends with every input bound."""
    made = [
        Op(
            f"{path}o{at}",
            tuple(
                Input(f"i{n}", (OutputRef("first"),) if wired else (), fan_in=wired, type=kind)
                for n, kind in enumerate(inputs)
            ),
        )
        for at, (path, inputs, wired) in enumerate(drawn)
    ]
    graph = Graph.of("j", [Op("first"), *made])
    selected = data.draw(st.lists(st.sampled_from([op.name for op in made]), unique=True))
    config: dict[str, Any] = {}
    for _ in range(10):
        try:
            values = bind_inputs(graph, selected, config)
            break
        except DefinitionError as error:
            if error.reason != "MissingInput":
                raise
            example = json.loads(error.message.partition("runConfig: ")[2])
            assert read_run_config(graph, example)
            config = merged(config, example)
    assert {name: set(given) for name, given in values.items()} == {
        name: {i.name for i in graph.ops[name].inputs} for name in selected if graph.ops[name].inputs
    }
