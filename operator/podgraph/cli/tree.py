"""A Job and its steps as a tree for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text
from rich.tree import Tree

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.planning.spec import graph_of_ops
from podgraph.planning.status import seconds_of
from podgraph.runtime.resolve import unpack

__all__ = ["graph_of_job", "job_tree", "state_of", "step_line"]

_MARKS = {
    "Pending": ("·", "dim"),
    "Starting": ("◌", "yellow"),
    "Running": ("●", "cyan"),
    "Stopping": ("◍", "yellow"),
    "UpForRetry": ("↻", "yellow"),
    "Succeeded": ("✓", "green"),
    "Failed": ("✗", "bold red"),
    "Skipped": ("-", "dim"),
    "UpstreamFailed": ("!", "red"),
    "Canceled": ("⊘", "magenta"),
}

_COLORS = {
    "Succeeded": "green",
    "Failed": "bold red",
    "Refused": "bold red",
    "DeadlineExceeded": "bold red",
    "Canceled": "magenta",
    "Suspended": "yellow",
    "Stopping": "yellow",
}

Object = Mapping[str, Any]


def job_tree(job: Object) -> Tree:
    """Return a tree of the job with a line for each step, grouped by graph, in the order the steps may run."""
    status = job.get("status") or {}
    state = state_of(job)
    head = Text.assemble((job["metadata"]["name"], "bold"), "  ", (state, _color(state)))
    for figure in ("progress", "duration"):
        if status.get(figure):
            head.append(f"  {status[figure]}", "dim")
    tree = Tree(head)
    if state in ("Refused", "Failed", "Canceled", "DeadlineExceeded", "Suspended", "Stopping"):
        tree.add(Text(_condition(job, "Succeeded").get("message", ""), _color(state).removeprefix("bold ")))
    graph = graph_of_job(job)
    steps = status.get("steps") or {}
    branches: dict[str, Tree] = {"": tree}
    for name in [n for n in graph.order if n in steps] if graph else sorted(steps):
        *graphs, last = name.split(".")
        path = ""
        for part in graphs:
            inner = f"{path}{part}."
            if inner not in branches:
                branches[inner] = branches[path].add(Text(part, "bold"))
            path = inner
        branches[path].add(step_line(last, steps[name], graph.upstream[name] if graph else ()))
    return tree


def step_line(name: str, step: Object, upstream: tuple[str, ...] = ()) -> Text:
    """Return one step's line: its state, name, what it waits for, how long its op took, and its outputs or error."""
    state = step.get("state", "Pending")
    mark, color = _MARKS.get(state, ("?", ""))
    line = Text.assemble((f"{mark} ", color), (name, "" if state != "Pending" else "dim"))
    if upstream:
        line.append(f" ← {', '.join(upstream[:3])}{', ...' if len(upstream) > 3 else ''}", "dim")
    line.append(f"  {state}", color)
    if step.get("attempt", 1) > 1:
        line.append(f"  attempt {step['attempt']}", "dim")
    if step.get("startTime") and step.get("completionTime"):
        line.append(f"  {max(0.0, seconds_of(step['completionTime']) - seconds_of(step['startTime'])):.3f}s", "dim")
    for output, text in (step.get("outputs") or {}).items():
        line.append(f"  {output} = {text if len(text) <= 60 else text[:57] + '...'}", "bold")
    if step.get("reason"):
        line.append(f"  {step['reason']}: {step.get('message', '')}", "red" if state == "Failed" else "yellow")
    elif step.get("message"):
        line.append(f"  {step['message']}", "dim")
    return line


def graph_of_job(job: Object) -> Graph | None:
    """Return the job's graph from its status or its ops; None while it is not known."""
    try:
        packed = (job.get("status") or {}).get("graph")
        if packed:
            return unpack(packed)
        if job["spec"].get("ops"):
            return graph_of_ops(job["metadata"]["name"], tuple(job["spec"]["ops"]))[0]
    except DefinitionError:
        return None
    return None


def state_of(job: Object) -> str:
    """Return what `kubectl get` shows as the job's state; Pending before the operator has seen it."""
    return str(_condition(job, "Succeeded").get("reason") or "Pending")


def _condition(job: Object, kind: str) -> Object:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), {})


def _color(state: str) -> str:
    return _COLORS.get(state, "cyan")
