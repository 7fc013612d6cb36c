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
from podgraph.flow import is_connected
from podgraph.run_config.binding import Bound, RunConfigError, merge
from podgraph.run_config.binding import bind as bind_whole

steady = settings(deadline=None, derandomize=True, max_examples=100)

A, B = OutputRef("a"), OutputRef("b")
GRAPH = Graph.of(
    "j",
    [
        Op("a", (Input("n", type="int", schema='{"type":"integer"}'),)),
        Op("b"),
        Op("c", (Input("x", (A,)), Input("y", literal="[1]"), Input("z", default="3", has_default=True))),
        Op("d", (Input("all", (A, B), fan_in=True), Input("own", has_default=True))),
        Op("e", (Input("start", (A, B), fan_in=True, ordering=True), Input("late", ordering=True))),
        Op("f", (Input("x", (A,), default="null", has_default=True),)),
        Op("src.g", (Input("p", type="str"), Input("q", type="dict", schema='{"type":"object"}'))),
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
    return whole(selected, config).inputs


def whole(selected: str, config: Any = None) -> Bound:
    return bind_whole(GRAPH, selected.split() if selected else GRAPH.order, {} if config is None else config)


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
    assert refusal("c")[0] == refusal("d")[0] == "InvalidRunConfig"


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
    assert bind("f", ops(f={"x": wrapped})) == {"f": {"x": text}}


def test_ops_that_are_not_selected_may_be_set() -> None:
    assert bind("b", FULL) == {}
    assert bind("b", ops(c={"x": 1, "nonsense": 2})) == {}


@pytest.mark.parametrize("config", [{}, {"ops": None}, {"ops": {}}, {"ops": {"b": None}}, {"ops": {"b": {}}}])
def test_nothing_set(config: Any) -> None:
    assert bind("b", config) == {}
    assert bind("b", {"ops": {"b": {"inputs": None}, "src": None}}) == {}


def test_a_path_may_be_written_with_dots() -> None:
    assert bind("src.in.h", ops(**{"src.in.h": {"r": 1}})) == {"src.in.h": {"r": "1"}}
    assert bind("src.in.h", {"ops": {"src.in": ops(h={"r": 1})}}) == {"src.in.h": {"r": "1"}}


@pytest.mark.parametrize(
    ("config", "messages"),
    [
        ([], ["must be object, not []"]),
        ({"op": {}}, ["op is unknown; did you mean 'ops'?"]),
        ({"ops": [1]}, ["ops must be object, not [1]"]),
        ({"ops": {"a": 3}}, ["ops.a must be object, not 3"]),
        ({"ops": {"a": {"x": 1}}}, ["ops.a.x is unknown; there are: inputs, pod"]),
        ({"ops": {"src": {"inputs": {}}}}, ["ops.src.inputs is unknown; there are: ops"]),
        (ops(a="n"), ["ops.a.inputs must be object, not 'n'"]),
        ({"ops": {"aa": {}}}, ["ops.aa is unknown; "]),
        ({"ops": {"src": {"ops": {"gg": {}}}}}, ["ops.src.ops.gg is unknown; did you mean 'g'?"]),
        (ops(a={"m": 1}), ["ops.a.inputs.m is unknown; there are: n"]),
        (ops(a={"n": 1}, c={"x": 1}), ["ops.c.inputs.x gets its value from op 'a'; remove it"]),
        (ops(a={"n": 1}, c={"y": 1}), ["ops.c.inputs.y is set by the job itself; remove it"]),
        (ops(a={"n": 1}, e={"late": 1}), ["ops.e.inputs.late only waits and does not take a value; remove it"]),
        ({"ops": {"src": ops(g={"p": 1}), "src.g": {"inputs": {}}}}, ["ops.src.g is set twice"]),
        (ops(a={"n": "x"}), ["ops.a.inputs.n must be integer, not 'x' (str)"]),
        (ops(a={"n": 1}, f={"x": [datetime.date(2026, 1, 1)]}), ["ops.f.inputs.x must be a JSON value, not a date"]),
        (ops(a={"n": 1}, f={"x": float("nan")}), ["ops.f.inputs.x must be a JSON value"]),
        (ops(a={"n": 1}, f={"x": "\ud800"}), ["ops.f.inputs.x must be a JSON value"]),
        ({"ops": {1: {}}}, ["ops has the key 1, which is not a string"]),
        (
            {"ops": {"a": {}, "x": {}, "c": {"inputs": {"x": 1, "y": 2}}}},
            ["c.inputs.x", "c.inputs.y", "ops.a.inputs.n"],
        ),
    ],
)
def test_what_run_config_may_not_say(config: Any, messages: list[str]) -> None:
    selected = "f" if "f" in str(config) and "'f'" in str(config) else "a b c d e src.g src.in.h"
    with pytest.raises(RunConfigError) as caught:
        bind(selected, config)
    assert caught.value.reason == "InvalidRunConfig"
    for message in messages:
        assert message in caught.value.message


def test_all_problems_at_once() -> None:
    with pytest.raises(RunConfigError) as caught:
        bind("a c", {"ops": {"x": 1, "a": {"inputs": {"m": 1}}, "c": {"inputs": {"x": 2}}}})
    assert [problem.path for problem in caught.value.problems] == [
        "ops.c.inputs.x",
        "ops.x",
        "ops.a.inputs.n",
        "ops.a.inputs.m",
    ]
    assert caught.value.message.startswith("run config has 4 problems: 1) ops.c.inputs.x gets its value from op 'a'")
    assert caught.value.message.endswith('; for example: {"ops": {"a": {"inputs": {"n": 0}}}}')


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
        "InvalidRunConfig",
        'run config: ops.a.inputs.n is missing; for example: {"ops": {"a": {"inputs": {"n": 0}}}}',
    )
    assert refusal("src.g src.in.h", {"ops": {"src": ops(g={"p": 1})}}) == (
        "InvalidRunConfig",
        "run config has 2 problems: 1) ops.src.ops.in.ops.h.inputs.r is missing; 2) ops.src.ops.g.inputs.q is missing; "
        'for example: {"ops": {"src": {"ops": {"in": {"ops": {"h": {"inputs": {"r": "..."}}}}, "g": {"inputs": '
        '{"q": {}}}}}}}',
    )


def test_a_list_that_is_missing_is_shown_as_one() -> None:
    assert refusal("d")[1].endswith('for example: {"ops": {"d": {"inputs": {"all": []}}}}')


def test_thousands_of_problems_make_no_endless_message() -> None:
    graph = Graph.of("j", [Op(f"o{at}", (Input("x"),)) for at in range(3_000)])
    with pytest.raises(RunConfigError) as caught:
        bind_whole(graph, graph.order)
    assert len(caught.value.problems) == 3_000
    assert len(caught.value.message) < 5_000
    assert "; and 2950 more; for example: " in caught.value.message


def test_a_job_input_that_is_given_goes_before_its_default() -> None:
    graph = Graph.of("j", [Op("a", (Input("x", job_input="n"),))], run_config='{"inputs":{"n":1}}')
    assert bind_whole(graph, ["a"]).inputs == {"a": {"x": "1"}}
    assert bind_whole(graph, ["a"], given=["n"]).inputs == {}


def test_a_config_that_is_left_empty() -> None:
    graph = Graph.of("j", [Op("a", config='{"type":"object","properties":{"n":{"type":"integer"}}}')])
    assert bind_whole(graph, ["a"], {"ops": {"a": {"config": None}}}).configs == {"a": None}


def test_what_goes_above_what() -> None:
    below = {
        "ops": {"a": {"config": {"x": 1, "y": 1}}},
        "execution": {"config": {"multiprocess": {"max_concurrent": 2}}},
    }
    assert merge(below, {"ops": {"a": {"config": {"y": 2}}}})["ops"] == {"a": {"config": {"x": 1, "y": 2}}}
    assert merge(below, {"execution": {"config": {"in_process": None}}})["execution"] == {
        "config": {"in_process": None}
    }
    assert merge(below, {"execution": {"config": {"multiprocess": {"start_method": {"spawn": {}}}}}})["execution"] == {
        "config": {"multiprocess": {"max_concurrent": 2, "start_method": {"spawn": {}}}}
    }


def test_connected() -> None:
    item = GRAPH.ops["d"].inputs[0]
    assert is_connected(item, {"a": 0, "b": 0, "d": 0})
    assert not is_connected(item, {"a": 0, "d": 0})
    assert not is_connected(Input("x"), {})


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
            values = bind_whole(graph, selected, config).inputs
            break
        except RunConfigError as error:
            if not all(problem.missing for problem in error.problems):
                raise
            config = merge(config, json.loads(error.message.partition("for example: ")[2]))
    assert {name: set(given) for name, given in values.items()} == {
        name: {i.name for i in graph.ops[name].inputs} for name in selected if graph.ops[name].inputs
    }
