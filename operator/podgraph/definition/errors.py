"""The error that an invalid definition raises, and hints at similar names."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["DefinitionError", "nearest"]

_CLOSE = 0.6  # minimum similarity of two names for a "did you mean" hint
_LONGEST = 128
_MOST_COMPARED = 100_000  # characters of all known names
_MOST_SHOWN = 260  # characters of a name in a message


class DefinitionError(Exception):
    """A job, selection or run config is not valid.

    `reason` is one CamelCase word (a Kubernetes condition reason). `message` is one sentence: what is wrong, where,
    and what is allowed. `stack` is the traceback through the user's code, "" if it adds nothing.

    >>> str(DefinitionError("UnknownOp", "no op is named 'x'"))
    "no op is named 'x'"
    """

    def __init__(self, reason: str, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.stack = stack


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for the end of a message: the most similar known name, or else the first known names.

    Users write both, so the number of characters compared is limited.

    >>> nearest("ad_two", ["add_two", "return_one"])
    "; did you mean 'add_two'?"
    >>> nearest("zzz", ["a", "b"])
    '; there are: a, b'
    """
    names = list(known)
    close = _closest(name[:_LONGEST], names)
    if close is None and len(name) <= _MOST_COMPARED:
        wanted = name.casefold()
        close = next((n for n in names if len(n) <= 3 * len(name) and n.casefold() == wanted), None)
    if close is not None:
        return f"; did you mean {_cut(close)!r}?"
    if not names:
        return "; there are none"
    shown = ", ".join(map(_cut, names[:8]))
    return f"; there are: {shown}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _closest(name: str, names: list[str]) -> str | None:
    """Return the name that is most similar to `name`, None if none is similar enough (`_CLOSE`)."""
    places: dict[str, int] = {}
    for at, letter in enumerate(name):
        places[letter] = places.get(letter, 0) | 1 << at
    best, most, room = None, _CLOSE, _MOST_COMPARED
    for other in names:
        text = other[:_LONGEST]
        room -= len(text) + 1
        if room < 0:
            break
        both = len(name) + len(text)
        if both and 2 * min(len(name), len(text)) >= most * both:
            alike = 2 * _common(places, len(name), text) / both
            if alike > most or (best is None and alike == most):
                best, most = other, alike
    return best


def _common(places: dict[str, int], size: int, other: str) -> int:
    """Return the length of the longest common subsequence. `places` maps each letter to its positions.

    The positions are the bits of one integer, so each letter of `other` takes one step (Hyyrö, 2004).
    """
    whole = row = (1 << size) - 1
    for letter in other:
        found = row & places.get(letter, 0)
        row = (row + found | row - found) & whole
    return size - row.bit_count() if hasattr(row, "bit_count") else size - bin(row).count("1")  # Python 3.9


def _cut(name: str) -> str:
    return name if len(name) <= _MOST_SHOWN else name[: _MOST_SHOWN - 3] + "..."
