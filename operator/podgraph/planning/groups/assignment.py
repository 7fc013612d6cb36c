"""What a shared pod is told: which of its steps it runs, and what those outside have given them."""

from __future__ import annotations

import json
from typing import Any

from podgraph.flow import TERMINAL, is_connected
from podgraph.planning.groups.steps import SharingSteps
from podgraph.planning.model.value_refs import Reference

__all__ = ["steps_to_repeat", "work_of"]

Work = dict[str, Any]


def steps_to_repeat(steps: SharingSteps, pod: str) -> list[str]:
    """Return the steps of a pod that have succeeded in an earlier one and are run again in the next.

    They gave something to a step that is still to run, in the memory of a pod that is gone.
    """
    todo = [step for step in steps.sharing[pod] if steps.records[step].state not in TERMINAL]
    found: set[str] = set()
    while todo:
        step = todo.pop()
        for item in steps.graph.ops[step].inputs:
            for ref in item.sources:
                if not steps.is_inside(step, ref) or ref.op in found or steps.records[ref.op].state != "Succeeded":
                    continue
                if ref.output not in steps.records[ref.op].outputs and not (item.ordering and steps.is_sure(ref)):
                    found.add(ref.op)
                    todo.append(ref.op)
    return [step for step in steps.sharing[pod] if step in found]


def work_of(steps: SharingSteps, pod: str) -> Work:
    """Return what the next pod is told of its steps (see runtime.pod.pod_group).

    `ops` holds the steps that it runs and `done` those that they wait for and are at their end; `members` names all
    steps that share it, as its record counts them.
    """
    members = steps.sharing[pod]
    again = steps_to_repeat(steps, pod)
    run = [step for step in members if step in again or steps.records[step].state not in TERMINAL]
    ops: Work = {}
    done: Work = {}
    for step in run:
        record = steps.records[step]
        told: Work = {
            "attempt": record.attempt,
            "lost": record.infra_failures,
            "inputs": {name: json.loads(text) for name, text in steps.values.get(step, {}).items()},
            "told": steps.needed_outside(step),
        }
        ops[step] = {key: value for key, value in told.items() if value}
        for up in steps.graph.upstream[step]:
            if up in steps.records and up not in run:
                skipped = steps.records[up].state == "Skipped"
                done.setdefault(up, dict[str, Any](skipped=True) if skipped else {"outputs": {}})
        _add_inputs(steps, step, done)
    return {"pod": pod, "members": list(members), "ops": ops, "done": done}


def _add_inputs(steps: SharingSteps, step: str, done: Work) -> None:
    """Put what `step` takes from steps that are done to them; where it only waits, that it is there."""
    for item in steps.graph.ops[step].inputs:
        if not (item.ordering or is_connected(item, steps.records)):
            continue
        for ref in item.sources:
            outputs = done.get(ref.op, {}).get("outputs")
            if outputs is None:
                continue
            text = steps.records[ref.op].outputs.get(ref.output)
            if item.ordering:
                if text is not None or (ref.op in steps.pod_of and steps.is_sure(ref)):
                    outputs.setdefault(ref.output, {"value": None})
            elif text is not None:
                value = json.loads(text)
                outputs[ref.output] = value if isinstance(text, Reference) else {"value": value}
