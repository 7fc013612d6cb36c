"""The one error a user's definition can raise."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

__all__ = ["DefinitionError", "nearest"]

_MOST_COMPARED = 50  # exact comparison is slow: these are the most names that are worth it


class DefinitionError(Exception):
    """A job, selection or run config that cannot run as written.

    `reason` is one CamelCase word (a Kubernetes condition reason), `message` one sentence for a person that says
    what is wrong, where, and what is allowed. `stack` is the traceback through the user's code
    where it has more to say.

    >>> str(DefinitionError("UnknownOp", "no op is named 'x'"))
    "no op is named 'x'"
    """

    def __init__(self, reason: str, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.stack = stack


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a closing hint that names the closest known name, or the known names when they are few.

    >>> nearest("ad_two", ["add_two", "return_one"])
    "; did you mean 'add_two'?"
    >>> nearest("zzz", ["a", "b"])
    '; there are: a, b'
    """
    import difflib  # takes its time, and a job that is right needs none of it

    names = list(known)
    likely = names if len(names) <= _MOST_COMPARED else heapq.nlargest(_MOST_COMPARED, names, lambda n: _alike(name, n))
    close = difflib.get_close_matches(name, likely, n=1, cutoff=0.6)
    if not close:
        folded = {n.casefold(): n for n in names}
        close = [folded[name.casefold()]] if name.casefold() in folded else []
    if close:
        return f"; did you mean {close[0]!r}?"
    if not names:
        return "; there are none"
    shown = ", ".join(names[:8])
    return f"; there are: {shown}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _alike(name: str, other: str) -> int:
    """Return how much two names look alike at a glance: what they begin and end with, less what one is longer."""
    ends = _common(name, other) + _common(name[::-1], other[::-1])
    return ends - abs(len(name) - len(other))


def _common(name: str, other: str) -> int:
    differs = (at for at, (mine, its) in enumerate(zip(name, other)) if mine != its)
    return next(differs, min(len(name), len(other)))
