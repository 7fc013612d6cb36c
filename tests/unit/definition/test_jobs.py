"""`@job`: what it takes beside its body, and what it refuses. Its runs are tested in tests/unit/runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from podgraph import DefinitionError, GraphDefinition, in_process_executor, job, multiprocess_executor, op


@op
def one() -> int:
    return 1


@op
def add(a: int, b: int = 2) -> int:
    return a + b


def body() -> Any:
    """Add them."""
    return add(one())


def refusal(make: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        make()
    return caught.value.reason, caught.value.message


def test_what_a_job_says_of_itself() -> None:
    made = job(name="nightly", tags={"team": "data", "priority": 3}, config={"ops": {"add": {}}})(body)  # type: ignore[dict-item]
    assert (made.name, made.description) == ("nightly", "Add them.")
    assert made.tags == {"team": "data", "priority": "3"}
    assert json.loads(made.graph.run_config) == {"ops": {"add": {}}}
    assert set(made.ops) == {"one", "add"}
    assert made.outputs[""]["result"].op == "add"
    assert job(body).graph.run_config == ""


def test_outputs_of_a_job() -> None:
    assert job(name="j")(lambda: (one(), None)[1]).outputs[""] == {}
    several = job(name="j")(lambda: {"a": one(), "b": one(), "c": 3})
    assert {name: handle.op for name, handle in several.outputs[""].items()} == {"a": "one", "b": "one_2"}


def test_parameters_are_inputs_of_the_job() -> None:
    made = job(name="j")(lambda x, by=5: add(x, by))
    first, second = made.graph.ops["add"].inputs
    assert (first.job_input, second.job_input, second.literal) == ("x", "", "5")
    assert made.execute_in_process(input_values={"x": 1}).output_value() == 6


@pytest.mark.parametrize(
    ("executor", "section"),
    [
        (in_process_executor, {"in_process": {}}),
        (multiprocess_executor, {"multiprocess": {}}),
        (multiprocess_executor.configured({"max_concurrent": 4}), {"multiprocess": {"max_concurrent": 4}}),
    ],
)
def test_the_executor_is_part_of_the_default_run_config(executor: Any, section: dict[str, Any]) -> None:
    made = job(executor_def=executor, config={"ops": {}})(body)
    assert json.loads(made.graph.run_config) == {"ops": {}, "execution": {"config": section}}


def test_executors_that_are_refused() -> None:
    assert refusal(lambda: job(executor_def="multiprocess")(body)) == (  # type: ignore[call-overload]
        "InvalidExecutor",
        "job 'body' has the executor 'multiprocess'; it must be in_process_executor or multiprocess_executor",
    )
    assert refusal(lambda: job(executor_def=in_process_executor, config={"execution": {}})(body)) == (
        "InvalidExecutor",
        "job 'body' sets its executor in executor_def and in config",
    )


def test_config_and_tags_that_are_refused() -> None:
    assert refusal(lambda: job(config={"ops": {"add": {1, 2}}})(body)) == (
        "InvalidRunConfig",
        "the config of job 'body' must be JSON values, not a set at ['ops']['add']",
    )
    assert refusal(lambda: job(tags={"x": {1}})(body)) == (  # type: ignore[dict-item]
        "InvalidTags",
        "job 'body' has the tag 'x', whose value contains a set",
    )
    assert refusal(lambda: job(tags={1: "x"})(body)) == (  # type: ignore[dict-item]
        "InvalidTags",
        "job 'body' has the tag 1; its key must be a string",
    )


def test_a_body_that_raises_leaves_nothing_open() -> None:
    def bad() -> None:
        one()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        job(bad)
    assert one() == 1
    assert isinstance(GraphDefinition(body), GraphDefinition)


def test_thousands_of_ops() -> None:
    def chain() -> Any:
        value = one()
        for at in range(1, 3_000):
            value = add.alias(f"s{at}")(value, 1)
        return value

    assert job(chain).execute_in_process().output_value() == 3_000
