"""Run one op of a job with the inputs it was assigned."""

from __future__ import annotations

import inspect
import sys
import time
import traceback
from datetime import datetime, timezone
from typing import Any

from podgraph.definition.decorators import JobDefinition, OpDefinition
from podgraph.definition.errors import DefinitionError
from podgraph.definition.values import NotJsonError, Output, to_json
from podgraph.runtime.context import OpContext
from podgraph.runtime.load import own_frames, where
from podgraph.runtime.protocol import Assignment, Record, StepError, check_outputs

__all__ = ["call_op", "collect_outputs", "run_step", "utc"]


def run_step(job: JobDefinition, assignment: Assignment) -> Record:
    """Run the assigned op and return its record; never raises for what the user's code does.

    The record's times enclose the op's own function alone.
    """
    op = job.ops.get(assignment.op)
    if op is None:
        raise DefinitionError("UnknownOp", f"the code has no op {assignment.op!r} any more")
    start = time.time()
    try:
        try:
            produced = call_op(op, assignment)
        finally:
            end = time.time()
        outputs = collect_outputs(assignment.op, op, produced)
    except StepError as error:
        print(f"{error.reason}: {error.message}", file=sys.stderr)
        return _failed(assignment, start, end, error.reason, error.message)
    except BaseException as error:  # noqa: BLE001  the user's own failure, be it SystemExit or CancelledError
        traceback.print_exception(type(error), error, own_frames(error.__traceback__))
        return _failed(assignment, start, end, "OpFailed", f"{type(error).__name__}: {error}{where(error)}")
    return Record(assignment.nonce, "Succeeded", utc(start), utc(end), outputs)


def call_op(op: OpDefinition, assignment: Assignment) -> list[Output]:
    """Call the op's function and return what it produced, each value with the output it is for.

    Raises StepError (`MissingInput`, `WrongOutputs`) and whatever the function raises.
    """
    given: dict[str, Any] = {}
    own = inspect.signature(op.fn).parameters
    for param in op.params:
        if param.ordering:
            if param.name in own and not param.has_default:
                given[param.name] = None
        elif param.name in assignment.inputs:
            given[param.name] = assignment.inputs[param.name]
        elif not param.has_default:
            raise StepError("MissingInput", f"input {param.name!r} of op {assignment.op!r} was given no value")
    lead = [OpContext(assignment.op, assignment.run_id)] if op.takes_context else []
    result = op.fn(*lead, **given)
    if inspect.isgenerator(result):
        return [_yielded(assignment.op, item) for item in result]
    if isinstance(result, Output):
        return [result]
    if len(op.outs) == 1:
        return [Output(result, next(iter(op.outs)))]
    if not op.outs:
        return []
    if not isinstance(result, tuple) or len(result) != len(op.outs):
        names = ", ".join(op.outs)
        raise StepError(
            "WrongOutputs",
            f"op {assignment.op!r} must return a tuple of {len(op.outs)} values ({names}) or yield "
            f"Output(value, name) for each, but returned {_shown(result)}",
        )
    return [v if isinstance(v, Output) else Output(v, name) for name, v in zip(op.outs, result)]


def collect_outputs(name: str, op: OpDefinition, produced: list[Output]) -> dict[str, Any]:
    """Check what an op produced against its declared outputs and what a record can carry.

    Raises StepError (`WrongOutputs`, `OutputNotJson`, `OutputTooLarge`).
    """
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for output in produced:
        if output.output_name not in op.outs:
            listed = ", ".join(op.outs) or "none"
            raise StepError(
                "WrongOutputs", f"op {name!r} produced output {output.output_name!r}, but its outputs are: {listed}"
            )
        if output.output_name in values:
            raise StepError("WrongOutputs", f"op {name!r} produced output {output.output_name!r} twice")
        try:
            texts[output.output_name] = to_json(output.value)
        except NotJsonError as error:
            raise StepError(
                "OutputNotJson", f"output {output.output_name!r} of op {name!r} holds what JSON cannot: {error}"
            ) from None
        values[output.output_name] = output.value
    for wanted, out in op.outs.items():
        if out.is_required and wanted not in values:
            raise StepError("WrongOutputs", f"op {name!r} did not produce its output {wanted!r}, which is required")
    check_outputs(name, texts)
    return values


def utc(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC with microseconds (Kubernetes' MicroTime).

    >>> utc(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _yielded(op: str, item: Any) -> Output:
    if isinstance(item, Output):
        return item
    raise StepError(
        "WrongOutputs", f"op {op!r} yielded {_shown(item)}; an op that yields must yield Output(value, name)"
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _failed(assignment: Assignment, start: float, end: float, reason: str, message: str) -> Record:
    return Record(assignment.nonce, "Failed", utc(start), utc(end), reason=reason, message=message)
