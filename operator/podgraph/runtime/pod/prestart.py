"""Waits for the final assignment in a prestarted pod."""

from __future__ import annotations

import time
from pathlib import Path

from podgraph.protocol import step as protocol
from podgraph.protocol.step import Assignment, ProtocolError
from podgraph.runtime.pod.link import Link

__all__ = ["file_identity", "read_assignment", "whole_assignment"]

_SHORT_PAUSE, _LONG_PAUSE = 0.005, 0.025
_PATIENCE = 200  # the pause is 1/200 of the time waited so far, within the bounds


def whole_assignment(ahead: Assignment, link: Link) -> Assignment | None:
    """Return the final assignment that replaces `ahead`; None if it does not arrive in time.

    A pod that has reported the graph may receive the assignment of any step, or its own without the wait: then it may
    exit. The operator sends the assignment on the link, and the kubelet replaces the file when the annotation of the
    pod changes. Polling costs less than a thousandth of a core, as the pauses grow with the time waited.
    """
    file, seen = Path(protocol.ASSIGNMENT_FILE), (0, 0)
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < ahead.ahead:
        now = file_identity(file)
        if now != seen:
            seen = now
            found = read_assignment()
        else:
            line = link.hear(min(_LONG_PAUSE, max(_SHORT_PAUSE, waited / _PATIENCE)))
            found = _assignment_in(line) if line is not None else None
        if found is not None and not found.ahead and _is_for(found, ahead):
            return found
    return None


def file_identity(file: Path) -> tuple[int, int]:
    """Return an identity of a file that changes when another file replaces it."""
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


def _is_for(found: Assignment, ahead: Assignment) -> bool:
    if not ahead.op:
        return found.run_id == ahead.run_id
    return (found.op, found.nonce) == (ahead.op, ahead.nonce)


def read_assignment() -> Assignment | None:
    """Return the current assignment of the pod; None if there is no complete one."""
    try:
        return _assignment_in(Path(protocol.ASSIGNMENT_FILE).read_text(encoding="utf-8"))
    except OSError:
        return None


def _assignment_in(text: str) -> Assignment | None:
    try:
        return Assignment.from_text(text)
    except ProtocolError:
        return None
