"""Runs a job in this process, one step after the other."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from podgraph.definition.jobs import JobDefinition
from podgraph.protocol.step import StepError
from podgraph.runtime.attempt import RunInfo, run_attempt
from podgraph.runtime.local.result import ExecuteInProcessResult
from podgraph.runtime.local.run_plan import RunPlan, gather, plan_run
from podgraph.runtime.local.steps import LocalSteps
from podgraph.runtime.resources import open_resources

__all__ = ["execute_in_process", "run_in_process", "show_logs"]

_LONGEST_SLEEP = 3_600.0  # the system refuses much longer sleeps


def execute_in_process(
    job: JobDefinition, run_config: Mapping[str, Any], op_selection: Sequence[str], input_values: Mapping[str, Any],
    resources: Mapping[str, Any], tags: Mapping[str, str], raise_on_error: bool,
) -> ExecuteInProcessResult:  # fmt: skip
    """Run a job; see :meth:`JobDefinition.execute_in_process`."""
    prepared = plan_run(job, run_config, op_selection, input_values, resources, tags)
    show_logs()
    steps = LocalSteps(prepared.graph, prepared.selected)
    run = RunInfo(uuid.uuid4().hex, prepared.tags, prepared.execution.retries)
    error = run_in_process(prepared, steps, run)
    if error is not None and raise_on_error:
        raise error
    return ExecuteInProcessResult(job, run.run_id, run.tags, steps.events, steps.records)


def run_in_process(prepared: RunPlan, steps: LocalSteps, run: RunInfo) -> BaseException | None:
    """Run all steps. Returns the first exception that failed a step or prevented the creation of a resource."""
    steps.emit("RUN_START", "", {})
    first: list[BaseException] = []

    def emit(kind: str, data: dict[str, Any]) -> None:
        steps.emit(kind, "", data)

    try:
        with open_resources(
            prepared.resource_defs, prepared.bound.resources, prepared.bound.resources, run.run_id, emit
        ) as resources:
            _run_steps(prepared, steps, run, resources, first)
    except StepError as error:
        first.append(error.__cause__ or error)
    except KeyboardInterrupt:
        steps.cancel()
        raise
    steps.emit("RUN_FAILURE" if first else "RUN_SUCCESS", "", {})
    return first[0] if first else None


def show_logs() -> None:
    """Show the log of ops from level INFO, unless the program has configured logging."""
    logger = logging.getLogger("podgraph")
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _run_steps(
    prepared: RunPlan, steps: LocalSteps, run: RunInfo, resources: Mapping[str, Any], first: list[BaseException]
) -> None:
    while True:
        wait = steps.seconds_to_retry()
        if not steps.ready:
            if wait is None:
                return
            time.sleep(min(wait, _LONGEST_SLEEP))
            continue
        name = steps.ready.popleft()
        number = steps.start(name).attempt
        inputs = gather(prepared.graph, name, prepared.inputs.get(name, {}), steps.records)
        attempt = run_attempt(
            prepared.job, name, inputs, prepared.configs.get(name), resources, run, number, _emitter(steps, name)
        )
        if attempt.error is None:
            steps.succeed(name, attempt.outputs)
        elif attempt.retry_after is not None:
            steps.retry(name, attempt.error, attempt.retry_after)
        else:
            steps.fail(name, attempt.error, attempt.exception)
            if attempt.exception is not None:
                first.append(attempt.exception)


def _emitter(steps: LocalSteps, name: str) -> Callable[[str, dict[str, Any]], None]:
    def emit(kind: str, data: dict[str, Any]) -> None:
        steps.emit(kind, name, data)

    return emit
