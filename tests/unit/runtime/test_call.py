"""Calling one op: what it is given and what of its result counts. Forms of outputs are tested with steps, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from podgraph import In, Nothing, Out, Output, op
from podgraph.protocol.step import StepError
from podgraph.runtime.call import call_op
from podgraph.runtime.context import OpContext

Told = list[tuple[str, dict[str, Any]]]


def call(fn: Callable[..., Any], inputs: dict[str, Any] | None = None, told: Told | None = None, **how: Any) -> Any:
    config = how.pop("config", None)
    events: Told = [] if told is None else told
    return call_op(
        op(name="f", **how)(fn), "g.f", inputs or {}, lambda: OpContext("g.f", "r"), config,
        lambda *event: events.append(event),
    )  # fmt: skip


def refusal(*args: Any, **how: Any) -> tuple[str, str]:
    with pytest.raises(StepError) as caught:
        call(*args, **how)
    return caught.value.reason, caught.value.message


def test_events_tell_of_inputs_and_outputs_in_order() -> None:
    told: Told = []
    split = {"x": Out(), "y": Out()}
    assert call(lambda a, b=2: (a, b), {"a": 1}, told, out=split) == {"x": 1, "y": 2}
    assert told == [("STEP_INPUT", {"name": "a"}), ("STEP_OUTPUT", {"name": "x"}), ("STEP_OUTPUT", {"name": "y"})]


def test_the_context_is_made_for_those_that_take_it() -> None:
    assert call(lambda context, a: (context.op_name, a), {"a": 1}) == {"result": ("g.f", 1)}
    assert call(lambda a: a, {"a": 1}) == {"result": 1}


def test_defaults() -> None:
    declared = {"a": In(default_value={1})}
    assert call(lambda a: a, ins=declared) == {"result": {1}}
    assert call(lambda a={2}: a, ins=declared) == {"result": {1}}
    assert call(lambda a={2}: a) == {"result": {2}}
    assert call(lambda a={2}: a, {"a": 3}) == {"result": 3}
    assert refusal(lambda a: a) == ("MissingInput", "input 'a' of op 'g.f' has no value")


def test_an_input_that_only_waits_is_given_none() -> None:
    assert call(lambda start: start, {"start": 3}, ins={"start": In(Nothing)}) == {"result": None}


def test_types() -> None:
    def fn(a: int, b: list[str]) -> dict[str, int]:
        return {"x": a if b else "none"}  # type: ignore[dict-item]

    assert call(fn, {"a": 1, "b": ["x"]}) == {"result": {"x": 1}}
    wrong = "input '{}' of op 'g.f' has the wrong type: expected {}"
    assert refusal(fn, {"a": "1", "b": []}) == ("TypeCheckFailed", wrong.format("a", "int, got '1' (str)"))
    assert refusal(fn, {"a": 1, "b": [2]}) == ("TypeCheckFailed", wrong.format("b", "list[str], got 2 (int) at [0]"))
    assert refusal(fn, {"a": 1, "b": []}) == (
        "TypeCheckFailed",
        "output 'result' of op 'g.f' has the wrong type: expected dict[str, int], got 'none' (str) at ['x']",
    )


def test_the_type_of_an_in_or_out_goes_before_the_annotation() -> None:
    def fn(a: int) -> int:
        return a

    assert call(fn, {"a": "x"}, ins={"a": In(str)}, out=Out(str)) == {"result": "x"}


def test_an_op_that_yields_is_checked_output_by_output() -> None:
    told: Told = []

    def fn() -> Iterator[Output[int]]:
        yield Output(1, "x")
        yield Output("two", "y")  # type: ignore[arg-type]

    assert refusal(fn, told=told, out={"x": Out(int), "y": Out(int)})[1] == (
        "output 'y' of op 'g.f' has the wrong type: expected int, got 'two' (str)"
    )
    assert told == [("STEP_OUTPUT", {"name": "x"})]


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def test_async_ops_of_each_form() -> None:
    async def plain(a: int) -> int:
        return int(await later(a)) + 1

    async def stream() -> AsyncIterator[Any]:
        yield Output(await later(1), "x")
        yield Output(2, "y")

    async def pair() -> Any:
        return await later((1, 2))

    async def wrong() -> AsyncIterator[Any]:
        yield 1

    split = {"x": Out(), "y": Out()}
    assert call(plain, {"a": 1}) == {"result": 2}
    assert call(stream, out=split) == call(pair, out=split) == {"x": 1, "y": 2}
    assert call(lambda: later(3)) == {"result": 3}
    assert refusal(wrong) == ("WrongOutputs", "op 'g.f' yielded 1; an op that yields must yield Output(value, name)")


def test_async_ops_that_fail() -> None:
    async def fails() -> None:
        await later(1)
        raise KeyError("k")

    with pytest.raises(KeyError, match="k"):
        call(fails)


async def test_async_ops_where_a_loop_runs() -> None:
    assert call(lambda: later(3)) == {"result": 3}


class Waitable:
    """A value of its own that can also be awaited, as futures of some libraries are."""

    def __await__(self) -> Iterator[Any]:
        raise AssertionError("nobody asked for it")


@pytest.mark.parametrize("value", [MagicMock(), Waitable(), asyncio.sleep])
def test_values_that_could_be_awaited_are_values(value: Any) -> None:
    assert call(lambda: value)["result"] is value


def test_config_as_a_parameter() -> None:
    from dataclasses import dataclass

    @dataclass
    class Settings:
        n: int

    def fn(a: int, config: Any) -> int:
        return int(a * config.n)

    fn.__annotations__["config"] = Settings
    assert call(fn, {"a": 2}, config=Settings(3)) == {"result": 6}
