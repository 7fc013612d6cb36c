"""What follows from an attempt that failed: another attempt, or the failure of its step."""

from __future__ import annotations

from dataclasses import replace

from podgraph.definition.graph import Op
from podgraph.planning.actions import Event
from podgraph.planning.model.status import StepRecord, seconds_of
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.pods.passes import Pass
from podgraph.planning.steps.records import Steps
from podgraph.planning.steps.retry_policy import jitter_of, seconds_until_retry
from podgraph.protocol.errors import ErrorInfo
from podgraph.protocol.times import utc

__all__ = ["end_failed_attempt", "oversized_input"]

MAX_ASSIGNMENT = 131_072
"""Most bytes of the inputs of one step."""


def end_failed_attempt(
    steps: Steps, step: str, outcome: Outcome, most_lost: int | None, uid: str, pass_: Pass
) -> float | None:
    """Record a failed attempt with its event; return when the next attempt starts, None when the step has failed.

    `most_lost` is how many attempts the cluster may end, None when the Job stops and nothing is retried. `uid` is that
    of the Job.
    """
    record, op = steps.records[step], steps.graph.ops[step]
    seconds = None if most_lost is None else _seconds_until_retry(op, record, outcome, most_lost, uid)
    lost = outcome.fault is Fault.INFRASTRUCTURE
    why = f"{outcome.reason}: {outcome.message}"
    if seconds is not None:
        due = (seconds_of(outcome.completion_time) if outcome.completion_time else pass_.now) + seconds
        steps.retry(step, outcome, utc(due), lost)
        text = f"attempt {record.attempt} of op {step!r} failed and is followed by another: {why}"
        pass_.actions.events.append(Event("Warning", "StepRetried", text, step))
        return due
    if record.attempt > 1:
        outcome = replace(outcome, message=f"{outcome.message} (attempt {record.attempt})")
    steps.end(step, outcome, lost)
    pass_.actions.events.append(Event("Warning", "StepFailed", f"op {step!r} failed: {why}", step))
    return None


def oversized_input(step: str, inputs: dict[str, str]) -> Outcome | None:
    """Return how a step fails whose inputs do not fit into the assignment of its pod; None when they do."""
    if sum(len(text.encode()) for text in inputs.values()) <= MAX_ASSIGNMENT:
        return None
    largest = max(inputs, key=lambda name: len(inputs[name]))
    message = (
        f"input {largest!r} of op {step!r} is {len(inputs[largest].encode()):,} bytes of JSON; the inputs "
        f"of one step may have at most {MAX_ASSIGNMENT:,} bytes together"
    )
    return Outcome({}, "InputTooLarge", message, fault=Fault.PERMANENT)


def _seconds_until_retry(op: Op, record: StepRecord, outcome: Outcome, most_lost: int, uid: str) -> float | None:
    requested = (outcome.said["max"], outcome.said["seconds"]) if "max" in outcome.said else None
    error = ErrorInfo(
        outcome.reason, outcome.message, allow_retries=outcome.said.get("allow", True), requested=requested
    )
    chance = jitter_of(uid, op.name, record.attempt)
    return seconds_until_retry(op, outcome.fault, error, record.attempt, record.infra_failures, most_lost, chance)
