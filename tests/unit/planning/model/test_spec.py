"""A Job's spec becomes a graph and what each op runs, or says where the Python code is."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Input, Output, OutputRef
from podgraph.planning.model.spec import CodeSpec, ContainerSpec, graph_of_ops, read_spec


def refusal(what: Any) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        read_spec(what, "d") if isinstance(what, dict) else graph_of_ops("j", what)
    return caught.value.reason, caught.value.message


def op(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", **fields}


def test_a_spec_of_ops() -> None:
    spec = read_spec({"ops": [op()], "opSelection": ["*a"], "runConfig": {"ops": {}}}, "default")
    assert spec.ops == (op(),)
    assert spec.code is None
    assert (spec.selection, spec.run_config) == (("*a",), {"ops": {}})
    plain = read_spec({"ops": []}, "default")
    assert (plain.ops, plain.selection, plain.run_config) == ((), (), {})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ({"source": "x = 1"}, CodeSpec("default", source="x = 1")),
        ({"source": "x", "image": "own", "job": "j"}, CodeSpec("own", source="x", job="j")),
        ({"configMapRef": {"name": "m", "key": "k"}}, CodeSpec("default", config_map=("m", "k"))),
        ({"module": "jobs.main"}, CodeSpec("default", module="jobs.main")),
    ],
)
def test_a_spec_of_code(code: dict[str, Any], expected: CodeSpec) -> None:
    spec = read_spec({"code": code}, "default")
    assert spec.ops is None
    assert spec.code == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "exactly one of spec.ops and spec.code must be set"),
        ({"ops": [], "code": {"source": "x"}}, "exactly one of spec.ops and spec.code must be set"),
        ({"code": {}}, "exactly one of source, configMapRef and module must be set in spec.code"),
        ({"code": {"source": "x", "module": "y"}}, "exactly one of source, configMapRef and module"),
        ({"code": {"module": "y", "configMapRef": {"name": "m", "key": "k"}}}, "exactly one of source"),
    ],
)
def test_specs_that_say_too_much_or_too_little(spec: dict[str, Any], message: str) -> None:
    reason, found = refusal(spec)
    assert reason == "InvalidSpec"
    assert found.startswith(message)


def test_ops() -> None:
    inputs = [
        {"name": "one", "from": {"op": "a"}, "default": None},
        {"name": "two", "from": {"op": "a", "output": "rest"}},
        {"name": "all", "fromList": [{"op": "a"}, {"op": "a", "output": "rest"}]},
        {"name": "val", "value": {"x": [1, None]}},
        {"name": "nul", "value": None},
        {"name": "free"},
        {"name": "dflt", "default": "\u00fc"},
    ]
    graph, containers = graph_of_ops(
        "j",
        (
            op("a", outputs=[{"name": "result"}, {"name": "rest", "optional": True}], command=["x"], args=["y", "z"]),
            op("g.b", inputs=inputs, after=["c"], script="echo", env=[{"name": "K", "value": "v"}]),
            op("c"),
        ),
    )
    a, b = OutputRef("a"), OutputRef("a", "rest")
    assert graph.ops["a"].outputs == (Output("result"), Output("rest", required=False))
    assert graph.ops["c"].outputs == ()
    assert graph.ops["g.b"].after == ("c",)
    assert graph.ops["g.b"].inputs == (
        Input("one", (a,), default="null", has_default=True),
        Input("two", (b,)),
        Input("all", (a, b), fan_in=True),
        Input("val", literal='{"x":[1,null]}'),
        Input("nul", literal="null"),
        Input("free"),
        Input("dflt", default='"\u00fc"', has_default=True),
    )
    assert containers == {
        "a": ContainerSpec("i", command=("x",), args=("y", "z")),
        "g.b": ContainerSpec("i", script="echo", env=(("K", "v"),)),
        "c": ContainerSpec("i"),
    }


def test_a_list_of_one() -> None:
    graph, _ = graph_of_ops(
        "j", (op(outputs=[{"name": "result"}]), op("b", inputs=[{"name": "x", "fromList": [{"op": "a"}]}]))
    )
    assert graph.ops["b"].inputs[0].fan_in


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        (
            {"inputs": [{"name": "x", "value": 1, "from": {"op": "a"}}]},
            "InvalidInput",
            "input 'x' of op 'a' sets value and from; at most one of them is allowed",
        ),
        (
            {"inputs": [{"name": "x", "value": 1, "from": {"op": "a"}, "fromList": []}]},
            "InvalidInput",
            "input 'x' of op 'a' sets value and from and fromList; at most one of them is allowed",
        ),
        (
            {"inputs": [{"name": "x", "value": 1, "default": 2}]},
            "InvalidInput",
            "input 'x' of op 'a' sets value and default; a value needs no default",
        ),
        (
            {"inputs": [{"name": "x", "value": {1}}]},
            "InvalidInput",
            "the value of input 'x' of op 'a' must be a JSON value, not a set",
        ),
        (
            {"inputs": [{"name": "x", "default": ["\ud800"]}]},
            "InvalidInput",
            "the default of input 'x' of op 'a' must be a JSON value, not a string with half a surrogate pair, "
            "which is not valid Unicode at [0]",
        ),
        (
            {"script": "x", "command": ["y"]},
            "InvalidOp",
            "op 'a' sets script and command; only one of them is allowed",
        ),
        (
            {"script": "#!/bin/sh\r\necho hi\r\n"},
            "InvalidOp",
            "the script of op 'a' has CR LF line ends, so no image has its interpreter '/bin/sh\\r'; save it with LF "
            "line ends",
        ),
        (
            {"inputs": [{"name": "rows"}, {"name": "Rows"}]},
            "InvalidName",
            "inputs 'rows' and 'Rows' of op 'a' would both be INPUT_ROWS",
        ),
        ({"after": ["b"]}, "UnknownOp", "op 'a' runs after op 'b', which does not exist; there are: a"),
        ({"after": ["a"]}, "Cycle", "the ops wait for each other in a cycle: a -> a"),
        ({"name": "2"}, "InvalidName", None),
        ({"inputs": [{"name": "x-y"}]}, "InvalidName", None),
        ({"outputs": [{"name": "x"}, {"name": "x"}]}, "InvalidName", None),
    ],
)
def test_ops_that_cannot_run(fields: dict[str, Any], reason: str, message: str | None) -> None:
    found = refusal((op(**fields),))
    assert found[0] == reason
    assert message in (None, found[1])


def test_no_ops() -> None:
    assert refusal(())[0] == "NoOps"
