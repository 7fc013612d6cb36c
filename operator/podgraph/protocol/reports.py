"""The step reports of a pod that runs several steps: one marked line on standard output for each change of a step.

The pod has no access to the API server; the operator reads its log. A line is signed, so that an op cannot forge one
by printing it (see protocol.signing). A line holds the complete state of the step: the last line is enough, and a log
may be read any number of times. The record also holds the final state of each step, packed.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from podgraph.protocol.signing import Signer
from podgraph.protocol.step import LINE_MARK, MAX_OUTPUTS, shorten

__all__ = [
    "INTERRUPTED",
    "LAST_RANK",
    "MARK",
    "RANKS",
    "STEPS_FAILED",
    "StepReport",
    "fitting",
    "pack_states",
    "reports_in",
    "unpack_states",
]

INTERRUPTED = "Interrupted"
"""The reason in the record of a pod that was stopped before its steps finished."""
STEPS_FAILED = "StepsFailed"
"""The reason in the record of a pod that finished with failed steps."""

MARK = f"{LINE_MARK}step "
"""The mark in every report line."""

RANKS = {"Pending": 0, "Starting": 0, "Running": 1, "Stopping": 1, "UpForRetry": 2}
"""The order of states within one attempt; a report of an earlier state than the known one is ignored."""
LAST_RANK = 3

_MAX_MESSAGE = 1_500  # with the outputs well below 16 KiB, where a container runtime splits a line
_MAX_PACKED = 3_000
_MAX_STATES = 100_000
_LETTERS = {"Succeeded": "S", "Skipped": "K", "Failed": "F", "UpstreamFailed": "U"}
_STATES = frozenset(("Running", "UpForRetry", *_LETTERS))


@dataclass(frozen=True)
class StepReport:
    """The state of a step after a change. Times are RFC 3339 in UTC with microseconds, "" if absent.

    `outputs` holds JSON texts by output. It omits an output that is too large or that JSON cannot represent; if another
    pod needs that output, `stored` holds a reference (see runtime.pod.values). `reason` and `message` say why the step
    failed, will be retried (at `retry_time`), or did not run.
    """

    step: str
    state: str
    attempt: int = 0
    start_time: str = ""
    completion_time: str = ""
    retry_time: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    message: str = ""

    def to_line(self, signer: Signer) -> str:
        """Return the line, without line end."""
        data = {key: value for key, value in vars(self).items() if value}
        if self.message:
            data["message"] = shorten(self.message, _MAX_MESSAGE)
        return signer.line(MARK, json.dumps(data, ensure_ascii=False, separators=(",", ":")))


def reports_in(lines: Iterable[str], signer: Signer) -> Iterator[StepReport]:
    """Yield the reports among the lines of a log; incomplete and forged lines are ignored.

    >>> list(reports_in(["hello", StepReport("add", "Running").to_line(Signer("n"))], Signer("n")))[0].state
    'Running'
    """
    for line in lines:
        text = signer.read(MARK, line)
        if text is not None and (report := _read(text)) is not None:
            yield report


def fitting(texts: dict[str, str], room: int = MAX_OUTPUTS) -> dict[str, str]:
    """Return the outputs of a step that fit into `room` bytes of a report, in their order."""
    kept = {}
    for name, text in texts.items():
        size = len(text.encode())
        if size <= room:
            kept[name] = text
            room -= size
    return kept


def pack_states(states: Iterable[str]) -> str:
    """Return the states of all steps, in run order, as a short text; "" if the text is still too long.

    >>> unpack_states(pack_states(["Succeeded", "Failed", "Running"]))
    ['Succeeded', 'Failed', '']
    """
    letters = "".join(_LETTERS.get(state, "-") for state in states)
    packed = base64.b64encode(zlib.compress(letters.encode(), 9)).decode()
    return packed if len(packed) <= _MAX_PACKED else ""


def unpack_states(packed: str) -> list[str]:
    """Read the text of :func:`pack_states`; an unfinished step has the state "". An invalid text gives []."""
    names = {letter: state for state, letter in _LETTERS.items()}
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(base64.b64decode(packed, validate=True), _MAX_STATES)
    except (ValueError, zlib.error):
        return []
    return [names.get(letter, "") for letter in data.decode("ascii", "replace")] if inflate.eof else []


def _read(text: str) -> StepReport | None:
    try:
        data = json.loads(text)
        report = StepReport(**data)
    except (ValueError, TypeError, RecursionError):
        return None
    kinds: dict[str, type] = {"attempt": int, "outputs": dict, "stored": dict}
    right = all(isinstance(value, kinds.get(key, str)) for key, value in data.items())
    right = right and report.state in _STATES
    return report if right and all(isinstance(value, str) for value in report.outputs.values()) else None
