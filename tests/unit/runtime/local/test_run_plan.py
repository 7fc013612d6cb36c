"""What is decided before the first step, with every mistake found there; and what each op is then given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from podgraph import DefinitionError, In, Nothing, job, multiprocess_executor, op, resource
from podgraph.definition.jobs import JobDefinition
from podgraph.run_config.binding import RunConfigError
from podgraph.runtime.local.run_plan import gather, plan_run
from podgraph.runtime.local.steps import LocalStep


@dataclass
class Settings:
    factor: int
    offset: int = 5


@op
def one() -> int:
    return 1


@op
def add(a: int, b: int = 2) -> int:
    return a + b


@op(config_schema=Settings)
def scale(context: Any, x: int) -> int:
    return x


@op
def total(items: list[int]) -> int:
    return sum(items)


def made(body: Callable[..., Any], **how: Any) -> JobDefinition:
    return job(name="j", **how)(body)


def refusal(make: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        make()
    return caught.value.reason, caught.value.message


def test_everything_is_decided() -> None:
    the_job = made(
        lambda: add(scale(one()), 7),
        config={"ops": {"scale": {"config": {"factor": 2}}}},
        tags={"team": "data"},
        executor_def=multiprocess_executor.configured({"max_concurrent": 3}),
    )
    prepared = plan_run(the_job, {"ops": {"scale": {"config": {"offset": 1}}}}, tags={"run": "x"})
    assert prepared.selected == ("one", "scale", "add")
    assert prepared.configs == {"scale": Settings(2, 1)}
    assert prepared.inputs == {"add": {"b": 7}}
    assert prepared.tags == {"team": "data", "run": "x"}
    assert (prepared.execution.executor, prepared.execution.max_concurrent) == ("multiprocess", 3)
    assert the_job.graph is prepared.graph


@pytest.mark.parametrize("default", ["in_process", "multiprocess"])
def test_the_executor_when_none_is_named(default: str) -> None:
    assert plan_run(made(lambda: one()), {}, default_executor=default).execution.executor == default


def test_input_values_may_be_anything() -> None:
    marker = object()
    prepared = plan_run(made(lambda x, y: add(x, y)), {"inputs": {"y": 3}}, input_values={"x": marker})
    assert prepared.inputs == {"add": {"a": marker, "b": 3}}
    assert refusal(lambda: plan_run(made(lambda x: add(x)), {}, input_values={"xx": 1})) == (
        "UnknownInput",
        "job 'j' has no input 'xx'; did you mean 'x'?",
    )
    assert refusal(lambda: plan_run(made(lambda: one()), {}, input_values={"x": 1})) == (
        "UnknownInput",
        "job 'j' has no input 'x'; there are none",
    )


def test_inputs_from_run_config_are_read_as_their_type() -> None:
    @op
    def use(at: Settings, plain: int = 0) -> None: ...

    prepared = plan_run(made(lambda: use()), {"ops": {"use": {"inputs": {"at": {"factor": 3}}}}})
    assert prepared.inputs == {"use": {"at": Settings(3), "plain": 0}}


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(RunConfigError) as caught:
        plan_run(
            made(lambda: scale(add())),
            {"ops": {"scale": {"config": {"ofset": 1}}, "add": {"inputs": {"a": "x"}}}, "resources": {"db": {}}},
        )
    assert {problem.path for problem in caught.value.problems} == {
        "ops.scale.config.factor",
        "ops.scale.config.ofset",
        "ops.add.inputs.a",
        "resources",
    }


def test_what_only_the_type_itself_refuses_is_a_problem_too() -> None:
    @dataclass
    class Even:
        n: int

        def __post_init__(self) -> None:
            if self.n % 2:
                raise ValueError("n must be even")

    odd = op(name="odd", config_schema=Even)(lambda context: 1)
    reason, message = refusal(lambda: plan_run(made(lambda: odd()), {"ops": {"odd": {"config": {"n": 3}}}}))
    assert reason == "InvalidRunConfig"
    assert "ops.odd.config" in message
    assert "n must be even" in message


def test_config_of_resources_is_checked_too() -> None:
    use = op(name="use", required_resource_keys={"db"})(lambda context: 1)
    db = resource(config_schema=Settings)(lambda context: 1)
    the_job = made(lambda: (use(), one()), resource_defs={"db": db})
    assert refusal(lambda: plan_run(the_job, {}))[1].startswith("run config: resources.db.config.factor is missing")
    assert plan_run(the_job, {}, ["one"]).bound.resources == {}
    fixed = made(lambda: use(), resource_defs={"db": db.configured({"factor": 1})})
    assert plan_run(fixed, {}).bound.resources == {"db": None}
    reason, message = refusal(lambda: plan_run(fixed, {"resources": {"db": {"config": {"factor": 2}}}}))
    assert reason == "InvalidRunConfig"
    assert "resources.db.config" in message


def test_a_resource_in_place_of_another_brings_its_own_needs() -> None:
    use = op(name="use", required_resource_keys={"db"})(lambda context: 1)
    db = resource(required_resource_keys={"url"})(lambda context: 1)
    the_job = made(lambda: use(), resource_defs={"db": db, "url": 1, "name": 2})
    assert set(plan_run(the_job, {}).bound.resources) == {"db", "url"}
    assert set(plan_run(the_job, {}, resources={"db": 5}).bound.resources) == {"db"}
    other = resource(required_resource_keys={"name"})(lambda context: 1)
    assert set(plan_run(the_job, {}, resources={"db": other}).bound.resources) == {"db", "name"}
    lacking = resource(required_resource_keys={"gone"})(lambda context: 1)
    assert refusal(lambda: plan_run(the_job, {}, resources={"db": lacking}))[0] == "UnknownResource"
    assert the_job.graph.ops["use"].resources == ("db", "url")


def test_selections_that_are_refused() -> None:
    the_job = made(lambda: total([one(), one()]))
    assert refusal(lambda: plan_run(the_job, {}, ["two"]))[0] == "UnknownOp"
    assert refusal(lambda: plan_run(the_job, {}, ["total", "one"])) == (
        "PartialFanIn",
        "input 'items' of op 'total' takes a list from several ops, of which one_2 are not selected; "
        "select all of them or none",
    )


def test_tags_that_are_refused() -> None:
    assert refusal(lambda: plan_run(made(lambda: one()), {}, tags={"x": {1}})) == (  # type: ignore[dict-item]
        "InvalidTags",
        "the run has the tag 'x', whose value contains a set",
    )


def steps(**outputs: dict[str, Any]) -> dict[str, LocalStep]:
    made_steps = {name: LocalStep() for name in outputs}
    for name, step in made_steps.items():
        step.outputs = outputs[name]
    return made_steps


def test_gather() -> None:
    wait = op(name="wait", ins={"start": In(Nothing)})(lambda items: items)
    graph = made(lambda: wait([one(), add(one())], start=one())).graph
    here = steps(one={"result": 1}, one_2={"result": 2}, add={}, one_3={"result": 4}, wait={})
    assert gather(graph, "wait", {}, here) == {"items": [1]}
    assert gather(graph, "add", {"b": 9}, here) == {"a": 2, "b": 9}
    assert gather(graph, "add", {"a": 8, "b": 9}, steps(add={})) == {"a": 8, "b": 9}
