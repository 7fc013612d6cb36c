"""The engine that checks `pattern` of a config schema.

Both the pattern and the text come from users, and the standard library's engine may try all ways to match: it takes
for ever where it is made to. That is harmless in a user's own process, so it is the default. A process that works for
many users sets another engine (see planning.model.patterns).
"""

from __future__ import annotations

import re
from typing import Callable, Optional

__all__ = ["Engine", "InvalidPattern", "Search", "backtracking", "compiled", "use"]

Search = Callable[[str], Optional[bool]]
"""Whether the pattern is found in a text; None when that is not to be said here, but in the step's own pod."""
Engine = Callable[[str], Search]
"""Returns the search of a pattern. Raises InvalidPattern."""


class InvalidPattern(ValueError):
    """A text that is not a regular expression in any dialect; its own text says why."""


def backtracking(pattern: str) -> Search:
    """Return the search of the standard library; what it cannot read is of another dialect and says nothing."""
    try:
        found = re.compile(pattern).search
    except (re.error, RecursionError, OverflowError):
        return lambda text: None
    return lambda text: found(text) is not None


_engine: Engine = backtracking


def use(engine: Engine) -> None:
    """Set the engine of this process."""
    global _engine
    _engine = engine


def compiled(pattern: str) -> Search:
    """Return the search of a pattern by the engine that is set. Raises InvalidPattern."""
    return _engine(pattern)
