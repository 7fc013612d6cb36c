"""How a pod ends that is told to: Kubernetes sends SIGTERM to its first process, which would ignore it by default."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, Callable

__all__ = ["EXIT_CODE", "PodTerminated", "ended_at_once", "ended_by_sigterm"]

EXIT_CODE = 128 + signal.SIGTERM
"""The exit code of a pod that ended so, as a shell would tell it."""


class PodTerminated(KeyboardInterrupt):
    """SIGTERM came."""


def ended_by_sigterm() -> contextlib.AbstractContextManager[None]:
    """Let SIGTERM raise Ended for a while, so that what ops and resources have opened is put away."""
    return _handled(_raise)


def ended_at_once() -> contextlib.AbstractContextManager[None]:
    """Let SIGTERM end the process for a while: nothing is open yet."""
    return _handled(_leave)


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # of a pod's it always is
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: Any) -> None:
    raise PodTerminated


def _leave(number: int, frame: Any) -> None:
    os._exit(EXIT_CODE)
