"""Runs all steps of a job in one pod, in one process or each in its own, and reports each change of a step."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from typing import Any, Callable

from podgraph.definition.graph import Graph
from podgraph.definition.jobs import JobDefinition
from podgraph.definition.values import NotJsonError, to_json
from podgraph.protocol.errors import ErrorInfo
from podgraph.protocol.reports import INTERRUPTED, STEPS_FAILED, StepReport, fitting, pack_states
from podgraph.protocol.signing import Signer, pod_key
from podgraph.protocol.step import MAX_OUTPUTS, Assignment, Record, StepError
from podgraph.protocol.times import utc
from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.load import CodeRef
from podgraph.runtime.local.channel import Stored, load, store
from podgraph.runtime.local.in_process import run_in_process
from podgraph.runtime.local.multiprocess import run_multiprocess
from podgraph.runtime.local.run_plan import plan_run
from podgraph.runtime.local.steps import LocalStep, LocalSteps
from podgraph.runtime.pod.sigterm import ended_by_sigterm

__all__ = ["Say", "ReportingSteps", "json_texts", "run_group"]

_PICKLE_EXTRA = 1_024  # a pickle that exceeds the limit by more is not converted to JSON

Say = Callable[[str], None]


def run_group(job: JobDefinition, code: CodeRef, assignment: Assignment, say: Say) -> Record:
    """Run the steps of `assignment.group`; `say` is called with a line for each change of a step.

    The group has the `selection` and `runConfig` of the job, and the `execution` section; `taken` holds, by op and
    output, the values of ops that do not run, from another run. The record holds the final states of the steps; their
    lines hold everything else. Raises DefinitionError before any step runs if the assignment is not valid.
    """
    group = assignment.group
    config = {**(group.get("runConfig") or {}), "execution": group["execution"]}
    taken = group.get("taken") or {}
    prepared = plan_run(job, config, group.get("selection") or (), taken=taken, tags=group.get("tags"))
    multiprocess = prepared.execution.executor == "multiprocess"
    if multiprocess:
        taken = {op: {out: store(value, "", "") for out, value in outs.items()} for op, outs in taken.items()}
    steps = ReportingSteps(prepared.graph, prepared.selected, assignment.nonce, say, taken=taken)
    run = RunInfo(assignment.run_id, prepared.tags, prepared.execution.retries)
    started, reason, message = time.time(), "", ""
    try:
        with ended_by_sigterm():
            if multiprocess:
                run_multiprocess(prepared, steps, run, code, _print_line)
            else:
                run_in_process(prepared, steps, run)
        steps.give_up()
        if failed := steps.count("Failed"):
            reason, message = STEPS_FAILED, f"{failed} of {len(steps.records)} steps failed"
    except KeyboardInterrupt:
        reason, message = INTERRUPTED, "the pod was stopped before its steps finished"
    states = pack_states(step.state for step in steps.records.values())
    outcome = "Failed" if reason else "Succeeded"
    times = utc(started), utc(time.time())
    return Record(assignment.nonce, outcome, *times, reason=reason, message=message, summary=states)


class ReportingSteps(LocalSteps):
    """The steps of a pod. Each change of a step is reported."""

    def __init__(
        self, graph: Graph, selected: Sequence[str], nonce: str, say: Say,
        records: dict[str, LocalStep] | None = None, taken: dict[str, dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self._signer, self._say = Signer(nonce, pod_key()), say
        self._retry_time = ""
        self._resource_failure = ""
        super().__init__(graph, selected, records=records, taken=taken)

    def emit(self, kind: str, step: str, data: dict[str, Any]) -> None:
        """Keep only the event that no step state includes."""
        if kind == "RESOURCE_INIT_FAILURE" and not step:
            self._resource_failure = f"resource {data['name']!r} cannot be created: {data['error']}"

    def transition(self, name: str, state: str) -> None:
        """Set the state of a step and report it. Canceled is not reported: the operator knows more about it."""
        super().transition(name, state)
        if state == "Canceled":
            return
        step = self.records[name]
        outputs, stored = self.told_outputs(name) if state == "Succeeded" else ({}, {})
        failed = state in ("Failed", "UpForRetry")
        report = StepReport(
            name,
            state,
            step.attempt,
            start_time=utc(step.start) if step.start else "",
            completion_time=utc(step.end) if step.end else "",
            retry_time=self._retry_time if state == "UpForRetry" else "",
            outputs=outputs,
            stored=stored,
            reason=step.error.reason if failed and step.error is not None else "",
            message=step.message if failed or state in ("Skipped", "UpstreamFailed") else "",
        )
        self._say(report.to_line(self._signer))

    def told_outputs(self, name: str) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the outputs of a step for its report: JSON texts, and references."""
        return fitting(json_texts(self.records[name].outputs)), {}

    def retry(self, name: str, error: ErrorInfo, seconds: float) -> None:
        """Schedule the retry of a step in `seconds`, and log the traceback."""
        step = self.records[name]
        step.error, step.message = error, error.message
        self._retry_time = utc(time.time() + min(seconds, 1e9))
        _show_stack(error)
        super().retry(name, error, seconds)

    def fail(self, name: str, error: ErrorInfo, exception: BaseException | None = None) -> None:
        """Fail a step, and log the traceback."""
        _show_stack(error)
        super().fail(name, error, exception)

    def give_up(self) -> None:
        """Fail the steps that did not start, for example because a resource cannot be created."""
        why = ErrorInfo("ResourceFailed", self._resource_failure or "the step did not start")
        for name, step in self.records.items():
            if step.state == "Pending":
                self.fail(name, why)


def json_texts(outputs: dict[str, Any]) -> dict[str, str]:
    """Return the outputs that JSON can represent, as JSON texts; large outputs are skipped without conversion."""
    texts = {}
    for name, value in outputs.items():
        try:
            if isinstance(value, Stored):
                if value.size > MAX_OUTPUTS + _PICKLE_EXTRA:
                    continue
                value = load(value, "")
            if not _may_fit(value):
                continue
            texts[name] = to_json(value)
        except (NotJsonError, StepError):
            continue
    return texts


def _may_fit(value: Any) -> bool:
    """Return whether the JSON of a value may fit into a report, without producing all of it."""
    room, todo = MAX_OUTPUTS, [value]
    while todo and room >= 0:
        item = todo.pop()
        room -= 1 + (len(item) if type(item) in (str, list, dict) else 0)
        if room >= 0 and type(item) in (list, dict):
            todo += [*item, *item.values()] if type(item) is dict else item
    return room >= 0


def _show_stack(error: ErrorInfo) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # the user's code may have closed the stream
        sys.stderr.write(error.stack or f"{error.reason}: {error.message}\n")


def _print_line(step: str, line: str) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        print(f"{step} | {line}", flush=True)
