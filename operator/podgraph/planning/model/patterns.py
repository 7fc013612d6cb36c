"""Patterns of config schemas in linear time, for a process that works for many users.

RE2 has no backtracking: its time is the length of the text times the size of the pattern, and both are bounded here.
What it cannot do (look-ahead, references back) or what would be too much is left to the step's own pod, where no one
but the step waits for it.
"""

from __future__ import annotations

import re2

from podgraph.run_config.patterns import InvalidPattern, Search, use

__all__ = ["linear", "use_linear_patterns"]

_LONGEST_PATTERN = 1_000
_MOST_WORK = 200_000  # characters of a text times instructions of a pattern
_MEMORY = 1 << 18  # bytes
_INVALID = {
    "missing )": "a ')' is missing",
    "unexpected )": "it has a ')' without a '('",
    "missing ]": "a ']' is missing",
    "no argument for repetition operator": "an operator such as '*' has nothing to repeat",
    "trailing \\": "it ends with a backslash",
    "invalid character class range": "a range in it runs backwards",
}

_options = re2.Options()
_options.max_mem = _MEMORY
_options.log_errors = False
_options.never_capture = True


def linear(pattern: str) -> Search:
    """Return the search of a pattern by RE2. Raises InvalidPattern."""
    if len(pattern) > _LONGEST_PATTERN:
        return _unknown
    try:
        found = re2.compile(pattern, _options)
    except UnicodeEncodeError:  # half a surrogate pair
        return _unknown
    except re2.error as error:
        text = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else ""
        why = next((why for begin, why in _INVALID.items() if text.startswith(begin)), None)
        if why is None:
            return _unknown
        raise InvalidPattern(why) from None
    most = _MOST_WORK // max(1, found.programsize)

    def search(text: str) -> bool | None:
        if len(text) > most:
            return None
        try:
            return found.search(text) is not None
        except UnicodeEncodeError:
            return None

    return search


def _unknown(text: str) -> None:
    return None


def use_linear_patterns() -> None:
    """Have patterns checked by RE2 in this process."""
    use(linear)
