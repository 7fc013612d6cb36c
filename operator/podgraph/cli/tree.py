"""A run and its steps as a tree for the terminal, for clusters and local runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from podgraph.api import Object, condition_of
from podgraph.definition.graph import Graph
from podgraph.planning.job.rerun_manifest import graph_of_job
from podgraph.planning.model.status import seconds_of

__all__ = [
    "StepView", "full_width", "job_tree", "reason_of", "state_color", "state_of", "step_line", "steps_tree",
]  # fmt: skip

_FULL = 1_000_000  # columns: do not truncate lines when there is no terminal
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}

_MARKS = {
    "Pending": ("·", "dim"),
    "Waiting": ("·", "dim"),
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

_TAKEN = ("↩", "dim green")  # done by the Job that this one reruns

_COLORS = {
    "Succeeded": "green",
    "Failed": "bold red",
    "Refused": "bold red",
    "DeadlineExceeded": "bold red",
    "Canceled": "magenta",
    "Suspended": "yellow",
    "Stopping": "yellow",
}


@dataclass(frozen=True)
class StepView:
    """What a tree shows of a step: its state, the duration of its op, its outputs as texts, its error.

    `stored` describes the size and place of outputs that are not small JSON values. `taken_from` is the Job whose
    result this step reuses.
    """

    state: str = "Pending"
    seconds: float | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    attempt: int = 1
    stored: Mapping[str, str] = field(default_factory=dict)
    taken_from: str = ""

    @classmethod
    def of_record(cls, step: Object) -> StepView:
        """Read a step's record in a Job's status."""
        seconds = None
        if step.get("startTime") and step.get("completionTime"):
            seconds = max(0.0, seconds_of(step["completionTime"]) - seconds_of(step["startTime"]))
        return cls(
            step.get("state", "Pending"), seconds, step.get("outputs") or {}, step.get("reason") or "",
            step.get("message") or "", step.get("attempt", 1), _stored(step), step.get("takenFrom") or "",
        )  # fmt: skip


def full_width() -> Console:
    """Return a console for trees: as wide as the terminal, with wrapped lines; unlimited without a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=_FULL)


def job_tree(job: Object) -> Tree:
    """Return a tree of a Job in a cluster, with one line per step."""
    status = job.get("status") or {}
    state = state_of(job)
    head = Text.assemble((job["metadata"]["name"], "bold"), "  ", (state, state_color(state)))
    for figure in ("progress", "duration"):
        if status.get(figure):
            head.append(f"  {status[figure]}", "dim")
    for key, value in (job["spec"].get("tags") or {}).items():
        head.append(f"  {key}={value}", "dim")
    tree = Tree(head)
    if state in ("Refused", "Failed", "Canceled", "DeadlineExceeded", "Suspended", "Stopping"):
        tree.add(Text(_plain(reason_of(job)), state_color(state).removeprefix("bold ")))
    steps = {name: StepView.of_record(step) for name, step in (status.get("steps") or {}).items()}
    graph = graph_of_job(job)
    names = [name for name in graph.order if name in steps] if graph else sorted(steps)
    return steps_tree(tree, names, steps, graph)


def steps_tree(tree: Tree, names: Sequence[str], steps: Mapping[str, StepView], graph: Graph | None) -> Tree:
    """Add one line per named step to a tree, grouped by graph, and return the tree."""
    branches: dict[str, Tree] = {"": tree}
    for name in names:
        *graphs, last = name.split(".")
        path = ""
        for part in graphs:
            inner = f"{path}{part}."
            if inner not in branches:
                branches[inner] = branches[path].add(Text(part, "bold"))
            path = inner
        branches[path].add(step_line(last, steps[name], graph.upstream[name] if graph else ()))
    return tree


def step_line(name: str, step: StepView, upstream: tuple[str, ...] = ()) -> Text:
    """Return one step's line: its state, name, dependencies, duration, and outputs or error."""
    mark, color = _TAKEN if step.taken_from else _MARKS.get(step.state, ("?", ""))
    line = Text.assemble((f"{mark} ", color), (name, "" if step.state != "Pending" else "dim"))
    if upstream:
        line.append(f" ← {', '.join(upstream[:3])}{', ...' if len(upstream) > 3 else ''}", "dim")
    line.append(f"  {step.state}", color)
    if step.taken_from:
        line.append(f"  taken from {step.taken_from}", "dim")
    if step.attempt > 1:
        line.append(f"  attempt {step.attempt}", "dim")
    if step.seconds is not None:
        line.append(f"  {step.seconds:.3f}s", "dim")
    for output, text in step.outputs.items():
        line.append(f"  {output} = {text if len(text) <= 60 else text[:57] + '...'}", "bold")
    for output, text in step.stored.items():
        line.append(f"  {output} = {text}", "bold")
    if step.reason:
        line.append(f"  {step.reason}: {_plain(step.message)}", "red" if step.state == "Failed" else "yellow")
    elif step.message:
        line.append(f"  {_plain(step.message)}", "dim")
    return line


def state_of(job: Object) -> str:
    """Return the Job's state as `kubectl get` shows it; Pending before the first reconcile."""
    return str(condition_of(job, "Succeeded").get("reason") or "Pending")


def reason_of(job: Object) -> str:
    """Return the message of the Job's state."""
    return str(condition_of(job, "Succeeded").get("message") or "")


def state_color(state: str) -> str:
    """Return the color of a Job's state."""
    return _COLORS.get(state, "cyan")


def _plain(text: str) -> str:
    """Return a text without terminal control characters."""
    return text.translate(_CONTROLS).strip()


def _stored(step: Object) -> dict[str, str]:
    """Describe each output that is not a small JSON value, without unpickling it."""
    found = {}
    for name, item in (step.get("stored") or {}).items():
        if "data" in item:
            found[name] = f"<{item['format']}, {len(item['data']) * 3 // 4:,} bytes>"
        else:
            found[name] = f"<{item['format']}, {item['size']:,} bytes at {item['key']}>"
    return found
