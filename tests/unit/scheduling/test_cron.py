"""Which times a schedule names: cron expressions, changes of the clocks, intervals, and what is no schedule."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.cron import Interval, due_ticks, read_cron

BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def ticks(expression: str, zone: str, after: str, count: int) -> list[str]:
    timing, time, found = read_cron((expression,), zone), at(after), []
    for _ in range(count):
        tick = timing.next_after(time)
        assert tick is not None
        assert tick > time
        found.append(datetime.fromtimestamp(tick, ZoneInfo(zone)).isoformat())
        time = tick
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("@daily", "UTC", "2026-11-24T00:00:00+00:00", ["2026-11-25T00:00:00+00:00", "2026-11-26T00:00:00+00:00"]),
        ("*/15 9 * * MON-FRI", "UTC", "2026-11-20T09:40:00+00:00",
         ["2026-11-20T09:45:00+00:00", "2026-11-23T09:00:00+00:00"]),
        ("0 0 29 2 *", "UTC", "2026-11-24T00:00:00+00:00", ["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"]),
        ("0 12 L * *", "UTC", "2027-02-01T00:00:00+00:00", ["2027-02-28T12:00:00+00:00", "2027-03-31T12:00:00+00:00"]),
        # Clocks go from 02:00 to 03:00: what is left out is right after, on that day alone.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00:00+01:00", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("0,30 2 * * *", BERLIN, "2026-03-28T12:00:00+01:00",
         ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]),
        ("0 * * * *", BERLIN, "2026-03-29T01:00:00+01:00", ["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]),
        # Clocks go from 03:00 back to 02:00: a time of day comes once, each hour and minute goes on.
        ("30 2 * * *", BERLIN, "2026-10-25T00:00:00+02:00", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        ("30 2 * * *", BERLIN, "2026-10-25T02:15:00+01:00", ["2026-10-26T02:30:00+01:00"]),
        ("0 * * * *", BERLIN, "2026-10-25T01:00:00+02:00",
         ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]),
        ("*/30 * * * *", BERLIN, "2026-10-25T02:00:00+02:00",
         ["2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00"]),
        ("0 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", ["2026-03-08T03:00:00-04:00"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", ["2026-10-04T02:30:00+11:00"]),
    ],
)  # fmt: skip
def test_cron(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert ticks(expression, zone, after, len(expected)) == expected


def test_several_expressions_make_one_tick_where_they_meet() -> None:
    timing = read_cron(("0 0 * * *", "0 */12 * * *"), "UTC")
    assert due_ticks(timing, at("2026-11-24T00:00:00+00:00"), at("2026-11-25T12:00:00+00:00"), 9)[0] == [
        at("2026-11-24T12:00:00+00:00"), at("2026-11-25T00:00:00+00:00"), at("2026-11-25T12:00:00+00:00")
    ]  # fmt: skip
    assert timing.text == "0 0 * * *; 0 */12 * * *"


@pytest.mark.parametrize(
    ("expressions", "zone", "reason", "part"),
    [
        (("* * * *",), "UTC", "InvalidSchedule", "must have five fields (minute, hour, day of month"),
        (("0 * * * * *",), "UTC", "InvalidSchedule", "not 6"),
        (("61 * * * *",), "UTC", "InvalidSchedule", "'61 * * * *' is not a valid cron expression: its minute is wrong"),
        (("0 0 * * MOO",), "UTC", "InvalidSchedule", "its day-of-week is wrong"),
        (("@dayly",), "UTC", "InvalidSchedule", "did you mean '@daily'?"),
        (("@reboot",), "UTC", "InvalidSchedule", "'@reboot' is not a valid cron expression"),
        (("0 0 */31 2 MON#5",), "UTC", "InvalidSchedule", "selects a time that never occurs"),
        (("@daily", "x"), "UTC", "InvalidSchedule", "'x' is not a valid cron expression"),
        (("@daily",), "Europe/Belin", "UnknownTimeZone", "did you mean 'Europe/Berlin'?"),
        (("@daily",), "../etc", "UnknownTimeZone", "unknown time zone '../etc'"),
    ],
)
def test_what_is_no_schedule(expressions: tuple[str, ...], zone: str, reason: str, part: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read_cron(expressions, zone)
    assert refused.value.reason == reason
    assert part in refused.value.message


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 */5 * * *", "0 0 1 * *", "15 1-3 * * SUN"]),
    st.sampled_from(["UTC", BERLIN, "America/New_York"]),
    st.floats(1_700_000_000, 1_900_000_000),
    st.floats(0, 400_000),
    st.integers(1, 40),
)
def test_due_ticks_are_the_last_of_all_ticks(
    expression: str, zone: str, after: float, length: float, most: int
) -> None:
    timing, every = read_cron((expression,), zone), []
    tick = timing.next_after(after)
    while tick is not None and tick <= after + length:
        every.append(tick)
        tick = timing.next_after(tick)
    assert due_ticks(timing, after, after + length, most) == (every[-most:], len(every) > most)


def test_a_long_absence_looks_at_few_ticks() -> None:
    class Counted(Interval):
        calls = 0

        def next_after(self, time: float) -> float:
            Counted.calls += 1
            return super().next_after(time)

    found, more = due_ticks(Counted(1), 0, 2_000_000_000, 100)
    assert (found[-1], len(found), more, Counted.calls < 1_000) == (2_000_000_000, 100, True, True)
