"""Run config against config schemas, both of users."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import podgraph.planning
from fuzz.bounds import bounded, corpus, fuzzed, json_values
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op
from podgraph.run_config.binding import bind, merge
from podgraph.run_config.schema import run_config_schema
from podgraph.run_config.validate import example

assert podgraph.planning  # which sets the engine of patterns

words = st.sampled_from(
    [
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "minimum",
        "multipleOf",
        "pattern",
        "patternProperties",
        "minItems",
        "minLength",
        "uniqueItems",
        "additionalProperties",
        "prefixItems",
        "const",
        "default",
        "maxProperties",
        "minProperties",
        "format",
    ]
)
leaves = st.sampled_from(
    [
        "object",
        "array",
        "string",
        "integer",
        "null",
        "#/$defs/x",
        "#",
        "(a+)+$",
        "(?=a)",
        "[",
        0,
        1,
        -1,
        10**6,
        1e308,
        True,
    ]
)
schemas: st.SearchStrategy[Any] = st.recursive(
    leaves | json_values,
    lambda inner: (
        st.dictionaries(words, inner, max_size=4)
        | st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from("abx"), inner, max_size=3)
    ),
    max_leaves=20,
)


def check(ops: dict[str, Any], config: Any) -> None:
    with bounded(DefinitionError, seconds=4):
        texts = {name: json.dumps(schema) if schema is not None else "" for name, schema in ops.items()}
        graph = Graph.of("j", [Op(name, config=text) for name, text in texts.items()])
        bind(graph, graph.order, config)


@fuzzed
@given(st.dictionaries(words, schemas, max_size=4), schemas, json_values)
def test_any_schema_and_config(schema: dict[str, Any], inner: Any, value: Any) -> None:
    check({"a": {**schema, "$defs": {"x": inner}}}, {"ops": {"a": {"config": value}}})
    with bounded():
        example({**schema, "$defs": {"x": inner}}, everything=True)


@fuzzed
@given(json_values, json_values)
def test_any_run_config(one: Any, two: Any) -> None:
    ops = [Op("a", (Input("n", schema='{"type":"integer"}'),)), Op("g.b", (Input("m"),))]
    graph = Graph.of("j", ops)
    for config in (one, merge(one, two), {"ops": one}, {"ops": {"a": two, "g.b": one}}, {"inputs": two}):
        with bounded(DefinitionError):
            bind(graph, graph.order, config)
    with bounded():
        assert run_config_schema(graph)["type"] == "object"


@pytest.mark.parametrize("text", corpus("run_config"), ids=lambda text: text[:20])
def test_the_corpus(text: str) -> None:
    found = json.loads(text)
    check(found["ops"], found["runConfig"])


@pytest.mark.parametrize("levels", [90, 400, 900, 5_000])
def test_depth(levels: int) -> None:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if levels % 2 else [value]
    check({"a": {"type": "object"}}, {"ops": {"a": {"config": value}}})
