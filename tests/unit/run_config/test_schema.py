"""The JSON Schema of run config: nested graphs, selections, job inputs, resources, and definitions brought along."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.config_read import read_config
from podgraph.definition.config_schema import schema_of
from podgraph.definition.config_types import Field
from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.run_config.execution import EXECUTION_SCHEMA
from podgraph.run_config.pods import POD_SCHEMA
from podgraph.run_config.schema import needed_resources, op_path, run_config_schema, takes_config
from podgraph.run_config.validate import example, problems

steady = settings(deadline=None, derandomize=True, max_examples=100)

POD = {"$ref": "#/$defs/pod"}
INT: dict[str, Any] = {"type": "integer"}
A, B = OutputRef("a"), OutputRef("b")


class Inner(pydantic.BaseModel):
    n: int


class Model(pydantic.BaseModel):
    inner: Inner
    other: Optional[Model] = None  # noqa: UP045 - for Python 3.9


@dataclasses.dataclass
class Node:
    name: str = "x"
    children: list[Node] = dataclasses.field(default_factory=list)


def text(hint: Any) -> str:
    return json.dumps(schema_of(hint))


def mapping(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    made = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def schema(*ops: Op, selected: Any = None, **options: Any) -> dict[str, Any]:
    """Return the schema without what it says of each op's pod, which is a test of its own."""
    resources = options.pop("resources", None)
    return without_pods(run_config_schema(Graph.of("j", ops, resources), selected, bare=True, **options))


def without_pods(made: Any) -> Any:
    if not isinstance(made, dict):
        return made
    kept = {key: without_pods(value) for key, value in made.items() if value not in (POD, POD_SCHEMA)}
    return {key: value for key, value in kept.items() if (key, value) != ("$defs", {})}


def sections(*ops: Op, **options: Any) -> dict[str, Any]:
    properties: dict[str, Any] = schema(*ops, **options)["properties"]
    return properties


def refusals(whole: dict[str, Any], config: Any) -> list[str]:
    return [problem.message for problem in problems(whole, config, "")]


def test_the_whole() -> None:
    assert schema(Op("a")) == {
        **mapping({"ops": mapping({"a": mapping({})}), "execution": EXECUTION_SCHEMA}),
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Run config of j",
    }
    assert list(sections(Op("a"), sections=("ops",))) == ["ops"]
    assert sections(Op("a"), sections=("inputs", "resources")) == {}


def test_an_op() -> None:
    op = Op(
        "a",
        (
            Input("n", schema=json.dumps(INT)),
            Input("any"),
            Input("late", ordering=True),
            Input("fixed", literal="1"),
            Input("own", has_default=True),
            Input("told", default="3", has_default=True, schema=json.dumps(INT)),
        ),
        description="It adds.",
        config=text({"m": int}),
    )
    inputs = mapping({"n": INT, "any": {}, "own": {}, "told": {**INT, "default": 3}}, "n", "any")
    config = mapping({"m": INT}, "m")
    assert sections(op)["ops"] == mapping(
        {"a": {**mapping({"inputs": inputs, "config": config}, "inputs", "config"), "description": "It adds."}}, "a"
    )


def test_both_forms_of_a_value() -> None:
    op = Op("a", (Input("n", schema=json.dumps(INT)), Input("any")))
    whole = run_config_schema(Graph.of("j", [op]))
    for config in ({"n": 1, "any": 2}, {"n": {"value": 1}, "any": {"value": 2}}):
        assert refusals(whole, {"ops": {"a": {"inputs": config}}}) == []
    assert refusals(whole, {"ops": {"a": {"inputs": {"n": {"value": "x"}, "any": 1}}}}) == [
        "ops.a.inputs.n.value must be integer, not 'x' (str)"
    ]


def test_nested_graphs() -> None:
    whole = schema(
        Op("a"),
        Op("g.b", (Input("x"),)),
        Op("g.c"),
        Op("g.in.d", (Input("y"),)),
        Op("h.e"),
    )
    assert whole["required"] == ["ops"]
    x, y = (mapping({"inputs": mapping({name: {}}, name)}, "inputs") for name in "xy")
    assert whole["properties"]["ops"] == mapping(
        {
            "a": mapping({}),
            "g": mapping(
                {
                    "ops": mapping(
                        {"b": x, "c": mapping({}), "in": mapping({"ops": mapping({"d": y}, "d")}, "ops")}, "b", "in"
                    )
                },
                "ops",
            ),
            "h": mapping({"ops": mapping({"e": mapping({})})}),
        },
        "g",
    )
    assert refusals(whole, {}) == [
        "ops.g.ops.b.inputs.x is missing",
        "ops.g.ops.in.ops.d.inputs.y is missing",
    ]
    assert refusals(whole, {"ops": {"g": {"op": {}}, "i": {}}}) == [
        "ops.g.ops.b.inputs.x is missing",
        "ops.g.ops.in.ops.d.inputs.y is missing",
        "ops.g.op is unknown; did you mean 'ops'?",
        "ops.i is unknown; there are: a, g, h",
    ]


def test_ops_that_are_not_selected_are_not_looked_at() -> None:
    ops = (Op("a", (Input("x"),)), Op("b", (Input("x", (A,)),), config=text(int)), Op("g.c", (Input("y"),)))
    whole = schema(*ops, selected=["b"])
    item = {"description": "op 'a', which produces it, is not selected"}
    b = mapping({"inputs": mapping({"x": item}, "x"), "config": INT}, "inputs", "config")
    assert whole["properties"]["ops"] == mapping({"a": {}, "b": b, "g": mapping({"ops": mapping({"c": {}})})}, "b")
    assert refusals(whole, {"ops": {"a": 3, "b": {"inputs": {"x": 1}, "config": 1}, "g": {"ops": {"c": [1]}}}}) == []
    assert sections(*ops, selected=["a", "b"])["ops"]["properties"]["b"]["properties"] == {"config": INT}


def test_a_fan_in_whose_ops_are_not_selected() -> None:
    ops = (Op("a"), Op("b"), Op("c", (Input("all", (A, B), fan_in=True),)))
    inputs = sections(*ops, selected=["c"])["ops"]["properties"]["c"]["properties"]["inputs"]
    assert inputs["properties"]["all"]["type"] == "array"
    typed = Op("c", (Input("all", (A, B), fan_in=True, schema=text(list[int])),))
    inputs = sections(Op("a"), Op("b"), typed, selected=["c"])["ops"]["properties"]["c"]["properties"]["inputs"]
    assert inputs["properties"]["all"]["items"] == INT


Z = Input("z", job_input="q", default="1", has_default=True)
JOB = (
    Op("a", (Input("x", job_input="p"), Input("own", job_input="r", has_default=True))),
    Op("b", (Input("y", job_input="p", schema=json.dumps(INT)), Z)),
    Op("c", (Input("late", ordering=True, job_input="never"),)),
)


def test_job_inputs() -> None:
    assert sections(*JOB)["inputs"] == mapping({"p": INT, "r": {}, "q": {"default": 1}}, "p")
    assert sections(*JOB)["ops"] == mapping({"a": mapping({}), "b": mapping({}), "c": mapping({})})
    assert schema(*JOB)["required"] == ["inputs"]
    assert "inputs" not in sections(JOB[2])


def test_job_inputs_of_ops_that_are_not_selected_are_not_looked_at() -> None:
    assert sections(*JOB, selected=["a"])["inputs"] == mapping({"p": {}, "r": {}, "q": {}}, "p")
    assert sections(*JOB, selected=["c"])["inputs"] == mapping({"p": {}, "r": {}, "q": {}})
    assert refusals(schema(*JOB, selected=["c"]), {"inputs": {"p": "x", "s": 1}}) == [
        "inputs.s is unknown; there are: p, r, q"
    ]


def test_job_inputs_that_are_given() -> None:
    whole = schema(*JOB, given={"p": 1})
    assert refusals(whole, {}) == []
    assert refusals(whole, {"inputs": {"p": 1, "q": 2}}) == ["inputs.p must be left out"]


def test_resources() -> None:
    ops = (Op("a", resources=("db",)), Op("b", resources=("any", "plain", "easy")))
    resources = {"db": text({"url": str}), "any": text(Any), "plain": "", "easy": text(Node), "unused": text(int)}
    db = mapping({"config": mapping({"url": {"type": "string"}}, "url")}, "config")
    assert sections(*ops, resources=resources, selected=["a"])["resources"] == mapping(
        {"db": db, "any": {}, "plain": {}, "easy": {}, "unused": {}}, "db"
    )
    whole = schema(*ops, resources=resources)
    assert whole["properties"]["resources"]["required"] == ["db"]
    assert refusals(whole, {"resources": {"db": {"config": {"url": "x"}}, "any": {"config": 3}, "unused": 3}}) == []
    assert refusals(whole, {"resources": {"plain": {"config": 1}, "easy": {"config": {"name": 1}}, "dbs": {}}}) == [
        "resources.db.config.url is missing",
        "resources.plain.config is unknown; there are none",
        "resources.easy.config.name must be string, not 1 (int)",
        "resources.dbs is unknown; did you mean 'db'?",
    ]
    assert "resources" not in sections(Op("a"))


@pytest.mark.parametrize(
    ("hint", "needed"),
    [
        ({"n": int}, True),
        ({"n": Field(int, default_value=1)}, False),
        ({}, False),
        (int, True),
        (Field(int, default_value=1), False),
        (int | None, False),
        (Any, False),
        (Field(Any, description="whatever"), False),
        (list[int], True),
        (dict[str, int], False),
        (Node, False),
        (Inner, True),
        (Model, True),
    ],
    ids=repr,
)
def test_config_that_may_be_left_out(hint: Any, needed: bool) -> None:
    whole = schema(Op("a", config=text(hint)), Op("g.b", config=text(hint)))
    assert whole.get("required") == (["ops"] if needed else None)
    assert bool(refusals(whole, {})) == needed
    if not needed:
        read_config(hint, None)


def test_definitions_are_gathered_at_the_top() -> None:
    ops = (
        Op("a", config=text(Model)),
        Op("g.b", (Input("x", schema=text(list[Model])), Input("n", schema=text(Node))), config=text(Node)),
        Op("c", (Input("x", job_input="p", schema=text(list[Node])),), resources=("db",)),
    )
    whole = schema(*ops, resources={"db": text(Inner)})
    assert list(whole["$defs"]) == [
        "ops.a.Inner",
        "ops.a.Model",
        "ops.g.b.x.Model.Inner",
        "ops.g.b.x.Model.Model",
        "ops.g.b.x.Model",
        "ops.g.b.n.Node",
        "ops.g.b.Node",
        "inputs.p.Node",
    ]
    parts = json.dumps(whole).split('"#/$defs/')[1:]
    assert {part.partition('"')[0] for part in parts} <= set(whole["$defs"])
    assert json.dumps(whole).count('"$defs"') == 1
    model: Any = {"inner": {"n": 1}, "other": {"inner": {"n": "x"}}}
    config = {
        "ops": {"a": {"config": model}, "g": {"ops": {"b": {"inputs": {"x": [model], "n": {"name": 1}}}}}},
        "inputs": {"p": [{"children": [{"nam": 1}]}]},
        "resources": {"db": {"config": {"n": 1}}},
    }
    assert refusals(whole, config) == [
        "ops.a.config.other.inner.n must be integer, not 'x' (str)",
        "ops.g.ops.b.inputs.x[0].other.inner.n must be integer, not 'x' (str)",
        "ops.g.ops.b.inputs.n.name must be string, not 1 (int)",
        "inputs.p[0].children[0].nam is unknown; did you mean 'name'?",
    ]


def test_small_questions() -> None:
    assert [op_path(name) for name in ("a", "g.in.b")] == ["ops.a", "ops.g.ops.in.ops.b"]
    graph = Graph.of("j", [Op("a", resources=("y", "x")), Op("b", resources=("x", "z"))], dict.fromkeys("xyz", ""))
    assert needed_resources(graph, ["b", "a"]) == ["x", "z", "y"]
    assert takes_config(Input("x", (A,)), ["b"])
    assert not takes_config(Input("x", (A,)), ["a"])


names = st.sampled_from(["a", "b", "g.a", "g.b", "g.h.a", "k.a"])
hints = st.sampled_from(
    ["", text(int), text({"n": int}), text({"n": Field(int, default_value=1)}), text(Model), text(Node), text(Any)]
)
inputs = st.lists(
    st.builds(
        Input,
        st.just("x"),
        has_default=st.booleans(),
        schema=hints,
        job_input=st.sampled_from(["", "", "p", "q"]),
        ordering=st.booleans(),
    ),
    max_size=1,
).map(tuple)
drawn_ops = st.lists(
    st.builds(Op, names, inputs, config=hints, resources=st.lists(st.sampled_from(["r", "s"]), unique=True).map(tuple)),
    min_size=1,
    unique_by=lambda op: op.name,
)


@steady
@given(drawn_ops, st.tuples(hints, hints), st.data(), st.booleans(), st.booleans())
def test_the_example_of_any_job_is_right(
    ops: list[Op], resources: tuple[str, str], data: st.DataObject, bare: bool, everything: bool
) -> None:
    graph = Graph.of("j", ops, dict(zip("rs", resources, strict=True)))
    selected = data.draw(st.lists(st.sampled_from([op.name for op in ops]), unique=True))
    whole = run_config_schema(graph, selected, bare=bare)
    made = example(json.loads(json.dumps(whole)), everything=everything)
    assert refusals(whole, made) == []
    missing = problems(whole, {}, "")
    assert all(problem.missing for problem in missing)
    assert bool(missing) == bool(whole.get("required"))
