"""Whether and when an attempt is followed by another."""

from __future__ import annotations

import pytest

from podgraph.definition.graph import Op
from podgraph.definition.retry import Backoff, Jitter, RetryPolicy
from podgraph.planning.pods.fault import Fault, fault_of
from podgraph.planning.steps.retry_policy import jitter_of, seconds_until_retry
from podgraph.protocol.errors import ErrorInfo

ERROR = ErrorInfo("OpFailed", "x")
APPLICATION, INFRASTRUCTURE, LASTING = Fault.APPLICATION, Fault.INFRASTRUCTURE, Fault.PERMANENT


def seconds(
    fault: Fault, attempt: int, lost: int = 0, error: ErrorInfo = ERROR, policy: RetryPolicy | None = None
) -> float | None:
    return seconds_until_retry(Op("a", retry=policy), fault, error, attempt, lost, 3, lambda: 0.5)


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("ContainerFailed", APPLICATION),
        ("OOMKilled", APPLICATION),
        ("StartError", APPLICATION),
        ("Timeout", APPLICATION),
        ("Evicted", INFRASTRUCTURE),
        ("Preempting", INFRASTRUCTURE),
        ("NodeLost", INFRASTRUCTURE),
        ("NodeShutdown", INFRASTRUCTURE),
        ("PodDeleted", INFRASTRUCTURE),
        ("PendingTimeout", INFRASTRUCTURE),
        ("ContainerStatusUnknown", INFRASTRUCTURE),
        ("OutOfcpu", INFRASTRUCTURE),
        ("OutOfMoney", APPLICATION),
    ],
)
def test_whose_fault_it_is(reason: str, fault: Fault) -> None:
    assert fault_of(reason) is fault


def test_the_op_s_budget_is_its_policy() -> None:
    policy = RetryPolicy(2, 10, Backoff.EXPONENTIAL)
    assert [seconds(APPLICATION, n, policy=policy) for n in (1, 2, 3)] == [10, 30, None]
    assert seconds(APPLICATION, 1) is None
    assert seconds(APPLICATION, 1, policy=RetryPolicy(1, 10, jitter=Jitter.FULL)) == 5


def test_what_the_cluster_took_is_not_counted_against_the_op() -> None:
    policy = RetryPolicy(1, 10)
    assert seconds(APPLICATION, 3, lost=2, policy=policy) == 10
    assert seconds(APPLICATION, 4, lost=2, policy=policy) is None
    # And what the op did is not counted against the cluster.
    assert seconds(INFRASTRUCTURE, 9, lost=2) is not None


def test_the_cluster_s_budget_backs_off() -> None:
    assert [seconds(INFRASTRUCTURE, n + 1, lost=n) for n in range(4)] == [5.625, 11.25, 22.5, None]
    assert seconds_until_retry(Op("a"), INFRASTRUCTURE, ERROR, 51, 50, 100, lambda: 0.0) == 300


def test_what_the_op_said_counts_before_its_policy() -> None:
    asks, refuses = ErrorInfo("OpFailed", "x", requested=(1, 7.0)), ErrorInfo("OpFailed", "x", allow_retries=False)
    assert seconds(APPLICATION, 1, error=asks) == 7
    assert seconds(APPLICATION, 2, error=asks, policy=RetryPolicy(5)) is None
    assert seconds(APPLICATION, 1, error=refuses, policy=RetryPolicy(5)) is None


def test_nothing_mends_what_lasts() -> None:
    assert seconds(LASTING, 1, policy=RetryPolicy(5)) is None


def test_chance_is_spread_and_always_the_same() -> None:
    found = [jitter_of("uid", "op", n)() for n in range(200)]
    assert found == [jitter_of("uid", "op", n)() for n in range(200)]
    assert all(0 <= value < 1 for value in found)
    assert 0.4 < sum(found) / 200 < 0.6
