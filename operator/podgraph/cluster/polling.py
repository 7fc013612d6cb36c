"""How an answer that comes into the cluster some time is waited for, where a watch is not worth it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

__all__ = ["looks"]

_LOOK_SECONDS = 0.3


def looks(seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """Yield, for each look that is to be taken within so many seconds, how long to sleep after it.

    There is one look at least. When the last one was taken, nothing more is yielded: the time is over.
    """
    end = clock() + seconds
    yield _LOOK_SECONDS
    while clock() < end:
        yield _LOOK_SECONDS
