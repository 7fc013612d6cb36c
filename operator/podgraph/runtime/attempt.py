"""One attempt of one step: call the op, decide about a retry, call the hooks. In any process, by any executor."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from podgraph.definition.jobs import JobDefinition
from podgraph.protocol.errors import ErrorInfo, seconds_to_retry
from podgraph.runtime.call import Emit, call_op
from podgraph.runtime.context import HookContext, OpContext, Resources
from podgraph.runtime.errors import error_info, error_text

__all__ = ["Attempt", "RunInfo", "run_attempt"]


@dataclass(frozen=True)
class RunInfo:
    """What all steps of a run have in common. `retries` is false when retry policies are not followed."""

    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    retries: bool = True


@dataclass
class Attempt:
    """How an attempt ended: with outputs, or with an error and perhaps the seconds until the next attempt.

    `start` and `end` enclose the op alone, in seconds since the epoch.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    error: ErrorInfo | None = None
    retry_after: float | None = None
    exception: BaseException | None = None
    start: float = 0.0
    end: float = 0.0


def run_attempt(
    job: JobDefinition, name: str, inputs: Mapping[str, Any], config: Any, resources: Mapping[str, Any], run: RunInfo,
    number: int, emit: Emit, finish: Callable[[dict[str, Any]], None] | None = None, lost: int = 0,
) -> Attempt:  # fmt: skip
    """Run the `number`-th attempt (from 1) of the op `name` and return how it ended; only KeyboardInterrupt gets out.

    `config` is as its schema's type makes it. `finish` is called with the outputs of an op that succeeded, before its
    hooks are: what it raises is the op's own failure (a value that cannot be passed on). `lost` of the attempts before
    this one ended for reasons that were not the op's; they do not count against its retry policy.
    """
    op = job.ops[name]
    made: list[OpContext] = []

    def context() -> OpContext:
        own = Resources(resources, f"op {name!r}", op.required_resource_keys)
        made.append(OpContext(name, run.run_id, job.name, config, own, number - 1, run.tags, op.tags))
        return made[-1]

    attempt = Attempt(start=time.time())
    try:
        try:
            attempt.outputs = call_op(op, name, inputs, context, config, emit)
        finally:
            attempt.end = time.time()
        if finish is not None:
            finish(attempt.outputs)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  the user's own failure, be it SystemExit or CancelledError
        found = error_info(error)
        attempt = Attempt(error=found, exception=error, start=attempt.start, end=attempt.end)
        if run.retries:
            attempt.retry_after = seconds_to_retry(job.graph.ops[name], found, number - lost)
    if (job.hooks or op.hooks) and attempt.retry_after is None:
        _call_hooks(job, name, made[-1] if made else context(), resources, attempt, emit)
    return attempt


def _call_hooks(
    job: JobDefinition, name: str, context: OpContext, resources: Mapping[str, Any], attempt: Attempt, emit: Emit
) -> None:
    outcome = "Failed" if attempt.error else "Succeeded"
    for hook in dict.fromkeys((*job.hooks, *job.ops[name].hooks)):
        if hook.on != outcome:
            continue
        own = Resources(resources, f"hook {hook.name!r}", hook.required_resource_keys)
        try:
            hook.fn(HookContext(context, own, attempt.outputs, attempt.exception))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a hook of the user's may raise anything; the step has ended all the same
            logging.getLogger(f"podgraph.hook.{hook.name}").exception("failed for op %r", name)
            emit("HOOK_ERRORED", {"name": hook.name, "error": error_text(error)})
        else:
            emit("HOOK_COMPLETED", {"name": hook.name})
