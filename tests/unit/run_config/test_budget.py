"""No schema and no run config takes more than about a second, whatever they say."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Op
from podgraph.planning.model.patterns import linear
from podgraph.run_config import patterns
from podgraph.run_config.binding import bind

Obj = dict[str, Any]


def chain(step: Any, end: Any, levels: int = 40) -> Obj:
    """A schema whose levels each refer twice to the next: it has more branches than can be looked at."""
    defs: Obj = {f"a{at}": step({"$ref": f"#/$defs/a{at + 1}"}) for at in range(levels)}
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{levels}": end}}


def deep(levels: int) -> Obj:
    value: Obj = {}
    for _ in range(levels):
        value = {"a": value}
    return value


HOSTILE: dict[str, tuple[Obj, Any, str]] = {
    "pattern": ({"type": "string", "pattern": "(a+)+$"}, "a" * 40 + "!", "must match '(a+)+$'"),
    "repeats": ({"type": "string", "pattern": "(.*a){50}.*" * 10}, "a" * 100_000, ""),
    "patterns": (
        {"patternProperties": {f"(x+x+)+y{at}": {"type": "integer"} for at in range(3_000)}},
        {"x" * 50 + str(at): "" for at in range(5_000)},
        "takes too long to check",
    ),
    "loop": (chain(lambda ref: {"anyOf": [ref, ref]}, {"$ref": "#/$defs/a0"}), 1, "too"),
    "any of": (chain(lambda ref: {"anyOf": [ref, ref]}, {"type": "string"}), 1, "takes too long to check"),
    "missing": (
        chain(lambda ref: {"type": "object", "required": ["x", "y"], "properties": {"x": ref, "y": ref}}, {}),
        {},
        "is missing",
    ),
    "enum": (
        {"type": "array", "items": {"enum": [f"e{at}" for at in range(20_000)]}},
        ["x" * 100] * 50_000,
        "must be one of",
    ),
    "unique": ({"allOf": [{"uniqueItems": True}] * 2_000}, list(range(50_000)), "takes too long to check"),
    "list": ({"type": "array", "items": {"type": "integer"}}, ["x"] * 200_000, "must be integer"),
    "deep": ({}, deep(900), "nested deeper than 100 levels"),
    "reference": ({"$ref": "#" + "/x" * 100_000}, 1, ""),
    "numbers": ({"type": "integer", "minimum": 1e308, "multipleOf": 1e-300}, "x", "must be integer"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_and_value_take_a_bounded_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_engine", linear)
    schema, value, message = HOSTILE[name]
    graph = Graph.of("j", [Op("a", config=json.dumps(schema))])
    start, said = time.process_time(), ""
    try:
        bind(graph, graph.order, {"ops": {"a": {"config": value}}})
    except DefinitionError as error:
        said = error.message
    assert time.process_time() - start < 3  # without a budget: minutes, or for ever
    assert message in said
    assert bool(message) == bool(said)
    assert len(said) < 70_000


def test_a_deep_schema_is_refused() -> None:
    graph = Graph.of("j", [Op("a", config=json.dumps({"properties": deep(99)}))])
    with pytest.raises(DefinitionError, match=r"the schema of ops\.a is nested deeper than 100 levels"):
        bind(graph, graph.order, {})


def test_wrong_keys_cost_no_more_than_what_is_shown_of_them() -> None:
    graph = Graph.of("j", [Op(f"op{at}") for at in range(500)])
    wrong = {f"op{at}": {f"k{key}" + "x" * 96: 1 for key in range(200)} for at in range(500)}
    start = time.process_time()
    with pytest.raises(DefinitionError) as caught:
        bind(graph, graph.order, {"ops": wrong})
    assert time.process_time() - start < 0.5  # with a hint for each: 68 s
    assert len(caught.value.message) < 20_000
    assert " more" in caught.value.message


def test_a_large_run_config_that_is_right_is_taken() -> None:
    schema = json.dumps({"type": "object", "properties": {f"f{at}": {"type": "integer"} for at in range(10)}})
    graph = Graph.of("j", [Op(f"op{at}", config=schema) for at in range(5_000)])
    config = {f"op{at}": {"config": {f"f{key}": key for key in range(10)}} for at in range(5_000)}
    assert len(bind(graph, graph.order, {"ops": config}).configs) == 5_000
