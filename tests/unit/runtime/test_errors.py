"""What is kept of an error, and whether it lets its op be tried again."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from podgraph import Backoff, Failure, RetryPolicy, RetryRequested
from podgraph.definition.graph import Op
from podgraph.protocol.errors import ErrorInfo, seconds_to_retry
from podgraph.protocol.step import StepError
from podgraph.runtime.errors import error_info, error_text, portable


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


PLACE = f"(test_errors.py line {raised.__code__.co_firstlineno + 2} in raised)"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no row"), f"ValueError: no row {PLACE}"),
        (ValueError(), f"ValueError {PLACE}"),
        (KeyError("k"), f"KeyError: 'k' {PLACE}"),
        (SystemExit(3), f"SystemExit: 3 {PLACE}"),
        (asyncio.CancelledError(), f"CancelledError {PLACE}"),
        (Mute(), f"Mute {PLACE}"),
        (Failure("the table is empty"), f"the table is empty {PLACE}"),
        (Failure(), f"the op raised Failure {PLACE}"),
        (RetryRequested(), f"the op requested a retry {PLACE}"),
    ],
)
def test_what_an_op_raised(error: BaseException, message: str) -> None:
    info = error_info(raised(error))
    assert (info.reason, info.message, info.cls_name) == ("OpFailed", message, type(error).__name__)
    assert "raise error" in info.stack


def test_an_error_of_ours_is_told_without_a_traceback() -> None:
    assert error_info(raised(StepError("WrongOutputs", "no such"))) == ErrorInfo("WrongOutputs", "no such", "StepError")


def test_the_reason_for_a_requested_retry() -> None:
    def fn() -> None:
        try:
            raised_by = OSError("down")
            raise raised_by
        except OSError as error:
            raise RetryRequested(2, 1.5) from error

    with pytest.raises(RetryRequested) as caught:
        fn()
    info = error_info(caught.value)
    line = fn.__code__.co_firstlineno + 3
    assert (info.message, info.requested) == (f"OSError: down (test_errors.py line {line} in fn)", (2, 1.5))


def test_what_a_failure_says_beside_its_message() -> None:
    info = error_info(Failure("x", {"rows": 3}, allow_retries=False))
    assert (info.metadata, info.allow_retries) == ({"rows": 3}, False)


def test_said() -> None:
    assert [error_text(e) for e in (ValueError("x"), ValueError(), Mute())] == ["ValueError: x", "ValueError", "Mute"]


def test_portable_metadata() -> None:
    info = ErrorInfo("OpFailed", "x", metadata={"rows": [3], "fn": lambda: 1, 1: {2}})  # type: ignore[dict-item]
    moved = pickle.loads(pickle.dumps(portable(info)))
    assert moved.metadata["rows"] == [3]
    assert moved.metadata["fn"].startswith("<function ")
    assert moved.metadata["1"] == "{2}"


PLAIN = error_info(ValueError())


@pytest.mark.parametrize(
    ("policy", "error", "seconds"),
    [
        (None, PLAIN, [None, None, None]),
        (RetryPolicy(2), PLAIN, [0, 0, None]),
        (RetryPolicy(0), PLAIN, [None, None, None]),
        (RetryPolicy(2, 1, Backoff.EXPONENTIAL), PLAIN, [1, 3, None]),
        (RetryPolicy(2), error_info(Failure(allow_retries=False)), [None, None, None]),
        (RetryPolicy(1), error_info(Failure()), [0, None, None]),
        (None, error_info(RetryRequested(2, 5)), [5, 5, None]),
        (RetryPolicy(9), error_info(RetryRequested(1)), [0, None, None]),
    ],
)
def test_seconds_to_the_next_attempt(policy: RetryPolicy | None, error: ErrorInfo, seconds: list[Any]) -> None:
    assert [seconds_to_retry(Op("f", retry=policy), error, attempt) for attempt in (1, 2, 3)] == seconds
