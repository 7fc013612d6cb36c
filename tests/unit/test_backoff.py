"""Pauses that double with each failure."""

from __future__ import annotations

from podgraph.backoff import ExponentialBackoff


def test_a_pause_doubles_up_to_the_longest() -> None:
    assert [ExponentialBackoff(0.5, 3).seconds(n) for n in range(5)] == [0.5, 1, 2, 3, 3]


def test_many_failures_do_not_overflow() -> None:
    assert ExponentialBackoff(0.2, 60).seconds(10**9) == 60


def test_jitter_stays_between_its_two_factors() -> None:
    backoff = ExponentialBackoff(4, 60, jitter=(0.5, 1.0))
    assert [backoff.seconds(1, draw) for draw in (0.0, 0.5, 1.0)] == [4, 6, 8]
    assert ExponentialBackoff(5, 300, jitter=(1.0, 1.25)).seconds(9, 0.5) == 337.5


def test_a_first_pause_of_nothing_stays_nothing() -> None:
    assert ExponentialBackoff(0, 60).seconds(7, 0.9) == 0
