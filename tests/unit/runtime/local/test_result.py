"""What a result answers, and that no question about an unknown node passes for one about a known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podgraph import DefinitionError, GraphOut, In, Nothing, Out, Output, graph, job, op


@op
def one() -> int:
    return 1


@op
def add(a: int, b: int = 2) -> int:
    return a + b


@op
def bad(x: Any) -> int:
    raise ValueError("no luck")


@op(out={"a": Out(), "b": Out(is_required=False)})
def some() -> Output[int]:
    return Output(5, "a")


@graph(out={"x": GraphOut(), "y": GraphOut()})
def pair() -> Any:
    return one(), add(one())


@graph
def after(x: Any) -> Any:
    return add.alias("inner")(x)


@op(ins={"start": In(Nothing)})
def quiet() -> None: ...


@job
def my_job() -> Any:
    x, _ = pair()
    found = some()
    after.alias("skipped")(found.b)
    after.alias("lost")(bad(x))
    quiet()
    return {"a": found.a, "b": found.b}


@pytest.fixture(scope="module")
def result() -> Any:
    return my_job.execute_in_process(raise_on_error=False)


def refusal(ask: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        ask()
    return caught.value.reason, caught.value.message


def test_outputs(result: Any) -> None:
    assert (result.output_for_node("some", "a"), result.output_value("a")) == (5, 5)
    assert (result.output_for_node("pair", "x"), result.output_for_node("pair", "y")) == (1, 3)
    assert result.output_for_node("pair.add") == 3
    assert result.output_for_node("quiet") is None


def test_outputs_that_are_not_there(result: Any) -> None:
    assert refusal(lambda: result.output_value()) == (
        "UnknownOutput",
        "job 'my_job' has no output 'result'; there are: a, b",
    )
    assert refusal(lambda: result.output_for_node("some", "aa")) == (
        "UnknownOutput",
        "op 'some' has no output 'aa'; did you mean 'a'?",
    )
    assert refusal(lambda: result.output_for_node("pair")) == (
        "UnknownOutput",
        "graph 'pair' has no output 'result'; there are: x, y",
    )
    assert refusal(lambda: result.output_for_node("some", "b")) == (
        "NoOutput",
        "op 'some' Succeeded without its output 'b'",
    )
    assert refusal(lambda: result.output_value("b"))[0] == "NoOutput"
    reason, message = refusal(lambda: result.output_for_node("bad"))
    assert reason == "NoOutput"
    assert message.startswith("op 'bad' Failed without its output 'result' (ValueError: no luck (test_result.py line ")
    assert refusal(lambda: result.output_for_node("lost")) == (
        "NoOutput",
        "op 'lost.inner' UpstreamFailed without its output 'result' (not run: bad failed)",
    )


def test_an_op_that_was_not_selected() -> None:
    result = my_job.execute_in_process(op_selection=["some"])
    assert refusal(lambda: result.output_for_node("bad")) == (
        "UnknownOp",
        "op 'bad' was not selected, so it produced nothing",
    )
    assert result.is_node_untouched("bad")
    assert result.is_node_untouched("pair")
    assert not result.is_node_skipped("bad")
    assert result.failure_data_for_node("bad") is None
    assert result.events_for_node("bad") == []


@pytest.mark.parametrize("name", ["", "gone", "add", "pair.gone", "skipped.", "after"])
@pytest.mark.parametrize(
    "method",
    [
        "output_for_node",
        "is_node_success",
        "is_node_failed",
        "is_node_skipped",
        "is_node_untouched",
        "failure_data_for_node",
        "retry_attempts_for_node",
        "events_for_node",
    ],
)
def test_unknown_nodes(result: Any, method: str, name: str) -> None:
    reason, message = refusal(lambda: getattr(result, method)(name))
    assert reason == "UnknownOp"
    assert message.startswith(f"job 'my_job' has no op or graph {name!r}; ")


@pytest.mark.parametrize(
    ("node", "state"),
    [
        ("some", "success"),
        ("pair", "success"),
        ("pair.one", "success"),
        ("bad", "failed"),
        ("skipped", "skipped"),
        ("skipped.inner", "skipped"),
        ("lost", "untouched"),
        ("lost.inner", "untouched"),
    ],
)
def test_states_of_nodes(result: Any, node: str, state: str) -> None:
    told = {kind: getattr(result, f"is_node_{kind}")(node) for kind in ("success", "failed", "skipped", "untouched")}
    assert told == {kind: kind == state for kind in told}


def test_what_failed(result: Any) -> None:
    assert not result.success
    assert result.get_failed_step_keys() == {"bad"}
    failure = result.failure_data_for_node("bad")
    assert (failure.reason, failure.cls_name) == ("OpFailed", "ValueError")
    assert "raise ValueError" in failure.stack
    assert result.failure_data_for_node("some") is None
    assert result.failure_data_for_node("pair") is None


def test_events(result: Any) -> None:
    assert {event.step_key for event in result.events_for_node("pair")} == {"pair.one", "pair.one_2", "pair.add"}
    assert [event.type for event in result.events_for_node("bad")] == ["STEP_START", "STEP_INPUT", "STEP_FAILURE"]
    assert len(result.all_node_events) == len(result.all_events) - 2
    assert [event.step_key for event in result.get_step_failure_events()] == ["bad"]
    assert [event.step_key for event in result.get_step_skipped_events()] == ["skipped.inner"]
    assert {event.step_key for event in result.get_step_success_events()} == {
        "pair.one", "pair.one_2", "pair.add", "some", "quiet",
    }  # fmt: skip
    assert result.filter_events(lambda event: event.is_step_failure) == result.get_step_failure_events()


def test_the_runs_own_event(result: Any) -> None:
    assert result.get_run_failure_event() is result.all_events[-1]
    assert refusal(result.get_run_success_event) == ("NoEvent", "the run failed, so it has no RUN_SUCCESS event")
    good = my_job.execute_in_process(op_selection=["some"])
    assert good.get_run_success_event() is good.all_events[-1]
    assert refusal(good.get_run_failure_event) == ("NoEvent", "the run succeeded, so it has no RUN_FAILURE event")


def test_its_repr_counts_states(result: Any) -> None:
    assert repr(result) == ("<ExecuteInProcessResult of 'my_job': 5 Succeeded, 1 Skipped, 1 Failed, 1 UpstreamFailed>")
    assert result.job_def is my_job
