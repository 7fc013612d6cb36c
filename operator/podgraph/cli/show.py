"""Show a local run while it is in progress: a live tree in a terminal, else one line per event."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from podgraph.cli.tree import StepView, state_color, steps_tree
from podgraph.definition.values import NotJsonError, to_json
from podgraph.protocol.step import StepError
from podgraph.protocol.times import utc
from podgraph.runtime.local.channel import Stored, load
from podgraph.runtime.local.events import Event
from podgraph.runtime.local.run_plan import RunPlan
from podgraph.runtime.local.steps import LocalStep, LocalSteps

__all__ = ["LineShow", "QuietShow", "TreeShow", "as_json", "output_texts"]

_SHOWN = 64 * 1024  # of larger outputs only the size is shown
_TOLD = ("RUN_CANCELED", "STEP_START", "STEP_RESTARTED", "STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED",
         "STEP_UP_FOR_RETRY", "HOOK_ERRORED", "RESOURCE_INIT_FAILURE", "RESOURCE_TEARDOWN_FAILURE")  # fmt: skip


class QuietShow:
    """Shows only what ops print, on standard error. Standard output is for the result."""

    def event(self, event: Event) -> None:
        """Handle an event."""

    def printed(self, step: str, line: str) -> None:
        """Handle a line that an op printed in a process of its own."""
        print(f"{step} | {line}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def running(self, prepared: RunPlan, steps: LocalSteps) -> Iterator[None]:
        """Show the run while the block runs."""
        with contextlib.redirect_stdout(sys.stderr):
            yield


class LineShow(QuietShow):
    """Prints one line per notable event on standard error, for pipes and logs."""

    def event(self, event: Event) -> None:
        """Print the event if it is notable."""
        if event.type in _TOLD:
            clock = datetime.fromtimestamp(event.time).strftime("%H:%M:%S.%f")[:-3]
            print(f"{clock} {event.message}", file=sys.stderr, flush=True)

    def printed(self, step: str, line: str) -> None:
        """Print the line with the name of its op before it."""
        print(f"{step} | {line}", flush=True)

    @contextlib.contextmanager
    def running(self, prepared: RunPlan, steps: LocalSteps) -> Iterator[None]:
        """Show the run while the block runs."""
        yield


class TreeShow(QuietShow):
    """Draws the run as a tree that updates in place, with the output of ops above it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def printed(self, step: str, line: str) -> None:
        """Print the line with the name of its op before it, above the tree."""
        self._console.print(Text.assemble((f"{step} | ", "dim"), Text.from_ansi(line)), soft_wrap=True)

    @contextlib.contextmanager
    def running(self, prepared: RunPlan, steps: LocalSteps) -> Iterator[None]:
        """Show the run while the block runs."""
        started = time.time()

        def draw() -> Tree:
            return _run_tree(prepared, steps, started, self._console.height - 2)

        with Live(
            console=self._console, get_renderable=draw, refresh_per_second=8, vertical_overflow="ellipsis"
        ) as live:
            try:
                yield
            finally:
                live.refresh()


def output_texts(step: LocalStep) -> dict[str, str]:
    """Return a step's outputs for display: JSON if possible, truncated."""
    return {name: _text(value) for name, value in step.outputs.items()}


def as_json(prepared: RunPlan, steps: LocalSteps, run_id: str) -> str:
    """Return the result of a run as a JSON document. Outputs that are not JSON values are in `texts`."""
    told: dict[str, Any] = {}
    for name, step in steps.records.items():
        entry: dict[str, Any] = {"state": step.state, "attempts": step.attempt}
        if step.start:
            entry["startTime"] = utc(step.start)
        if step.end:
            entry["completionTime"] = utc(step.end)
        for output in step.outputs:
            value, is_json = _value(step.outputs[output])
            entry.setdefault("outputs" if is_json else "texts", {})[output] = value
        if step.error is not None:
            entry["reason"] = step.error.reason
        if step.message:
            entry["message"] = step.message
        told[name] = entry
    success = not steps.count("Failed") and steps.done
    document = {"job": prepared.job.name, "runId": run_id, "success": success, "steps": told}
    return json.dumps(document, ensure_ascii=False, indent=2)


def _run_tree(prepared: RunPlan, steps: LocalSteps, started: float, room: int) -> Tree:
    """Draw the run. If it has more steps than the terminal has lines, draw only the notable ones."""
    names = [name for name in prepared.graph.order if name in steps.records]
    if len(names) > room:
        active = [name for name in names if steps.records[name].state in ("Running", "UpForRetry", "Failed")]
        names = active[: max(1, room - 1)]
    state = "Running"
    if steps.count("Canceled"):
        state = "Canceled"
    elif steps.done:
        state = "Failed" if steps.count("Failed") else "Succeeded"
    total = len(steps.records)
    done = total - sum(steps.count(s) for s in ("Pending", "Running", "UpForRetry"))
    head = Text.assemble((prepared.job.name, "bold"), "  ", (state, state_color(state)))
    ends = [step.end for step in steps.records.values()]
    seconds = (max(ends) if steps.done else time.time()) - started
    head.append(f"  {done}/{total}  {max(0.0, seconds):.1f}s", "dim")
    return steps_tree(Tree(head), names, {name: _view(steps.records[name]) for name in names}, prepared.graph)


def _view(step: LocalStep) -> StepView:
    seconds = (step.end or time.time()) - step.start if step.start else None
    error = step.error if step.state == "Failed" else None
    return StepView(step.state, seconds, output_texts(step), error.reason if error else "", step.message, step.attempt)


def _text(value: Any) -> str:
    shown, is_json = _value(value)
    return to_json(shown) if is_json else str(shown)


def _value(value: Any) -> tuple[Any, bool]:
    """Return an output's value and True if it is JSON, else a description and False."""
    if isinstance(value, Stored):
        if value.size > _SHOWN:
            return f"<{value.size:,} bytes>", False
        try:
            value = load(value, "the output")
        except StepError as error:
            return f"<{error.message}>", False
    try:
        to_json(value)
    except NotJsonError:
        text = repr(value)
        return (text if len(text) <= 200 else f"{text[:197]}..."), False
    return value, True
