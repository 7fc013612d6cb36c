"""Runs the steps of a pod group, one after the other in this process, and reports each change of a step.

Values between these steps stay in memory. Outputs that steps in other pods need leave the pod as they do for a step in
its own pod, with the report of success; of the other outputs the report holds the small ones.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Input
from podgraph.definition.jobs import JobDefinition
from podgraph.definition.values import to_json
from podgraph.flow import is_connected
from podgraph.protocol.errors import seconds_to_retry
from podgraph.protocol.reports import INTERRUPTED, STEPS_FAILED, fitting, pack_states
from podgraph.protocol.step import MAX_OUTPUTS, Assignment, Record, StepError, check_outputs, stored_below
from podgraph.protocol.times import utc
from podgraph.runtime.attempt import Attempt, RunInfo, run_attempt
from podgraph.runtime.errors import error_info
from podgraph.runtime.local.steps import LocalStep
from podgraph.runtime.pod.all_steps import ReportingSteps, Say, json_texts
from podgraph.runtime.pod.sigterm import ended_by_sigterm
from podgraph.runtime.pod.step import config_of, inputs_of
from podgraph.runtime.pod.storage import Storage, open_storage
from podgraph.runtime.pod.values import Passed, pass_on, read
from podgraph.runtime.resources import open_resources

__all__ = ["run_shared"]

_LONGEST_SLEEP = 3_600.0  # the system refuses much longer sleeps


def run_shared(job: JobDefinition, assignment: Assignment, say: Say) -> Record:
    """Run the steps of `assignment.shared`; `say` is called with a line for each change of a step.

    `ops` are the steps to run, each with its `inputs` and `config` as in an assignment, its last `attempt`, and
    `told`, the names of the outputs that other pods need. `done` are the steps that they wait for: `skipped`, or with
    the `outputs` that they need, as values or references. `members` is the order of the final states in the record.
    Raises DefinitionError and StepError before any step runs.
    """
    ops: Mapping[str, Any] = assignment.shared["ops"]
    for name in (*ops, *assignment.shared["done"]):
        if name not in job.ops:
            raise DefinitionError("UnknownOp", f"the code no longer has op {name!r}")
    storage = open_storage(assignment.storage) if assignment.storage else None
    steps = _SharedSteps(job, assignment, storage, say)
    started, reason, message = time.time(), "", ""
    needed = {key for name in ops for key in job.graph.ops[name].resources}
    try:
        with ended_by_sigterm():
            try:
                with open_resources(
                    job.resource_defs, needed, assignment.resources, assignment.run_id, steps.tell
                ) as resources:
                    steps.run(resources)
            except StepError:
                steps.give_up()
        if failed := sum(steps.records[name].state == "Failed" for name in ops):
            reason, message = STEPS_FAILED, f"{failed} of {len(ops)} steps failed"
    except KeyboardInterrupt:
        reason, message = INTERRUPTED, "the pod was stopped before its steps finished"
    states = pack_states(steps.records[name].state if name in ops else "" for name in assignment.shared["members"])
    times = utc(started), utc(time.time())
    outcome = "Failed" if reason else "Succeeded"
    return Record(assignment.nonce, outcome, *times, reason=reason, message=message, summary=states)


class _Outside:
    """An output of a step in another pod: its value or a reference. Each step that uses it reads it again."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.item = item


class _SharedSteps(ReportingSteps):
    """The steps of a pod group, and the steps in other pods that they wait for."""

    def __init__(self, job: JobDefinition, assignment: Assignment, storage: Storage | None, say: Say) -> None:
        self._job, self._assignment, self._storage = job, assignment, storage
        self._passed: dict[str, Passed] = {}
        self._ops: Mapping[str, Any] = assignment.shared["ops"]
        done = assignment.shared["done"]
        records: dict[str, LocalStep] = {}
        for name in job.graph.order:
            if name in self._ops:
                records[name] = LocalStep()
                records[name].attempt = self._ops[name].get("attempt", 0)
            elif name in done:
                records[name] = _done(done[name])
        super().__init__(job.graph, list(records), assignment.nonce, say, records)

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Emit an event of the whole pod."""
        self.emit(kind, "", data)

    def run(self, resources: Mapping[str, Any]) -> None:
        """Run all ready steps, one after the other, until none is left."""
        while True:
            wait = self.seconds_to_retry()
            if self.ready:
                self._run(self.ready.popleft(), resources)
            elif wait is None:
                return
            else:
                time.sleep(min(wait, _LONGEST_SLEEP))

    def told_outputs(self, name: str) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the outputs of a step that other pods need, and of its other outputs the small ones."""
        passed = self._passed.pop(name)
        texts = {key: to_json(value) for key, value in passed.values.items()}
        size = sum(len(text.encode()) for text in (*texts.values(), *map(to_json, passed.stored.values())))
        outputs = self.records[name].outputs
        rest = {key: value for key, value in outputs.items() if key not in texts and key not in passed.stored}
        more = {**texts, **fitting(json_texts(rest), MAX_OUTPUTS - size)}
        try:
            check_outputs(name, {**more, **dict.fromkeys(passed.stored, "")})
        except StepError:  # the names are too long
            more = texts
        return more, passed.stored

    def _run(self, name: str, resources: Mapping[str, Any]) -> None:
        number = self.start(name).attempt
        attempt = self._attempt(name, number, resources)
        if attempt.error is None:
            self.succeed(name, attempt.outputs)
        elif attempt.retry_after is not None:
            self.retry(name, attempt.error, attempt.retry_after)
        else:
            self.fail(name, attempt.error, attempt.exception)

    def _attempt(self, name: str, number: int, resources: Mapping[str, Any]) -> Attempt:
        step, whole = self._ops[name], self._assignment
        own = Assignment(
            name, whole.nonce, whole.run_id,
            inputs=step.get("inputs") or {}, configured=step.get("configured") or [], config=step.get("config"),
        )  # fmt: skip
        lost = step.get("lost", 0)
        op, begun = self._job.ops[name], time.time()
        try:
            config = config_of(op, own)
            inputs = {**inputs_of(op, own, self._storage), **self._inputs(name)}
        except StepError as error:
            found = error_info(error)
            after = seconds_to_retry(self.graph.ops[name], found, number - lost)
            return Attempt(error=found, retry_after=after, exception=error, start=begun, end=time.time())
        chosen = {output: out.serializer or "" for output, out in op.outs.items()}

        def finish(outputs: dict[str, Any]) -> None:
            needed = {key: outputs[key] for key in step.get("told") or () if key in outputs}
            prefix = stored_below(whole.prefix, name, number)
            self._passed[name] = pass_on(name, needed, chosen, self._storage, prefix)

        run = RunInfo(whole.run_id, whole.tags)
        return run_attempt(
            self._job, name, inputs, config, resources, run, number, self._ignore, finish, lost
        )  # fmt: skip

    def _inputs(self, name: str) -> dict[str, Any]:
        """Return the inputs from other steps; a fan-in is the list of the produced values."""
        inputs: dict[str, Any] = {}
        for item in self.graph.ops[name].inputs:
            if item.ordering or not is_connected(item, self.records):
                continue
            values = self._values(name, item)
            inputs[item.name] = values if item.fan_in else values[0]
        return inputs

    def _values(self, name: str, item: Input) -> list[Any]:
        values = []
        for at, ref in enumerate(item.sources):
            outputs = self.records[ref.op].outputs
            if ref.output in outputs:
                what = f"input {item.name!r} of op {name!r}"
                values.append(self._read(f"item {at} of {what}" if item.fan_in else what, outputs[ref.output]))
        return values

    def _read(self, what: str, value: Any) -> Any:
        if not isinstance(value, _Outside):
            return value
        item = value.item
        return copy.deepcopy(item["value"]) if "value" in item else read(what, item, self._storage)

    def _ignore(self, kind: str, data: Mapping[str, Any]) -> None:
        """Ignore an event: nothing in the cluster uses it."""


def _done(finished: Mapping[str, Any]) -> LocalStep:
    step = LocalStep()
    step.state = "Skipped" if finished.get("skipped") else "Succeeded"
    step.outputs = {name: _Outside(item) for name, item in (finished.get("outputs") or {}).items()}
    return step
