"""How long an answer is waited for."""

from __future__ import annotations

from podgraph.cluster.polling import looks


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def looks_within(seconds: float, each: float) -> list[float]:
    """Return when each look begins, with a clock that goes on by a pause and by what a look takes."""
    clock, at = Clock(), []
    for pause in looks(seconds, clock):
        at.append(round(clock.now - 100.0, 3))
        clock.now += each + pause
    return at


def test_it_looks_until_the_time_is_over() -> None:
    assert looks_within(1.0, 0.0) == [0, 0.3, 0.6, 0.9]
    assert looks_within(1.0, 0.5) == [0, 0.8]


def test_it_looks_once_when_there_is_no_time() -> None:
    assert looks_within(0, 0.0) == looks_within(-5, 1.0) == [0]
