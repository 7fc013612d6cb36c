"""Exit statuses, which are the same for all commands, and the handling of signals."""

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
    "Exit status: 0 succeeded; 1 a step failed, or the Job failed or was canceled; 2 refused, locally or by the "
    "cluster, or wrong usage; 3 --timeout expired and the Job continues; 4 the cluster cannot be reached; "
    "130 Ctrl-C (143 SIGTERM)."
)

_STATUSES = {"Timeout": TIMED_OUT, "NoCluster": UNREACHABLE, "JobDeleted": FAILED}


class Terminated(KeyboardInterrupt):
    """SIGTERM was received. It is handled in the same way as Ctrl-C."""


def status_of(error: DefinitionError) -> int:
    """Return the exit status for the exception that ended a command.

    >>> status_of(DefinitionError("Timeout", "after 5 s not finished")), status_of(DefinitionError("NoJob", "x"))
    (3, 2)
    """
    return _STATUSES.get(error.reason, REFUSED)


def interrupted(error: KeyboardInterrupt) -> int:
    """Return the exit status of a command that a signal ended."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


def terminates() -> None:
    """Install a SIGTERM handler that raises :class:`Terminated`."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
