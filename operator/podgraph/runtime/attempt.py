"""One attempt of one step: call the op, decide whether to retry, call the hooks. All executors use it."""

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
from podgraph.runtime.own_process import only_own_process

__all__ = ["Attempt", "RunInfo", "run_attempt"]


@dataclass(frozen=True)
class RunInfo:
    """The values that all steps of a run share. `retries` is false if retries are disabled."""

    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    retries: bool = True


@dataclass
class Attempt:
    """The result of an attempt: outputs, or an error and for a retry the seconds until the next attempt.

    `start` and `end` are the times around the op alone, in seconds since the epoch.
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
    """Run the `number`-th attempt (from 1) of the op `name` and return its result. Raises only KeyboardInterrupt.

    `config` is a value of the config type of the op. `finish` is called with the outputs of a successful op, before the
    hooks; an exception in it fails the op (a value that cannot be passed on). `lost` earlier attempts failed for
    reasons outside the op; they do not count against the retry policy.
    """
    op = job.ops[name]
    made: list[OpContext] = []

    def context() -> OpContext:
        own = Resources(resources, f"op {name!r}", op.required_resource_keys)
        made.append(OpContext(name, run.run_id, job.name, config, own, number - 1, run.tags, op.tags))
        return made[-1]

    attempt = Attempt(start=time.time())
    try:
        with only_own_process():  # type checks and the conversion of outputs are the user's code too
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
            with only_own_process():
                hook.fn(HookContext(context, own, attempt.outputs, attempt.exception))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the user's hook may raise anything; the result of the step stays
            logging.getLogger(f"podgraph.hook.{hook.name}").exception("failed for op %r", name)
            emit("HOOK_ERRORED", {"name": hook.name, "error": error_text(error)})
        else:
            emit("HOOK_COMPLETED", {"name": hook.name})
