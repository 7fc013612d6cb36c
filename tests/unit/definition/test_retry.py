"""When an op is tried again: the policy's numbers, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest

from podgraph import Backoff, DefinitionError, Failure, Jitter, RetryPolicy, RetryRequested, job, op

LINEAR, EXPONENTIAL = Backoff.LINEAR, Backoff.EXPONENTIAL


def delays(policy: RetryPolicy, chance: float = 0.5) -> list[float]:
    return [policy.seconds_before(retry, lambda: chance) for retry in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetryPolicy(), [0, 0, 0, 0]),
        (RetryPolicy(delay=0.5), [0.5, 0.5, 0.5, 0.5]),
        (RetryPolicy(delay=2, backoff=LINEAR), [2, 4, 6, 8]),
        (RetryPolicy(delay=2, backoff=EXPONENTIAL), [2, 6, 14, 30]),
        (RetryPolicy(delay=0, backoff=EXPONENTIAL), [0, 0, 0, 0]),
    ],
)
def test_delays_grow_as_dagsters_do(policy: RetryPolicy, expected: list[float]) -> None:
    assert delays(policy) == expected


@pytest.mark.parametrize(
    ("backoff", "jitter", "chance", "expected"),
    [
        (None, Jitter.FULL, 0.25, [0.5, 0.5, 0.5, 0.5]),
        (LINEAR, Jitter.FULL, 0.25, [0.5, 1, 1.5, 2]),
        (EXPONENTIAL, Jitter.FULL, 0.0, [0, 0, 0, 0]),
        (None, Jitter.PLUS_MINUS, 0.0, [0, 0, 0, 0]),
        (None, Jitter.PLUS_MINUS, 0.75, [3, 3, 3, 3]),
        (LINEAR, Jitter.PLUS_MINUS, 0.0, [0, 2, 4, 6]),
        (EXPONENTIAL, Jitter.PLUS_MINUS, 0.75, [3, 7, 15, 31]),
    ],
)
def test_jitter(backoff: Backoff | None, jitter: Jitter, chance: float, expected: list[float]) -> None:
    assert delays(RetryPolicy(delay=2, backoff=backoff, jitter=jitter), chance) == expected


def test_chance_differs_each_time() -> None:
    policy = RetryPolicy(delay=10, jitter=Jitter.FULL)
    found = {policy.seconds_before(1) for _ in range(20)}
    assert len(found) > 1
    assert all(0 <= seconds < 10 for seconds in found)


def test_thousands_of_retries_do_not_overflow() -> None:
    assert RetryPolicy(delay=1, backoff=EXPONENTIAL).seconds_before(1_000_000) > 1e300


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_retries": -1}, "max_retries is -1; it must be an integer of at least 0"),
        ({"max_retries": True}, "max_retries is True; it must be an integer of at least 0"),
        ({"max_retries": 1.5}, "max_retries is 1.5; it must be an integer of at least 0"),
        ({"delay": -1}, "delay is -1; it must be a number of seconds of at least 0"),
        ({"delay": "1"}, "delay is '1'; it must be a number of seconds of at least 0"),
        ({"delay": math.nan}, "delay is nan; it must be a number of seconds of at least 0"),
        ({"delay": math.inf}, "delay is inf; it must be a number of seconds of at least 0"),
        ({"delay": 1, "backoff": "LINEAR"}, "backoff is 'LINEAR'; it must be Backoff.LINEAR or Backoff.EXPONENTIAL"),
        ({"delay": 1, "jitter": 3}, "jitter is 3; it must be Jitter.FULL or Jitter.PLUS_MINUS"),
        ({"backoff": LINEAR}, "backoff is set without a delay; set delay too"),
        ({"jitter": Jitter.FULL}, "jitter is set without a delay; set delay too"),
    ],
)
def test_numbers_that_make_no_sense(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        RetryPolicy(**fields)
    assert (caught.value.reason, caught.value.message) == ("InvalidRetryPolicy", f"retry policy: {message}")


@pytest.mark.parametrize(
    "policy",
    [RetryPolicy(), RetryPolicy(0), RetryPolicy(3, 0.5), RetryPolicy(2, 1, EXPONENTIAL, Jitter.PLUS_MINUS)],
)
def test_as_plain_data_and_back(policy: RetryPolicy) -> None:
    assert RetryPolicy.from_dict(policy.to_dict()) == policy


def test_what_an_op_raises() -> None:
    asked, failed = RetryRequested(2, 3), Failure("the table is empty", {"table": "x"}, allow_retries=False)
    assert (asked.max_retries, asked.seconds_to_wait, str(asked)) == (2, 3.0, "the op requested a retry")
    assert (RetryRequested().max_retries, RetryRequested().seconds_to_wait) == (1, 0.0)
    assert (failed.description, failed.metadata, failed.allow_retries) == ("the table is empty", {"table": "x"}, False)
    assert (Failure().description, Failure().metadata, Failure().allow_retries) == ("", {}, True)


def test_the_nearest_policy_counts() -> None:
    own, placed, whole = RetryPolicy(1), RetryPolicy(2), RetryPolicy(3)
    plain, kept = op(name="plain")(lambda: 1), op(name="kept", retry_policy=own)(lambda: 1)

    @job(op_retry_policy=whole)
    def my_job() -> None:
        plain()
        kept()
        kept.with_retry_policy(placed).alias("placed")()

    assert {name: node.retry for name, node in my_job.graph.ops.items()} == {
        "plain": whole,
        "kept": own,
        "placed": placed,
    }
    assert kept.retry_policy is own


def test_what_is_no_policy() -> None:
    made = op(name="f")(lambda: 1)
    told = "has the retry policy 3, which is not a RetryPolicy; use RetryPolicy(max_retries=3)"
    for where, make in (
        ("op 'f'", lambda: op(name="f", retry_policy=3)(lambda: 1)),  # type: ignore[call-overload]
        ("op 'f'", lambda: made.with_retry_policy(3)),  # type: ignore[arg-type]
        ("job 'j'", lambda: job(name="j", op_retry_policy=3)(lambda: made())),  # type: ignore[call-overload]
    ):
        with pytest.raises(DefinitionError) as caught:
            make()
        assert (caught.value.reason, caught.value.message) == ("InvalidRetryPolicy", f"{where} {told}")
