"""Keeps the forked children of the user's code out of the run: only the process that started a step speaks for it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from typing import Any, Callable, NoReturn

__all__ = ["only_own_process", "signal_handler"]

_INTERRUPTED = 128 + signal.SIGINT


class only_own_process:
    """Let no forked child leave the block: the child exits where a plain script would.

    User code runs in the block. Its child that returns, raises an exception or calls sys.exit would otherwise continue
    with the work of this process, and report a second result.
    """

    def __enter__(self) -> None:
        self._own = os.getpid()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if os.getpid() != self._own:
            _leave(error)


def signal_handler(handler: Callable[[int, Any], None]) -> Callable[[int, Any], None]:
    """Return a handler that calls `handler` in this process only; the signal has its default effect in a child."""
    own = os.getpid()

    def handle(number: int, frame: Any) -> None:
        if os.getpid() == own:
            handler(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    return handle


def _leave(error: BaseException | None) -> NoReturn:
    """Exit this forked child with the messages and the exit status of a plain script."""
    status = 1
    try:
        if error is None:
            status = 0
        elif isinstance(error, SystemExit):
            status = _exit_status(error.code)
        else:
            status = _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
            traceback.print_exception(type(error), error, error.__traceback__)
    except BaseException:  # noqa: BLE001  the error is the user's class, and the stream may be closed
        pass
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        os._exit(status)


def _exit_status(code: Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1
