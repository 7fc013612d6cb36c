"""The ticks of a schedule: cron expressions in a time zone, or an interval. Times are seconds since the epoch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from podgraph.definition.cron import ALIASES, check_cron
from podgraph.definition.errors import DefinitionError, nearest

__all__ = ["Cron", "Interval", "Timing", "due_ticks", "read_cron", "read_zone"]

_FIRST_SPAN = 60.0
_SHOWN = 100  # characters of user input in a message


class Timing(Protocol):
    """Computes the times of ticks."""

    @property
    def text(self) -> str:
        """The timing for display; different timings have different texts."""

    def next_after(self, time: float) -> float | None:
        """Return the first tick after `time`, None if there is none."""


@dataclass(frozen=True)
class Interval:
    """A tick at each multiple of `seconds` since the epoch."""

    seconds: int

    @property
    def text(self) -> str:
        """The timing for display."""
        return f"every {self.seconds} s"

    def next_after(self, time: float) -> float:
        """Return the first tick after `time`.

        >>> Interval(10).next_after(20), Interval(10).next_after(19.5)
        (30.0, 20.0)
        """
        return float((time // self.seconds + 1) * self.seconds)


@dataclass(frozen=True)
class Cron:
    """A tick at each time that one of the expressions selects in the time zone `zone`."""

    expressions: tuple[str, ...]
    zone: ZoneInfo

    @property
    def text(self) -> str:
        """The timing for display."""
        zone = "" if self.zone.key == "UTC" else f" {self.zone.key}"
        return "; ".join(self.expressions) + zone

    def next_after(self, time: float) -> float | None:
        """Return the first tick after `time`.

        >>> Cron(("@daily",), ZoneInfo("UTC")).next_after(1)
        86400.0
        """
        found = [_next_after_minute(text, self.zone, time // 60) for text in self.expressions]
        return min((tick for tick in found if tick is not None), default=None)


@functools.lru_cache(maxsize=4_096)
def _next_after_minute(text: str, zone: ZoneInfo, minute: float) -> float | None:
    """Return the first tick after the start of a minute; all times in it have the same: ticks are full minutes.

    The cache helps because many schedules call this at each full minute, and each of them more than once.
    """
    # The result is the same for any zone named UTC, and cronsim has a fast path for `datetime.UTC`.
    return _next(_plain(text), UTC if zone.key == "UTC" else zone, 60 * minute)


def _plain(text: str) -> str:
    """Return an expression in the syntax of cronsim."""
    return ALIASES.get(text, text).replace("?", "*")


def _next(expression: str, zone: tzinfo, time: float) -> float | None:
    for tick in CronSim(expression, datetime.fromtimestamp(time, zone)):
        # For an hour that occurs twice cronsim returns the first occurrence, which may be over.
        if (seconds := tick.timestamp()) > time:
            return seconds
    return None


def read_cron(expressions: tuple[str, ...], zone: str) -> Cron:
    """Return the timing of cron expressions. Raises DefinitionError (`InvalidSchedule`, `UnknownTimeZone`)."""
    where = read_zone(zone)
    texts = tuple(" ".join(text.split()) for text in expressions)
    for text in texts:
        _check(text)
    return Cron(tuple(dict.fromkeys(texts)), where)


def _check(text: str) -> None:
    plain = check_cron(text)
    try:
        never = _next(plain, UTC, 0.0) is None
    except CronSimError as error:
        shown = text[:_SHOWN]
        raise DefinitionError("InvalidSchedule", f"{shown!r} is not a valid cron expression: {error}") from None
    if never:
        raise DefinitionError("InvalidSchedule", f"{text[:_SHOWN]!r} selects a time that never occurs")


def read_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises DefinitionError (`UnknownTimeZone`)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = nearest(name[:_SHOWN], available_timezones())
        raise DefinitionError("UnknownTimeZone", f"unknown time zone {name[:_SHOWN]!r}{hint}") from None


def due_ticks(timing: Timing, after: float, now: float, most: int) -> tuple[list[float], bool]:
    """Return the latest ticks after `after` and up to `now`, at most `most`, and whether there are earlier ones.

    It searches back from `now` in growing spans, so that a long gap costs no more than a short one.

    >>> due_ticks(Interval(10), 0, 1_000_000, 2)
    ([999990.0, 1000000.0], True)
    """
    span = _FIRST_SPAN
    while True:
        start = max(after, now - span)
        found: list[float] = []
        tick = timing.next_after(start)
        while tick is not None and tick <= now:
            found.append(tick)
            tick = timing.next_after(tick)
        if start <= after or len(found) > most:
            return found[-most:], len(found) > most
        span *= 4
