"""When a Job is ended before its steps are done."""

from __future__ import annotations

from podgraph.planning.model.execution import Control
from podgraph.planning.steps.active_deadline import deadline_of
from podgraph.planning.steps.stop import Stop, stop_of

START = "1970-01-01T00:01:40.000000Z"


def test_a_cancel_counts_before_a_deadline() -> None:
    stop = stop_of(Control(cancel=True), START, 10, 1_000)
    assert stop is not None
    assert stop.reason == "Canceled"
    assert stop_of(Control(cancel=True), None, None, 0) == stop


def test_a_deadline_is_counted_from_the_start() -> None:
    assert deadline_of(START, 10) == 110
    assert stop_of(Control(), START, 10, 109.9) is None
    assert stop_of(Control(suspend=True), START, 10, 110) == Stop(
        "DeadlineExceeded", "the job was not done within 10 seconds (spec.activeDeadlineSeconds)"
    )


def test_what_has_not_begun_or_has_no_deadline_goes_on() -> None:
    assert deadline_of(None, 10) is None
    assert stop_of(Control(), None, 10, 1e12) is None
    assert stop_of(Control(), START, None, 1e12) is None
