"""Whole jobs in one process: what passes between ops, what is left out, what fails, and what is said of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

from podgraph import (
    DefinitionError,
    Failure,
    In,
    Nothing,
    Out,
    Output,
    RetryPolicy,
    RetryRequested,
    failure_hook,
    graph,
    job,
    op,
    resource,
    success_hook,
)
from podgraph.definition.jobs import JobDefinition
from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.local.in_process import run_in_process
from podgraph.runtime.local.run_plan import plan_run
from podgraph.runtime.local.steps import LocalSteps


@op
def one() -> int:
    return 1


@op
def add(a: int, b: int = 2) -> int:
    return a + b


@op
def total(items: list[int]) -> int:
    return sum(items)


@op
def bad(x: Any = None) -> int:
    raise ValueError("no luck")


@op(out={"low": Out(is_required=False), "high": Out(is_required=False)})
def branch(context: Any, x: int) -> Iterator[Output[int]]:
    yield Output(x, "low" if x < 10 else "high")


def made(body: Callable[..., Any], **how: Any) -> JobDefinition:
    return job(name="j", **how)(body)


def run(body: Callable[..., Any], *, raise_on_error: bool = False, how: Any = None, **options: Any) -> Any:
    return made(body, **(how or {})).execute_in_process(raise_on_error=raise_on_error, **options)


def states(result: Any) -> dict[str, str]:
    return {name: step.state for name, step in result._steps.items()}


def types(result: Any) -> list[str]:
    return [f"{event.type} {event.step_key}".strip() for event in result.all_events]


def test_values_pass_between_ops() -> None:
    result = run(lambda: add(add(one(), 5), add(one())))
    assert result.success
    assert [result.output_for_node(name) for name in ("one", "add", "one_2", "add_2", "add_3")] == [1, 6, 1, 3, 9]
    assert result.output_value() == 9


def test_any_python_value_passes_as_it_is() -> None:
    value = object()
    same = op(name="same")(lambda x: x is value)
    assert run(lambda: same(op(name="make")(lambda: value)())).output_value() is True


def test_several_outputs() -> None:
    split = op(name="split", out={"count": Out(int), "index": Out()})(lambda: (3, {"a": 1}))

    def body() -> Any:
        count, index = split()
        return {"sum": add(count), "index": index}

    result = run(body)
    assert (result.output_value("sum"), result.output_value("index")) == (5, {"a": 1})
    assert result.output_for_node("split", "count") == 3


def test_an_op_that_only_waits_runs_behind() -> None:
    seen: list[str] = []
    first = op(name="first", out={})(lambda: seen.append("first"))
    then = op(name="then", ins={"start": In(Nothing)})(lambda: seen.append("then"))

    def body() -> None:
        later = then.alias("later")
        later(start=[then(start=first()), one()])

    run(body)
    assert seen == ["first", "then", "then"]


def test_a_fan_in_is_a_list_in_the_order_it_is_written() -> None:
    collect = op(name="collect")(lambda items: items)
    result = run(lambda: collect([add(one(), 10), one(), add(5, 5)]))
    assert result.output_value() == [11, 1, 10]


def test_aliases_and_graphs() -> None:
    @graph
    def src() -> Any:
        return add(one())

    def body() -> Any:
        return add.alias("again")(src(), src.alias("other")())

    result = run(body)
    assert result.output_value() == 6
    assert result.output_for_node("src") == result.output_for_node("src.add") == 3
    assert result.is_node_success("other")


def test_defaults_literals_and_job_inputs() -> None:
    marker = object()
    keep = op(name="keep", ins={"b": In(default_value=(1, 2))})(lambda a, b, c=marker: (a, b, c is marker))
    result = run(lambda x: keep(x), input_values={"x": marker})
    assert result.output_value() == (marker, (1, 2), True)
    assert run(lambda x: add(x), run_config={"inputs": {"x": 4}}).output_value() == 6
    assert run(lambda: add(b=1), run_config={"ops": {"add": {"inputs": {"a": 4}}}}).output_value() == 5


def test_a_default_is_no_longer_the_next_runs_than_this_ones() -> None:
    @op
    def grow(items: list[int] = []) -> int:  # noqa: B006
        items.append(1)
        return len(items)

    growing = made(lambda: grow())
    assert [growing.execute_in_process().output_value() for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda: add(text()), "input 'a' of op 'add' has the wrong type: expected int, got 'x' (str)"),
        (
            lambda: total.alias("sum")([text(), one()]),
            "input 'items' of op 'sum' has the wrong type: expected list[int], got 'x' (str) at [0]",
        ),
        (lambda: lying(), "output 'result' of op 'lying' has the wrong type: expected int, got 'x' (str)"),
    ],
)
def test_types_are_checked_between_ops(body: Callable[..., Any], message: str) -> None:
    result = run(body)
    (failed,) = result.get_failed_step_keys()
    found = result.failure_data_for_node(failed)
    assert (found.reason, found.message) == ("TypeCheckFailed", message)


@op
def text() -> Any:
    return "x"


@op
def lying() -> int:
    return "x"  # type: ignore[return-value]


@dataclass
class AsDataclass:
    factor: int
    offset: int = 5


class AsDict(TypedDict):
    factor: int


class AsModel(BaseModel):
    factor: int
    offset: int = 5


@pytest.mark.parametrize(
    ("schema", "config", "seen"),
    [
        (int, 3, 3),
        ({"factor": int}, {"factor": 3}, {"factor": 3}),
        (AsDict, {"factor": 3}, {"factor": 3}),
        (AsDataclass, {"factor": 3}, AsDataclass(3, 5)),
        (AsModel, {"factor": 3, "offset": 1}, AsModel(factor=3, offset=1)),
    ],
)
def test_config(schema: Any, config: Any, seen: Any) -> None:
    configured = op(name="f", config_schema=schema)(lambda context: (context.config, context.op_config))
    result = run(lambda: configured(), run_config={"ops": {"f": {"config": config}}})
    assert result.output_for_node("f") == (seen, seen)


@pytest.mark.parametrize("schema", [AsDataclass, AsModel])
def test_config_as_a_parameter(schema: Any) -> None:
    def scale(x: int, config: Any) -> int:
        return int(x * config.factor + config.offset)

    scale.__annotations__["config"] = schema
    scaled = made(lambda: op(scale)(one()), config={"ops": {"scale": {"config": {"factor": 2}}}})
    assert scaled.execute_in_process().output_for_node("scale") == 7
    over = {"ops": {"scale": {"config": {"offset": 0}}}}
    assert scaled.execute_in_process(run_config=over).output_for_node("scale") == 2


def test_wrong_config_is_refused_before_anything_runs() -> None:
    seen: list[int] = []
    first = op(name="first")(lambda: seen.append(1))
    second = op(name="second", config_schema={"n": int}, ins={"start": In(Nothing)})(lambda context: 1)
    with pytest.raises(DefinitionError) as caught:
        run(lambda: second(start=first()), run_config={"ops": {"second": {"config": {"n": "x"}}, "third": {}}})
    assert caught.value.reason == "InvalidRunConfig"
    assert caught.value.message.startswith("run config has 2 problems: 1) ops.second.config.n must be integer, not 'x'")
    assert caught.value.message.endswith("2) ops.third is unknown; there are: first, second")
    assert seen == []


def test_the_context() -> None:
    seen: list[Any] = []

    @op(config_schema=int, required_resource_keys={"db"}, tags={"kind": "x"})
    def look(context: Any) -> None:
        seen.append(context)

    result = run(
        lambda: look.alias("here")(),
        how={"resource_defs": {"db": 7, "other": 8}, "tags": {"team": "data"}},
        run_config={"ops": {"here": {"config": 3}}},
        tags={"run": "1"},
    )
    (context,) = seen
    assert (context.op_name, context.job_name, context.run_id) == ("here", "j", result.run_id)
    assert (context.config, context.op_config, context.resources.db, context.retry_number) == (3, 3, 7, 0)
    assert (context.tags, context.op_tags) == ({"team": "data", "run": "1"}, {"kind": "x"})
    assert result.tags == {"team": "data", "run": "1"}
    with pytest.raises(AttributeError, match="op 'here' does not require resource 'other'"):
        _ = context.resources.other


def test_the_log(caplog: pytest.LogCaptureFixture) -> None:
    run(lambda: op(name="f")(lambda context: context.log.warning("hello"))())
    assert [(r.name, r.message) for r in caplog.records] == [("podgraph.op.f", "hello")]


def test_one_resource_for_all_steps_put_away_behind_the_last() -> None:
    seen: list[Any] = []

    @resource
    def db() -> Iterator[str]:
        seen.append("open")
        yield "db"
        seen.append("closed")

    use = op(name="use", required_resource_keys={"db"})(lambda context: seen.append(context.resources.db))

    def body() -> None:
        use()
        use()
        one()

    assert run(body, how={"resource_defs": {"db": db, "unused": resource(lambda: seen.append("unused"))}}).success
    assert seen == ["open", "db", "db", "closed"]
    seen.clear()
    assert made(body, resource_defs={"db": db}).execute_in_process(op_selection=["one"]).success
    assert seen == []


def test_resources_in_place_of_the_jobs_own() -> None:
    use = op(name="use", required_resource_keys={"db"})(lambda context: context.resources.db)
    url = resource(config_schema=str)(lambda context: seen.append(context.resource_config))
    real = resource(required_resource_keys={"url"})(lambda context: "real")
    seen: list[Any] = []
    the_job = made(lambda: use(), resource_defs={"db": real, "url": url, "name": "n"})
    # The one in its place needs no address, so nobody has to configure one.
    assert the_job.execute_in_process(resources={"db": "fake"}).output_for_node("use") == "fake"
    assert seen == []
    other = resource(required_resource_keys={"name"})(lambda context: context.resources.name + "!")
    assert the_job.execute_in_process(resources={"db": other}).output_for_node("use") == "n!"
    config = {"resources": {"url": {"config": "here"}}}
    assert the_job.execute_in_process(run_config=config).output_for_node("use") == "real"
    with pytest.raises(DefinitionError) as caught:
        the_job.execute_in_process(resources={"nam": 1})
    assert caught.value.message == "job 'j' has no resource 'nam'; did you mean 'name'?"


def test_a_resource_that_cannot_be_made() -> None:
    error = OSError("no such host")

    @resource
    def db() -> None:
        raise error

    use = op(name="use", required_resource_keys={"db"})(lambda context: 1)
    how = {"resource_defs": {"db": db}}
    result = run(lambda: (use(), one()), how=how)
    assert not result.success
    assert states(result) == {"use": "Pending", "one": "Pending"}
    assert result.is_node_untouched("use")
    assert types(result) == ["RUN_START", "RESOURCE_INIT_FAILURE", "RUN_FAILURE"]
    with pytest.raises(OSError, match="no such host") as caught:
        run(lambda: use(), how=how, raise_on_error=True)
    assert caught.value is error


@success_hook
def told(context: Any) -> None:
    context.resources.seen.append((context.op_name, context.op_output_values, context.op_exception))


@failure_hook
def warned(context: Any) -> None:
    context.resources.seen.append((context.op_name, context.op_output_values, str(context.op_exception)))


told.required_resource_keys = warned.required_resource_keys = ("seen",)


def test_hooks_of_the_job_and_of_a_place() -> None:
    seen: list[Any] = []
    how: dict[str, Any] = {"resource_defs": {"seen": seen}}
    run(lambda: add(bad.with_hooks({told, warned})(one.with_hooks({told, warned})())), how=how)
    assert seen == [("one", {"result": 1}, None), ("bad", {}, "no luck")]
    seen.clear()
    run(lambda: add(bad(one.with_hooks({told})())), how={**how, "hooks": {told, warned}})
    assert seen == [("one", {"result": 1}, None), ("bad", {}, "no luck")]


@pytest.mark.parametrize("error", [ValueError("oh"), SystemExit(3)])
def test_a_hook_that_raises_leaves_its_step_as_it_was(error: BaseException) -> None:
    @success_hook
    def a(context: Any) -> None:
        raise error

    @success_hook
    def b(context: Any) -> None: ...

    result = run(lambda: add(one()), how={"hooks": {a, b}})
    assert result.success
    assert [e.message for e in result.events_for_node("one") if e.type.startswith("HOOK")] == [
        f"hook a failed for op one: {type(error).__name__}: {error}",
        "hook b was called for op one",
    ]


def flaky(fails: int, error: Callable[[], BaseException] = lambda: ValueError("not yet")) -> Any:
    """Return an op that fails some times and then gives its number of retries."""

    def fn(context: Any) -> int:
        if context.retry_number < fails:
            raise error()
        return int(context.retry_number)

    return op(name="flaky")(fn)


@pytest.mark.parametrize(
    ("made_op", "how"),
    [
        (flaky(2).with_retry_policy(RetryPolicy(2)), {}),
        (flaky(2), {"op_retry_policy": RetryPolicy(2, delay=0.001)}),
        (flaky(2, lambda: RetryRequested(2)), {}),
        (flaky(2, lambda: RetryRequested(2, 0.001)).with_retry_policy(RetryPolicy(0)), {}),
        (flaky(2, lambda: Failure("x")).with_retry_policy(RetryPolicy(2)), {}),
    ],
)
def test_retries(made_op: Any, how: dict[str, Any]) -> None:
    result = run(lambda: made_op(), how=how)
    assert result.output_for_node("flaky") == 2
    assert result.retry_attempts_for_node("flaky") == 2
    kinds = [event.type for event in result.events_for_node("flaky")]
    again = ["STEP_UP_FOR_RETRY", "STEP_RESTARTED"]
    assert kinds == ["STEP_START", *again, *again, "STEP_OUTPUT", "STEP_SUCCESS"]


@pytest.mark.parametrize(
    ("made_op", "attempts", "message"),
    [
        (flaky(9).with_retry_policy(RetryPolicy(1)), 2, "ValueError: not yet"),
        (flaky(9, lambda: RetryRequested(3)), 4, "the op requested a retry"),
        (flaky(9, lambda: Failure("gone", allow_retries=False)).with_retry_policy(RetryPolicy(5)), 1, "gone"),
    ],
)
def test_retries_that_do_not_help(made_op: Any, attempts: int, message: str) -> None:
    seen: list[Any] = []
    result = run(lambda: made_op(), how={"hooks": {warned}, "resource_defs": {"seen": seen}})
    assert result.retry_attempts_for_node("flaky") == attempts - 1
    assert result.failure_data_for_node("flaky").message.startswith(message)
    assert len(seen) == 1  # hooks are called for the end alone


def test_retries_switched_off_in_run_config() -> None:
    config = {"execution": {"config": {"in_process": {"retries": {"disabled": {}}}}}}
    result = run(lambda: flaky(1).with_retry_policy(RetryPolicy(5))(), run_config=config)
    assert result.retry_attempts_for_node("flaky") == 0
    assert not result.success


def test_the_reason_of_a_requested_retry_is_kept() -> None:
    def fn() -> None:
        try:
            raise OSError("down")
        except OSError as error:
            raise RetryRequested(0) from error

    result = run(lambda: op(name="f")(fn)())
    assert result.failure_data_for_node("f").message.startswith("OSError: down (test_in_process.py line ")


def test_other_branches_go_on_during_a_delay() -> None:
    seen: list[str] = []

    @op
    def waits(context: Any) -> None:
        seen.append(f"waits {context.retry_number}")
        if not context.retry_number:
            raise RetryRequested(1, 0.05)

    note = op(name="note", ins={"start": In(Nothing)})(lambda: seen.append("note"))

    def body() -> None:
        waits()
        note.alias("last")(start=note(start=one()))

    assert run(body).success
    assert seen == ["waits 0", "note", "note", "waits 1"]


def test_an_output_that_was_left_out_skips_what_needs_it() -> None:
    def body() -> None:
        low, high = branch(one())
        add.alias("small")(low)
        add.alias("behind")(add.alias("large")(high), one())
        op(name="waits", ins={"start": In(Nothing)})(lambda: 1)(start=high)

    result = run(body)
    assert result.success
    assert states(result) == {
        "one": "Succeeded", "branch": "Succeeded", "small": "Succeeded", "large": "Skipped", "one_2": "Succeeded",
        "behind": "Skipped", "waits": "Skipped",
    }  # fmt: skip
    assert {e.message for e in result.get_step_skipped_events()} == {
        "op large was skipped: input a was not produced",
        "op behind was skipped: input a was not produced",
        "op waits was skipped: input start was not produced",
    }
    with pytest.raises(DefinitionError) as caught:
        result.output_for_node("large")
    assert caught.value.message == (
        "op 'large' Skipped without its output 'result' (not run: input a was not produced)"
    )


def test_a_fan_in_takes_what_is_there() -> None:
    def some() -> Any:
        low, high = branch(one())
        return total([add(low), add(high)])

    def none() -> Any:
        return total([branch.alias("a")(one()).high, branch.alias("b")(one()).high])

    assert run(some).output_value() == 3
    assert states(run(none))["total"] == "Skipped"


def test_a_failure_ends_what_depends_on_it_alone() -> None:
    def body() -> None:
        x = one()
        add.alias("last")(add.alias("after")(bad(x)), x)
        total([bad.alias("worse")(), add(x)])

    result = run(body)
    assert not result.success
    assert states(result) == {
        "one": "Succeeded", "bad": "Failed", "after": "UpstreamFailed", "last": "UpstreamFailed", "worse": "Failed",
        "add": "Succeeded", "total": "UpstreamFailed",
    }  # fmt: skip
    assert result.get_failed_step_keys() == {"bad", "worse"}
    assert result._steps["last"].message == "not run: after failed"
    assert result.get_run_failure_event().message == "the run failed"


def test_the_original_exception_is_raised() -> None:
    error = KeyError("k")

    def fn() -> None:
        raise error

    seen: list[int] = []

    def body() -> None:
        op(name="f")(fn)()
        op(name="g")(lambda: seen.append(1))()
        bad()

    with pytest.raises(KeyError) as caught:
        run(body, raise_on_error=True)
    assert caught.value is error
    assert seen == [1]  # when the run is over


def test_an_exit_of_the_program_is_the_ops_failure() -> None:
    def fn() -> None:
        raise SystemExit(3)

    result = run(lambda: (op(name="f")(fn)(), one()))
    assert states(result) == {"f": "Failed", "one": "Succeeded"}
    assert result.failure_data_for_node("f").cls_name == "SystemExit"
    with pytest.raises(SystemExit):
        run(lambda: op(name="f")(fn)(), raise_on_error=True)


def test_an_exception_that_cannot_say_itself() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    def fn() -> None:
        raise Mute

    result = run(lambda: op(name="f")(fn)())
    assert result.failure_data_for_node("f").message.startswith("Mute (test_in_process.py line ")


def test_selection_and_the_inputs_it_leaves_open() -> None:
    the_job = made(lambda: add(add.alias("first")(one(), 5)))
    result = the_job.execute_in_process(op_selection=["*first"])
    assert states(result) == {"one": "Succeeded", "first": "Succeeded"}
    config = {"ops": {"add": {"inputs": {"a": 10}}}}
    assert the_job.execute_in_process(config, op_selection=["add"]).output_for_node("add") == 12
    with pytest.raises(DefinitionError, match=r"ops\.add\.inputs\.a is missing"):
        the_job.execute_in_process(op_selection=["add"])


def test_async_ops() -> None:
    @op
    async def load() -> int:
        return 3

    @op(out={"a": Out(), "b": Out()})
    async def stream(x: int) -> AsyncIterator[Output[int]]:
        yield Output(x, "b")
        yield Output(x + 1, "a")

    result = run(lambda: stream(load()))
    assert (result.output_for_node("stream", "a"), result.output_for_node("stream", "b")) == (4, 3)


async def test_async_ops_inside_a_running_loop() -> None:
    @op
    async def load() -> int:
        return 3

    assert run(lambda: load()).output_for_node("load") == 3


def test_the_order_of_events() -> None:
    seen: list[Any] = []
    how = {"resource_defs": {"seen": seen}, "hooks": {told}}
    assert types(run(lambda: add(one(), one()), how=how)) == [
        "RUN_START",
        "RESOURCE_INIT_SUCCESS",
        "STEP_START one",
        "STEP_OUTPUT one",
        "HOOK_COMPLETED one",
        "STEP_SUCCESS one",
        "STEP_START one_2",
        "STEP_OUTPUT one_2",
        "HOOK_COMPLETED one_2",
        "STEP_SUCCESS one_2",
        "STEP_START add",
        "STEP_INPUT add",
        "STEP_INPUT add",
        "STEP_OUTPUT add",
        "HOOK_COMPLETED add",
        "STEP_SUCCESS add",
        "RUN_SUCCESS",
    ]
    assert types(run(lambda: add(bad()))) == [
        "RUN_START",
        "STEP_START bad",
        "STEP_INPUT bad",
        "STEP_FAILURE bad",
        "RUN_FAILURE",
    ]


@pytest.mark.parametrize("during", ["op", "delay"])
def test_ctrl_c_puts_resources_away_and_gets_out(during: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    @resource
    def db() -> Iterator[int]:
        yield 1
        seen.append("closed")

    @op(required_resource_keys={"db"}, retry_policy=RetryPolicy(1, delay=60))
    def stopped(context: Any) -> None:
        if during == "op":
            os.kill(os.getpid(), signal.SIGINT)
        raise ValueError

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    prepared = plan_run(made(lambda: add(stopped()), resource_defs={"db": db}), {})
    steps = LocalSteps(prepared.graph, prepared.selected)
    with pytest.raises(KeyboardInterrupt):
        run_in_process(prepared, steps, RunInfo("r"))
    assert seen == ["closed"]
    assert {name: step.state for name, step in steps.records.items()} == {"stopped": "Canceled", "add": "Pending"}
    assert steps.events[-1].type == "RUN_CANCELED"
    assert not steps.done


def test_no_file_stays_open() -> None:
    the_job = made(lambda: add(bad(one())))
    the_job.execute_in_process(raise_on_error=False)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        the_job.execute_in_process(raise_on_error=False)
    assert len(os.listdir("/proc/self/fd")) == before
