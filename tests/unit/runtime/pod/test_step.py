"""Running one op: what it is given, what it may produce, and what its record says when it fails."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

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
    job,
    op,
)  # fmt: skip
from podgraph.planning.model.status import seconds_of
from podgraph.protocol.step import Assignment, Record
from podgraph.runtime.context import OpContext
from podgraph.runtime.pod.step import run_step

TWO = {"a": Out(), "b": Out()}
MAYBE = {"a": Out(is_required=False), "b": Out(is_required=False)}


def run(fn: Callable[..., Any], inputs: dict[str, Any] | None = None, **how: Any) -> Record:
    made = op(name="f", **how)(fn)
    record = run_step(job(name="j")(lambda: made()), Assignment("f", "n", "run-1", inputs=inputs or {}))
    assert record.nonce == "n"
    assert Record.from_text(record.to_text()).outcome == record.outcome
    return record


def outputs(fn: Callable[..., Any], inputs: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    record = run(fn, inputs, **how)
    assert (record.outcome, record.reason, record.message) == ("Succeeded", "", "")
    return record.outputs


def failure(fn: Callable[..., Any], inputs: dict[str, Any] | None = None, **how: Any) -> tuple[str, str]:
    record = run(fn, inputs, **how)
    assert (record.outcome, record.outputs) == ("Failed", {})
    assert record.start_time <= record.completion_time
    return record.reason, record.message


def yields(*items: Any) -> Callable[[], Iterator[Any]]:
    def fn() -> Iterator[Any]:
        yield from items

    return fn


@pytest.mark.parametrize(
    ("fn", "out", "expected"),
    [
        (lambda: 1, None, {"result": 1}),
        (lambda: None, None, {"result": None}),
        (lambda: None, Out(is_required=False), {"result": None}),
        (lambda: [1, [2]], None, {"result": [1, [2]]}),
        (lambda: Output({"x": 1.5}), None, {"result": {"x": 1.5}}),
        (lambda: 1, {"rows": Out()}, {"rows": 1}),
        (lambda: Output(1, "rows"), {"rows": Out()}, {"rows": 1}),
        (yields(Output(1)), None, {"result": 1}),
        (lambda: (1, "x"), TWO, {"a": 1, "b": "x"}),
        (lambda: (Output(1, "b"), Output(2, "a")), TWO, {"b": 1, "a": 2}),
        (lambda: (Output(1, "a"), 2), TWO, {"a": 1, "b": 2}),
        (yields(Output(2, "b"), Output(1, "a")), TWO, {"b": 2, "a": 1}),
        (yields(Output(2, "b")), MAYBE, {"b": 2}),
        (yields(), MAYBE, {}),
        (yields(), Out(is_required=False), {}),
        (lambda: Output(1, "a"), MAYBE, {"a": 1}),
        (lambda: None, {}, {}),
        (lambda: 3, {}, {}),
        (yields(), {}, {}),
    ],
)
def test_forms_of_outputs(fn: Callable[[], Any], out: Any, expected: dict[str, Any]) -> None:
    assert outputs(fn, out=out) == expected


@pytest.mark.parametrize(
    ("fn", "out", "message"),
    [
        (
            lambda: 1,
            TWO,
            "op 'f' must return a tuple of 2 values (a, b) or yield Output(value, name) for each, but returned 1",
        ),
        (
            lambda: "x" * 100,
            TWO,
            "op 'f' must return a tuple of 2 values (a, b) or yield Output(value, name) for each, but returned "
            "'" + "x" * 56 + "...",
        ),
        (lambda: (1, 2, 3), TWO, None),
        (lambda: [1, 2], TWO, None),
        (lambda: Output(1, "a"), TWO, "op 'f' did not produce its output 'b', which is required"),
        (yields(), None, "op 'f' did not produce its output 'result', which is required"),
        (yields(1), None, "op 'f' yielded 1; an op that yields must yield Output(value, name)"),
        (yields(Output(1), Output(2)), None, "op 'f' produced output 'result' twice"),
        (lambda: (Output(1, "a"), Output(2, "a")), TWO, "op 'f' produced output 'a' twice"),
        (lambda: Output(1, "x"), TWO, "op 'f' produced output 'x', but its outputs are: a, b"),
        (lambda: Output(1), {"rows": Out()}, "op 'f' produced output 'result', but its outputs are: rows"),
        (lambda: Output(1), {}, "op 'f' produced output 'result', but its outputs are: none"),
    ],
)
def test_wrong_outputs(fn: Callable[[], Any], out: Any, message: str | None) -> None:
    reason, found = failure(fn, out=out)
    assert reason == "WrongOutputs"
    assert found == message or (message is None and "must return a tuple of 2 values (a, b)" in found)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ((1, 2), "a tuple, which JSON would turn into a list"),
        ({"a": [{1}]}, "a set at ['a'][0]"),
        (float("nan"), "the number nan"),
        ([Output(1)], "an Output at [0]"),
        ("\ud800", "a string with half a surrogate pair, which is not valid Unicode"),
    ],
)
def test_outputs_that_are_no_json(value: Any, what: str) -> None:
    out = Out(serializer="json")
    text = f"output 'result' of op 'f' contains a value that JSON cannot represent: {what}"
    assert failure(lambda: value, out=out) == ("OutputNotJson", text)
    passed = run(lambda: value)
    assert (passed.outcome, passed.outputs, passed.stored.keys()) == ("Succeeded", {}, {"result"})


def test_outputs_that_are_too_large() -> None:
    assert outputs(lambda: "x" * 3_070) == {"result": "x" * 3_070}
    assert failure(lambda: "x" * 3_071) == (
        "OutputTooLarge",
        "output 'result' of op 'f' is 3,073 bytes of JSON; the outputs of one step may have at most 3,072 bytes "
        "together; set spec.storage to pass larger values",
    )
    assert failure(lambda: ("x" * 1_000, "ü" * 2_000), out=TWO) == (
        "OutputTooLarge",
        "output 'b' of op 'f' is 4,002 bytes of JSON (all outputs of the step: 5,004 bytes); the outputs of one step "
        "may have at most 3,072 bytes together; set spec.storage to pass larger values",
    )


def test_inputs_and_defaults() -> None:
    marker = object()

    def fn(a: Any, b: Any = 2, *, c: Any = marker) -> list[Any]:
        return [a, b, c is marker]

    assert outputs(fn, {"a": {"x": [1]}}) == {"result": [{"x": [1]}, 2, True]}
    assert outputs(fn, {"a": None, "b": 5, "c": 6, "gone": 7}) == {"result": [None, 5, False]}
    assert failure(fn, {"b": 5}) == ("MissingInput", "input 'a' of op 'f' has no value")


def test_inputs_that_only_wait() -> None:
    assert outputs(lambda: 1, {"start": 3}, ins={"start": In(Nothing)}) == {"result": 1}
    assert outputs(lambda start: [start], {}, ins={"start": In(Nothing)}) == {"result": [None]}
    assert outputs(lambda start=4: [start], {}, ins={"start": In(Nothing)}) == {"result": [4]}


def test_the_context(caplog: pytest.LogCaptureFixture) -> None:
    def fn(context: OpContext, x: int) -> list[Any]:
        context.log.warning("hello")
        return [context.op_name, context.run_id, x]

    assert outputs(fn, {"x": 1}) == {"result": ["f", "run-1", 1]}
    assert [(r.name, r.message) for r in caplog.records] == [("podgraph.op.f", "hello")]


def line_of(fn: Callable[..., Any], offset: int) -> str:
    return f"(test_step.py line {fn.__code__.co_firstlineno + offset} in {fn.__name__})"


def test_an_exception(capsys: pytest.CaptureFixture[str]) -> None:
    def deeper() -> None:
        raise ValueError("no such row")

    def fn() -> None:
        deeper()

    assert failure(fn) == ("OpFailed", f"ValueError: no such row {line_of(deeper, 1)}")
    shown = capsys.readouterr().err
    assert "ValueError: no such row" in shown
    assert "test_step.py" in shown
    assert "runtime/pod/step.py" not in shown


def test_an_exception_in_a_library_is_laid_to_the_line_that_called_it() -> None:
    def fn() -> None:
        import json

        json.loads("{")

    assert failure(fn)[1].endswith(f"(char 1) {line_of(fn, 3)}")


class OwnError(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (SystemExit("bye"), "SystemExit: bye"),
        (KeyboardInterrupt(), "KeyboardInterrupt "),
        (asyncio.CancelledError(), "CancelledError "),
        (OwnError("x"), "OwnError: x"),
        (DefinitionError("Odd", "x"), "DefinitionError: x"),
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError("\ud800"), "ValueError: "),
    ],
)
def test_whatever_is_raised_is_recorded(error: BaseException, shown: str) -> None:
    def fn() -> None:
        raise error

    reason, message = failure(fn)
    assert reason == "OpFailed"
    assert message.startswith(shown)
    assert message.endswith(line_of(fn, 1))


def test_sys_exit_in_an_op() -> None:
    def fn() -> None:
        sys.exit(0)

    assert failure(fn) == ("OpFailed", f"SystemExit: 0 {line_of(fn, 1)}")


def test_a_generator_that_fails_midway() -> None:
    def fn() -> Iterator[Output]:
        yield Output(1, "a")
        raise ValueError("x")

    assert failure(fn, out=TWO) == ("OpFailed", f"ValueError: x {line_of(fn, 2)}")


def test_a_value_whose_repr_fails() -> None:
    class Bad:
        def __repr__(self) -> str:
            raise ValueError("no repr")

    assert failure(lambda: Bad(), out=TWO)[1].startswith("ValueError: no repr (test_step.py line ")


def test_an_endless_message_fits() -> None:
    def fn() -> None:
        raise ValueError("\U0001f600\n" * 100_000)

    assert len(run(fn).to_text().encode()) <= 4_096


@pytest.mark.parametrize("fails", [False, True])
def test_the_times_enclose_the_op_alone(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])

    def fn() -> Any:
        clock[0] += 2.5
        if fails:
            raise ValueError
        yield Output(1)
        clock[0] += 1.25

    from podgraph.runtime.pod import step

    plain = step.pass_on

    def slow(*args: Any) -> Any:
        clock[0] += 100
        return plain(*args)

    monkeypatch.setattr(step, "pass_on", slow)
    record = run(fn)
    assert seconds_of(record.start_time) == 1_000
    assert seconds_of(record.completion_time) == 1_002.5 if fails else 1_003.75


def test_an_op_that_is_not_there() -> None:
    made = job(name="j")(lambda: op(name="f")(lambda: 1)())
    with pytest.raises(DefinitionError, match="the code no longer has op 'g'") as caught:
        run_step(made, Assignment("g", "n", "r"))
    assert caught.value.reason == "UnknownOp"


def test_what_an_op_says_about_another_attempt_is_in_its_record() -> None:
    def asks() -> None:
        raise RetryRequested(max_retries=3, seconds_to_wait=1.5)

    def refuses() -> None:
        raise Failure("no use", allow_retries=False)

    assert run(asks).retry == {"max": 3, "seconds": 1.5}
    assert run(refuses).retry == {"allow": False}
    assert run(lambda: 1 / 0).retry == {}
    for record in (run(asks), run(refuses)):
        assert Record.from_text(record.to_text()) == record


def test_the_retry_number_counts_all_attempts_and_the_policy_only_the_op_s_own() -> None:
    told: list[str] = []

    @failure_hook
    def tell(context: Any) -> None:
        told.append("failed for good")

    @op(retry_policy=RetryPolicy(max_retries=1))
    def f(context: Any) -> None:
        raise ValueError(context.retry_number)

    @job(hooks={tell})
    def j() -> None:
        f()

    record = run_step(j, Assignment("f", "n", "run-1", attempt=3, lost=2))
    assert record.message.startswith("ValueError: 2")
    assert told == []
    run_step(j, Assignment("f", "n", "run-1", attempt=3, lost=1))
    assert told == ["failed for good"]
