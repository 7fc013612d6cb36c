"""How an ended step came out: its outputs, or why it failed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from podgraph.definition.graph import Op
from podgraph.definition.values import NotJsonError, to_json
from podgraph.planning.model.value_refs import read_stored
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.last_lines import last_lines, without_outputs
from podgraph.planning.pods.state import PodState
from podgraph.protocol.reports import StepReport
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import MAX_OUTPUTS, NOT_ASSIGNED, Record, StepError, check_outputs, record_text_in

__all__ = ["Outcome", "container_outcome", "if_room", "micro", "python_outcome", "read_record", "reported_outcome"]

_TRUNCATED = 4_096  # the kubelet keeps this many bytes of a termination message, the last ones


@dataclass(frozen=True)
class Outcome:
    """The end of an attempt. `outputs` holds JSON texts and references; `reason` is empty when it succeeded.

    Of a failure `fault` tells whose it is, and `said` what the op itself said about another attempt (see Record).
    """

    outputs: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    start_time: str | None = None
    completion_time: str | None = None
    fault: Fault = Fault.APPLICATION
    said: Mapping[str, Any] = field(default_factory=dict)


def read_record(seen: PodState, signer: Signer) -> Record | None:
    """Return the record a pod of ours left, or None for any other text."""
    text = record_text_in([seen.text], signer)
    return Record.from_text(text) if text is not None else None


def python_outcome(op: Op, seen: PodState, record: Record | None, prefix: str = "") -> Outcome:
    """Read the end of a Python op's pod: the op's own record decides, and without one (None) there is no success.

    What becomes of the process after it has left its record changes nothing: all is done by then, and whoever read the
    record in its log has gone on already. `prefix` is the key below which it stored what is large.
    """
    times = (micro(seen.started_at), micro(seen.finished_at))
    if record is None:
        if seen.reason:
            return Outcome({}, seen.reason, seen.message + last_lines(seen.text), *times, seen.fault)
        return Outcome({}, "NoResult", "its process ended with exit code 0 but left no result", *times)
    times = (record.start_time or times[0], record.completion_time or times[1])
    if record.outcome == "Failed":
        fault = Fault.INFRASTRUCTURE if record.reason == NOT_ASSIGNED else Fault.APPLICATION
        return Outcome({}, record.reason or "OpFailed", record.message, *times, fault, record.retry)
    try:
        references = read_stored(op.name, record.stored, prefix)
    except StepError as error:
        return Outcome({}, error.reason, error.message, *times)
    texts = {name: to_json(value) for name, value in {**record.stored, **record.outputs}.items()}
    outcome = _checked(op, texts, times)
    return outcome if outcome.reason else replace(outcome, outputs={**texts, **references})


def reported_outcome(op: Op, report: StepReport, needed: Collection[str], prefix: str) -> Outcome:
    """Read the success of a step in a pod that others share; `needed` of its outputs must be told if it has them.

    `prefix` is the key below which it stored what is large.
    """
    times = (report.start_time or None, report.completion_time or None)
    try:
        references = read_stored(op.name, report.stored, prefix)
        texts = {name: to_json(json.loads(text)) for name, text in report.outputs.items()}
    except (StepError, ValueError, RecursionError) as error:
        return Outcome({}, "WrongOutputs", f"what op {op.name!r} reported as outputs cannot be read: {error}", *times)
    stored = {name: to_json(item) for name, item in report.stored.items()}
    outcome = _checked(op, {**stored, **texts}, times, needed)
    return outcome if outcome.reason else replace(outcome, outputs={**texts, **references})


def container_outcome(op: Op, seen: PodState) -> Outcome:
    """Read the end of a container or script op: success is exit code 0 and every required output written."""
    times = (micro(seen.started_at), micro(seen.finished_at))
    if seen.reason:
        said = without_outputs(seen.text, [output.name for output in op.outputs])
        return Outcome({}, seen.reason, seen.message + last_lines(said), *times, seen.fault)
    try:
        size = len(seen.text.encode())
        if size >= _TRUNCATED:
            named = f"output {op.outputs[0].name!r}" if len(op.outputs) == 1 else "the outputs together"
            raise StepError(
                "OutputTooLarge",
                f"{named} of op {op.name!r}: {size:,} bytes or more were written to $PODGRAPH_OUTPUT; the outputs of "
                f"one step may have at most {MAX_OUTPUTS:,} bytes together",
            )
        for mark, bad in (("\0", "NUL bytes"), ("\ufffd", "bytes that are not UTF-8")):
            if mark in seen.text:  # the kubelet and the log replace such bytes, so the value would not be the same
                raise StepError(
                    "WrongOutputs",
                    f"what op {op.name!r} wrote to $PODGRAPH_OUTPUT has {bad}; encode it, as with base64",
                )
        return _checked(op, _written(op.name, seen.text), times)
    except StepError as error:
        return Outcome({}, error.reason, error.message, *times)


def if_room(op: str, outcome: Outcome, used: int, most: int) -> Outcome:
    """Return the outcome, or a failure where its outputs and the `used` bytes of the Job's are more than `most`."""
    total = used + sum(len(text.encode()) for text in outcome.outputs.values())
    if total <= most:
        return outcome
    text = (
        f"with the outputs of op {op!r} the job's outputs would be {total:,} bytes; at most {most:,} bytes fit into "
        "its status"
    )
    return replace(outcome, outputs={}, reason="OutputsFull", message=text, fault=Fault.PERMANENT)


def micro(time: str | None) -> str | None:
    """Return a Kubernetes time of whole seconds in the form that has microseconds.

    >>> micro("2026-11-23T09:00:00Z")
    '2026-11-23T09:00:00.000000Z'
    """
    if time is None or "." in time:
        return time
    return time.removesuffix("Z") + ".000000Z"


def _checked(
    op: Op, texts: dict[str, str], times: tuple[str | None, str | None], needed: Collection[str] | None = None
) -> Outcome:
    try:
        known = [o.name for o in op.outputs]
        for name in texts:
            if name not in known:
                listed = ", ".join(known) or "none"
                raise StepError("WrongOutputs", f"op {op.name!r} wrote output {name!r}, but its outputs are: {listed}")
        for output in op.outputs:
            wanted = needed is None or output.name in needed
            if output.required and wanted and output.name not in texts:
                raise StepError("WrongOutputs", f"op {op.name!r} did not write its output {output.name!r}")
        check_outputs(op.name, texts)
    except StepError as error:
        return Outcome({}, error.reason, error.message, *times)
    return Outcome(texts, "", "", *times)


def _written(op: str, text: str) -> dict[str, str]:
    """Read what a container wrote: one JSON object, or lines `name=value` whose values are text as they stand."""
    if text.lstrip().startswith("{"):
        try:
            data = json.loads(text, parse_constant=_no_constant)
            return {name: to_json(value) for name, value in data.items()}
        except (ValueError, RecursionError) as error:
            kind = "contains a value that JSON cannot hold" if isinstance(error, NotJsonError) else "is not valid JSON"
            raise StepError("WrongOutputs", f"what op {op!r} wrote to $PODGRAPH_OUTPUT {kind}: {error}") from None
    texts: dict[str, str] = {}
    for line in text.split("\n"):  # not splitlines: a value may hold what Unicode also calls the end of a line
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise StepError(
                "WrongOutputs",
                f"op {op!r} wrote the line {line[:60]!r} to $PODGRAPH_OUTPUT; it takes name=value lines or JSON",
            )
        texts[name.strip()] = to_json(value)
    return texts


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
