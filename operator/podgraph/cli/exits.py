"""How a command ends: the exit statuses, which are the same for all commands, and the signals that end one early."""

from __future__ import annotations

import signal
from types import FrameType

from podgraph.definition.errors import DefinitionError

__all__ = [
    "FAILED", "HELP", "INTERRUPTED", "REFUSED", "TIMED_OUT", "UNREACHABLE", "Terminated", "interrupted", "status_of",
    "terminates",
]  # fmt: skip

FAILED = 1
REFUSED = 2
TIMED_OUT = 3
UNREACHABLE = 4
INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
TERMINATED = 143  # 128 + SIGTERM

HELP = (
    "Exit status: 0 succeeded; 1 a step failed, or the Job failed or was canceled; 2 refused, here or by the cluster, "
    "or wrong usage; 3 --timeout passed and the Job goes on; 4 the cluster cannot be reached; "
    "130 Ctrl-C (143 SIGTERM)."
)

_STATUSES = {"Timeout": TIMED_OUT, "NoCluster": UNREACHABLE, "JobDeleted": FAILED}


class Terminated(KeyboardInterrupt):
    """SIGTERM came. What Ctrl-C ends, it ends in the same way."""


def status_of(error: DefinitionError) -> int:
    """Return the exit status for what ended a command.

    >>> status_of(DefinitionError("Timeout", "after 5 s not finished")), status_of(DefinitionError("NoJob", "x"))
    (3, 2)
    """
    return _STATUSES.get(error.reason, REFUSED)


def interrupted(error: KeyboardInterrupt) -> int:
    """Return the exit status of a command that a signal ended."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


def terminates() -> None:
    """Have SIGTERM raise :class:`Terminated` from now on."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
