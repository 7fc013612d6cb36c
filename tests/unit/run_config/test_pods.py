"""What run config says of the pods of single ops: which resources, and in which words it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.graph import Graph, Op
from podgraph.run_config.binding import RunConfigError, bind
from podgraph.run_config.schema import run_config_schema
from podgraph.run_config.validate import example

GRAPH = Graph.of("j", [Op("a"), Op("g.b"), Op("c")])


def said(resources: Any, op: str = "a", **more: Any) -> dict[str, Any]:
    return {"ops": {op: {"pod": {"resources": resources, **more}}}}


def refusals(config: Any) -> list[str]:
    with pytest.raises(RunConfigError) as caught:
        bind(GRAPH, GRAPH.ops, config)
    return [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(
    "quantity", ["1", "500m", "0.5", ".5", "2.", "1.5Gi", "128974848", "129e6", "1E3", "1k", 2, 0.5]
)
def test_quantities(quantity: Any) -> None:
    resources = {"requests": {"cpu": quantity, "memory": quantity}, "limits": {"memory": quantity}}
    assert bind(GRAPH, GRAPH.ops, said(resources)).pods == {"a": {"resources": resources}}


@pytest.mark.parametrize("quantity", ["", "x", "-1", "1 Gi", "1GB", "1gi", "1,5", "0x1", "1e"])
def test_what_is_no_quantity(quantity: str) -> None:
    [message] = refusals(said({"requests": {"memory": quantity}}))
    where = "ops.a.pod.resources.requests.memory"
    assert message == f"{where} must be a Kubernetes quantity such as 500m, 2 or 1.5Gi, not {quantity!r} (str)"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (said({"requests": {"cpu": -1}}), "ops.a.pod.resources.requests.cpu must be at least 0, not -1"),
        (
            said({"limits": {"disk": 1}}),
            "ops.a.pod.resources.limits.disk is unknown; there are: cpu, memory",
        ),
        (said({}, image="x"), "ops.a.pod.image is unknown; there are: resources"),
        (said({"request": {}}), "ops.a.pod.resources.request is unknown; did you mean 'requests'?"),
        (said({}, "g"), "ops.g.pod is unknown; there are: ops"),
    ],
)
def test_what_else_is_refused(config: Any, message: str) -> None:
    assert refusals(config) == [message]


def test_ops_of_a_graph_are_named_by_their_path_in_either_way() -> None:
    pod = {"resources": {"limits": {"cpu": 1}}}
    assert bind(GRAPH, GRAPH.ops, {"ops": {"g": {"ops": {"b": {"pod": pod}}}}}).pods == {"g.b": pod}
    assert bind(GRAPH, GRAPH.ops, {"ops": {"g.b": {"pod": pod}}}).pods == {"g.b": pod}


def test_what_says_nothing_is_nothing_and_ops_that_are_not_selected_are_not_looked_at() -> None:
    assert bind(GRAPH, GRAPH.ops, {"ops": {"a": {"pod": None}, "c": {"pod": {}}}}).pods == {}
    assert bind(GRAPH, ["c"], said({"requests": {"cpu": "x"}})).pods == {}


def test_the_schema_offers_it_for_each_selected_op_and_the_scaffold_leaves_it_out() -> None:
    schema = run_config_schema(GRAPH, ["a", "g.b"])
    ops = schema["properties"]["ops"]["properties"]
    assert ops["a"]["properties"] == ops["g"]["properties"]["ops"]["properties"]["b"]["properties"]
    assert ops["c"] == {}
    assert "$defs" not in run_config_schema(GRAPH, sections=("resources",))
    assert example(schema, everything=True)["ops"]["a"] == {"pod": {}}
