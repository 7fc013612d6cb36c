"""Validation of cron expressions with the standard library alone, as a step image may have no packages.

It accepts the expressions with five fields that `cronsim` accepts, which the operator uses, and `?` for `*`.
"""

from __future__ import annotations

from podgraph.definition.errors import DefinitionError, nearest

__all__ = ["ALIASES", "check_cron"]

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_MOST_CHARACTERS = 1_024
_MOST_DIGITS = 4
_MONTHS = dict(zip(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], range(1, 13)))
_DAYS = dict(zip(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], range(7)))
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}), ("hour", 0, 23, {}), ("day-of-month", 1, 31, {}), ("month", 1, 12, _MONTHS),
    ("day-of-week", 0, 7, _DAYS),
)  # fmt: skip
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _WrongError(ValueError):
    """A part of a field is not valid."""


def check_cron(text: str) -> str:
    """Return a cron expression with five fields. Raises DefinitionError (`InvalidSchedule`) if it is not valid.

    >>> check_cron("@daily"), check_cron(" 0 12 ?  * MON-FRI")
    ('0 0 * * *', '0 12 * * MON-FRI')
    """
    shown = repr(text if len(text) <= 80 else f"{text[:77]}...")
    if text.strip().startswith("@"):
        name = text.strip()
        if name not in ALIASES:
            raise _invalid(f"{shown} is not a valid cron expression{nearest(name[:80], ALIASES)}")
        return ALIASES[name]
    fields = text.replace("?", "*").split()
    if len(text) > _MOST_CHARACTERS:
        raise _invalid(f"{shown} is not a valid cron expression: it has more than {_MOST_CHARACTERS:,} characters")
    if len(fields) != len(_FIELDS):
        names = "minute, hour, day of month, month, day of week"
        raise _invalid(f"{shown} is not a valid cron expression: it must have five fields ({names}), not {len(fields)}")
    found: list[set[int]] = []
    for field, (name, low, high, words) in zip(fields, _FIELDS):
        try:
            found.append(_values(field.upper(), name, low, high, words))
        except _WrongError as error:
            raise _invalid(
                f"{shown} is not a valid cron expression: its {name} is wrong: {str(error)[:80]!r}; "
                f"it goes from {low} to {high}"
            ) from None
    days, months = found[2], found[3]
    # If one of the two day fields has a star, both must match; otherwise one of them is enough.
    both = fields[2].startswith("*") or fields[4].startswith("*")
    if both and days and min(days) > max(_LENGTHS[month - 1] for month in months):
        raise _invalid(f"{shown} selects a date that never occurs: none of its months has {min(days)} days")
    return " ".join(fields)


def _values(text: str, name: str, low: int, high: int, words: dict[str, int]) -> set[int]:
    """Return the numbers that a field selects; empty if it selects days that differ from month to month."""
    if "," in text:
        parts = [_values(part, name, low, high, words) for part in text.split(",")]
        return set().union(*parts) if all(parts) else set()
    if name == "day-of-week":
        if text.endswith("L") and text[:-1].isdecimal():
            _number(text[:-1], low, high, words)
            return set()
        if "#" in text:
            day, _, which = text.partition("#")
            _number(day, low, high, words)
            _number(which, 1, 5, {})
            return set()
    if "/" in text:
        base, _, step = text.partition("/")
        items = _values(base, name, low, high, words)
        width = _number(step, 1, 10**_MOST_DIGITS, {})
        if len(items) == 1:
            return set(range(min(items), high + 1, width))
        return set(sorted(items)[::width])
    if text == "*":
        return set(range(low, high + 1))
    if "-" in text:
        first, _, last = text.partition("-")
        begin, end = _number(first, low, high, words), _number(last, low, high, words)
        if end < begin:
            raise _WrongError(text)
        return set(range(begin, end + 1))
    if name == "day-of-month" and text in ("L", "LW"):
        return set()
    return {_number(text, low, high, words)}


def _number(text: str, low: int, high: int, words: dict[str, int]) -> int:
    if text in words:
        return words[text]
    if not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS or not low <= int(text) <= high:
        raise _WrongError(text)
    return int(text)


def _invalid(message: str) -> DefinitionError:
    return DefinitionError("InvalidSchedule", message)
