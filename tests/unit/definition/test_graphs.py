"""`@graph`: ops under a name, in jobs and by itself. How its body is drawn is tested with compose."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph import (
    DefinitionError,
    GraphDefinition,
    GraphOut,
    JobDefinition,
    RetryPolicy,
    graph,
    in_process_executor,
    job,
    op,
    success_hook,
)
from podgraph.definition.graph import OutputRef


@op
def one() -> int:
    return 1


@op
def add(a: int, b: int = 2) -> int:
    return a + b


@graph
def three() -> Any:
    """Make three."""
    return add(one())


@graph(out={"low": GraphOut(), "high": GraphOut()})
def bounds(x: Any) -> Any:
    return add.alias("low")(x, -1), add.alias("high")(x, 1)


def test_the_ops_of_a_graph_are_named_inside_it() -> None:
    @job
    def my_job() -> None:
        add(three(), three.alias("again")())

    assert my_job.graph.order == ("three.one", "three.add", "again.one", "again.add", "add")
    assert my_job.outputs["three"]["result"].op == "three.add"
    assert [item.sources for item in my_job.graph.ops["add"].inputs] == [
        (OutputRef("three.add"),),
        (OutputRef("again.add"),),
    ]


def test_a_graph_in_a_graph() -> None:
    @graph
    def outer() -> Any:
        return add(three())

    made = job(name="j")(lambda: outer())
    assert made.graph.order == ("outer.three.one", "outer.three.add", "outer.add")
    assert set(made.outputs) == {"", "outer", "outer.three"}


def test_several_outputs_in_order_or_by_name() -> None:
    @job
    def my_job() -> None:
        low, high = bounds(one())
        add(low, high)
        again = bounds.alias("again")(one())
        add.alias("by_name")(again.high, again.low)

    upstream = my_job.graph.upstream
    assert upstream["add"] == ("bounds.low", "bounds.high")
    assert upstream["by_name"] == ("again.high", "again.low")


def test_an_output_that_the_body_does_not_return() -> None:
    lacking = graph(name="g", out={"a": GraphOut(), "b": GraphOut()})(lambda: one())
    with pytest.raises(DefinitionError) as caught:
        job(name="j")(lambda: lacking())
    assert caught.value.message == (
        "graph 'g' must return its outputs a, b, each an op's output: as a dict by name, or as a tuple"
    )


def test_one_output_of_another_name() -> None:
    made = graph(name="g", out={"total": GraphOut()})(lambda: one())
    assert set(job(name="j")(lambda: made()).outputs["g"]) == {"total"}
    assert set(graph(name="g", out=GraphOut())(lambda: one()).to_job().outputs[""]) == {"result"}


def test_a_job_of_a_graph_alone() -> None:
    hook = success_hook(name="h")(lambda context: None)
    made = three.to_job(
        name="nightly",
        config={"ops": {}},
        tags={"team": "data"},
        resource_defs={"db": 1},
        hooks={hook},
        executor_def=in_process_executor,
        op_retry_policy=RetryPolicy(2),
    )
    assert isinstance(made, JobDefinition)
    assert (made.name, made.description, made.tags, made.hooks) == (
        "nightly",
        "Make three.",
        {"team": "data"},
        (hook,),
    )
    assert made.graph.order == ("one", "add")
    assert made.graph.ops["add"].retry == RetryPolicy(2)
    assert made.graph.run_config == '{"ops":{},"execution":{"config":{"in_process":{}}}}'
    plain = three.to_job(description="")
    assert (plain.name, plain.description) == ("three", "")


def test_a_graph_runs_by_itself() -> None:
    assert three.execute_in_process().output_value() == 3
    result = bounds.execute_in_process(input_values={"x": 10})
    assert (result.output_value("low"), result.output_value("high")) == (9, 11)
    uses = op(name="uses", required_resource_keys={"db"})(lambda context: context.resources.db)
    made = graph(name="g")(lambda: uses())
    assert made.execute_in_process(resources={"db": 5}).output_value() == 5


def test_a_graphs_own_parameter_may_have_a_default() -> None:
    @graph
    def more(x: Any, by: int = 5) -> Any:
        return add(x, by)

    made = job(name="j")(lambda: (more(one()), more.alias("less")(one(), by=-1)))
    result = made.execute_in_process()
    assert (result.output_for_node("more"), result.output_for_node("less")) == (6, 0)


def test_called_wrongly() -> None:
    with pytest.raises(DefinitionError) as caught:
        job(name="j")(lambda: bounds(1, 2))
    assert caught.value.message == "graph 'bounds' is called with the wrong arguments: too many positional arguments"


def test_an_alias_leaves_the_graph_as_it_is() -> None:
    twin = three.alias("x")
    assert isinstance(twin, GraphDefinition)
    assert (twin._alias, three._alias) == ("x", None)
