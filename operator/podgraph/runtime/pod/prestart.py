"""Wait, in a pod that was started before its inputs exist, for the assignment that has them."""

from __future__ import annotations

import time
from pathlib import Path

from podgraph.protocol import step as protocol
from podgraph.protocol.step import Assignment, ProtocolError
from podgraph.runtime.pod.link import Link

__all__ = ["file_identity", "read_assignment", "whole_assignment"]

_SHORT_PAUSE, _LONG_PAUSE = 0.005, 0.025
_PATIENCE = 200  # how many times as long as a pause it must have waited before that pause is the right one


def whole_assignment(ahead: Assignment, link: Link) -> Assignment | None:
    """Return the assignment that takes the place of `ahead`; None when it does not come in time.

    For a pod that has told the graph that is the assignment of any step, or its own without the wait: it may end then.
    The operator says it on the link, and the kubelet puts another file in the place of the old one when the pod's
    annotation changes. To look for that costs well under a thousandth of a core, as the pauses grow with the time that
    was waited.
    """
    file, seen = Path(protocol.ASSIGNMENT_FILE), (0, 0)
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < ahead.ahead:
        now = file_identity(file)
        if now != seen:
            seen = now
            found = read_assignment()
        else:
            said = link.hear(min(_LONG_PAUSE, max(_SHORT_PAUSE, waited / _PATIENCE)))
            found = _assignment_in(said) if said is not None else None
        if found is not None and not found.ahead and _is_for(found, ahead):
            return found
    return None


def file_identity(file: Path) -> tuple[int, int]:
    """Return what tells one state of a file from another that takes its place."""
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
    """Return the assignment that the pod has now; None when there is none that is whole."""
    try:
        return _assignment_in(Path(protocol.ASSIGNMENT_FILE).read_text(encoding="utf-8"))
    except OSError:
        return None


def _assignment_in(text: str) -> Assignment | None:
    try:
        return Assignment.from_text(text)
    except ProtocolError:
        return None
