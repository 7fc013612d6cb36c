"""The regular expression engine for `pattern` in a config schema.

Both the pattern and the text come from users, and the engine of the standard library backtracks: some patterns take
exponential time. That is harmless in a user's own process, so it is the default. A process that serves many users sets
another engine (see planning.model.patterns).
"""

from __future__ import annotations

import re
from typing import Callable, Optional

__all__ = ["Engine", "InvalidPattern", "Search", "backtracking", "compiled", "use"]

Search = Callable[[str], Optional[bool]]
"""Returns whether a text matches the pattern; None if only the pod of the step can decide it."""
Engine = Callable[[str], Search]
"""Returns the search function of a pattern. Raises InvalidPattern."""


class InvalidPattern(ValueError):
    """A text is not a valid regular expression in any dialect. The message says why."""


def backtracking(pattern: str) -> Search:
    """Return the search of the standard library. A pattern of another dialect returns None for each text."""
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
    """Return the search function of a pattern by the current engine. Raises InvalidPattern."""
    return _engine(pattern)
