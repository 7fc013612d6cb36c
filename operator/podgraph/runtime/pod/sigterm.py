"""SIGTERM handling. Kubernetes sends SIGTERM to the first process of a pod, which ignores it by default."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, Callable

from podgraph.runtime.own_process import signal_handler

__all__ = ["EXIT_CODE", "PodTerminated", "ended_at_once", "ended_by_sigterm"]

EXIT_CODE = 128 + signal.SIGTERM
"""The exit code of a pod that SIGTERM stopped, as in a shell."""


class PodTerminated(KeyboardInterrupt):
    """The process received SIGTERM."""


def ended_by_sigterm() -> contextlib.AbstractContextManager[None]:
    """Let SIGTERM raise PodTerminated in the block, so that ops and resources can clean up."""
    return _handled(_raise)


def ended_at_once() -> contextlib.AbstractContextManager[None]:
    """Let SIGTERM exit the process immediately in the block: there is nothing to clean up yet."""
    return _handled(_leave)


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # in a pod it always is
        yield
        return
    before = signal.signal(signal.SIGTERM, signal_handler(handler))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: Any) -> None:
    raise PodTerminated


def _leave(number: int, frame: Any) -> None:
    os._exit(EXIT_CODE)
