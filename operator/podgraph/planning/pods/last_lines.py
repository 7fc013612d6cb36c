"""The user's last lines in the termination message of a failed container."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from podgraph.protocol.step import LINE_MARK

__all__ = ["last_lines", "without_outputs"]

_LINES, _MOST = 3, 600
_SIGNED_END = re.compile(r"::\d+:[0-9a-f]{32}\s*$")


def last_lines(text: str) -> str:
    """Return the last lines of a log as the end of a message; "" if there are none.

    Lines for the operator are omitted, also one whose beginning the kubelet has cut off. What stands before a mark is
    an open line of the user's.

    >>> last_lines("one\\n\\nopen::podgraph-step {}::2:0\\nlast\\n")
    ': one | open | last'
    """
    kept = []
    for line in text.splitlines():
        own = line.partition(LINE_MARK)[0].strip() if LINE_MARK in line else line.strip()
        if own and not _SIGNED_END.search(own):
            kept.append(own)
    tail = " | ".join(kept[-_LINES:])
    return f": {tail[-_MOST:]}" if tail else ""


def without_outputs(text: str, outputs: Collection[str]) -> str:
    """Return the termination message of a container that failed, "" if it is what it wrote to $PODGRAPH_OUTPUT.

    The kubelet takes the end of the log only if that file is empty.
    """
    if text.lstrip().startswith("{"):
        try:
            names = list(json.loads(text))
        except (ValueError, RecursionError):
            return text
    else:
        names = [line.partition("=")[0].strip() if "=" in line else "" for line in text.split("\n") if line.strip()]
    return "" if names and all(name in outputs for name in names) else text
