"""Runs one op of a job with its assigned inputs, in its own pod."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from podgraph.definition.config_read import ConfigError, read_config
from podgraph.definition.errors import DefinitionError
from podgraph.definition.jobs import JobDefinition
from podgraph.definition.ops import OpDefinition
from podgraph.protocol.step import Assignment, Record, StepError
from podgraph.protocol.times import utc
from podgraph.runtime.attempt import Attempt, RunInfo, run_attempt
from podgraph.runtime.errors import error_info, retry_request
from podgraph.runtime.pod.sigterm import PodTerminated, ended_by_sigterm
from podgraph.runtime.pod.storage import Storage, open_storage
from podgraph.runtime.pod.values import Passed, load, pass_on
from podgraph.runtime.resources import open_resources

__all__ = ["config_of", "inputs_of", "run_step"]


def run_step(job: JobDefinition, assignment: Assignment) -> Record:
    """Run the assigned op and return its record; an exception of the user's code becomes a failed record.

    The times of the record are those around the function of the op. Raises PodTerminated on SIGTERM: there is no record
    then, and the status of the pod has the reason.
    """
    name = assignment.op
    if name not in job.ops:
        raise DefinitionError("UnknownOp", f"the code no longer has op {name!r}")
    begun, passed = time.time(), Passed()
    try:
        with ended_by_sigterm():
            config = config_of(job.ops[name], assignment)
            storage = open_storage(assignment.storage) if assignment.storage else None
            inputs = inputs_of(job.ops[name], assignment, storage)
            needed, given = job.graph.ops[name].resources, assignment.resources
            with open_resources(job.resource_defs, needed, given, assignment.run_id, _ignore) as resources:
                attempt = _attempt(job, assignment, inputs, config, resources, storage, passed)
    except PodTerminated:
        raise
    except (StepError, KeyboardInterrupt) as error:
        attempt = Attempt(error=error_info(error), start=begun, end=time.time())
    start, end = utc(attempt.start), utc(attempt.end)
    if attempt.error is None:
        return Record(assignment.nonce, "Succeeded", start, end, passed.values, stored=passed.stored)
    reason, message = attempt.error.reason, attempt.error.message
    sys.stderr.write(attempt.error.stack or f"{reason}: {message}\n")
    return Record(
        assignment.nonce, "Failed", start, end, reason=reason, message=message, retry=retry_request(attempt.error)
    )


def _attempt(
    job: JobDefinition, assignment: Assignment, inputs: Mapping[str, Any], config: Any, resources: Mapping[str, Any],
    storage: Storage | None, passed: Passed,
) -> Attempt:  # fmt: skip
    name = assignment.op
    run = RunInfo(assignment.run_id, assignment.tags)
    chosen = {output: out.serializer or "" for output, out in job.ops[name].outs.items()}

    def finish(outputs: dict[str, Any]) -> None:
        done = pass_on(name, outputs, chosen, storage, assignment.prefix)
        passed.values, passed.stored = done.values, done.stored

    return run_attempt(
        job, name, inputs, config, resources, run, assignment.attempt, _ignore, finish, assignment.lost
    )  # fmt: skip


def config_of(op: OpDefinition, assignment: Assignment) -> Any:
    """Return the config of the op as a value of its type. Raises StepError (`InvalidRunConfig`)."""
    if op.config_schema is None:
        return None
    return _read(op.config_schema, assignment.config, f"config of op {assignment.op!r}")


def inputs_of(op: OpDefinition, assignment: Assignment, storage: Storage | None) -> dict[str, Any]:
    """Return the assigned inputs; those from run config as values of their types. Raises StepError."""
    inputs = {**assignment.inputs, **load(assignment.op, assignment.stored, storage)}
    for name in assignment.configured:
        hint = op.input_hints.get(name, Any)
        try:
            inputs[name] = _read(hint, inputs.get(name), f"input {name!r} of op {assignment.op!r}")
        except DefinitionError:
            continue  # config cannot represent this type: the type check of the op reports it
    return inputs


def _read(hint: Any, value: Any, what: str) -> Any:
    try:
        return read_config(hint, value)
    except ConfigError as error:
        texts = "; ".join(f"{path}: {text}" if path else text for path, text in error.problems)
        raise StepError("InvalidRunConfig", f"{what}: {texts}") from None


def _ignore(kind: str, data: Mapping[str, Any]) -> None:
    """Ignore an event: nothing in the cluster uses it."""
