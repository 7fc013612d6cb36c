"""Output of the commands for Jobs in a cluster: their progress and state."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from podgraph.api import is_finished
from podgraph.cli import exits
from podgraph.cli.cluster import Cluster
from podgraph.cli.follow import Patience, follow
from podgraph.cli.tables import age, print_table
from podgraph.cli.tree import StepView, full_width, job_tree, reason_of, state_of, step_line
from podgraph.definition.errors import DefinitionError, nearest

__all__ = ["Waiting", "create", "end_status", "in_states", "print_as", "print_job", "print_jobs", "wait"]

_STATES = (
    "Pending", "Suspended", "Resolving", "Running", "Stopping", "Succeeded", "Failed", "Refused", "Canceled",
    "DeadlineExceeded",
)  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """How to follow a Job: the timeout, whether to print logs, and what to do at the end."""

    seconds: float
    logs: bool = False
    cancel_on_exit: bool = False
    junit: str = ""


def create(cluster: Cluster, wanted: dict[str, Any], waiting: Waiting | None, output: str) -> int:
    """Create a Job and print its name; with `waiting`, follow it until it is finished, as :func:`wait` does."""
    made = cluster.create(wanted)
    name = made["metadata"]["name"]
    print(f"Job {name} created; {_hint(cluster, name)}", file=sys.stderr, flush=True)
    if waiting is not None:
        return wait(cluster, name, waiting, output)
    print_job(made, output, tree=False)
    if output == "text":
        print(name)
    return 0


def wait(cluster: Cluster, name: str, waiting: Waiting, output: str) -> int:
    """Follow a Job until it is finished; return the exit status for its outcome.

    Raises DefinitionError (`Timeout`, `NoCluster`) when it does not finish in time, and lets KeyboardInterrupt
    through. Both report whether the Job continues.
    """
    last: dict[str, Any] = {}
    is_drawn = output == "text" and sys.stdout.isatty() and not waiting.logs
    try:
        if waiting.logs:
            from podgraph.cli.logs import follow_logs

            last = follow_logs(cluster, name, waiting.seconds, sys.stdout if output == "text" else sys.stderr)
        else:
            changes = follow(cluster, [name], waiting.seconds)
            for job in _drawn(changes) if is_drawn else _lines(changes):
                last = job
    except TimeoutError as error:
        raise DefinitionError("Timeout", f"{error}; {_left(cluster, name, waiting)}") from None
    except DefinitionError as error:
        if error.reason != "NoCluster":
            raise
        raise DefinitionError(
            error.reason, f"{error.message}; Job {name} may continue; {_hint(cluster, name)}"
        ) from None
    except KeyboardInterrupt:
        print(f"\n{_left(cluster, name, waiting)}", file=sys.stderr, flush=True)
        raise
    if not is_drawn:
        print_job(last, output)
    if output != "text" and state_of(last) != "Succeeded":
        print(f"Job {name}  {state_of(last)}: {reason_of(last)}", file=sys.stderr)
    from podgraph.cli.reports import write_reports

    write_reports(cluster, last, waiting.junit)
    return end_status(last)


def end_status(job: dict[str, Any]) -> int:
    """Return the exit status for the outcome of a finished Job."""
    state = state_of(job)
    return 0 if state == "Succeeded" else exits.REFUSED if state == "Refused" else exits.FAILED


def print_job(job: dict[str, Any], output: str, tree: bool = True) -> None:
    """Print a Job: as a tree, or the whole object."""
    if output != "text":
        print_as(job, output)
    elif tree:
        full_width().print(job_tree(job))


def print_as(found: Any, output: str) -> None:
    """Print objects as JSON or YAML."""
    if output == "json":
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        import yaml

        dump = yaml.safe_dump_all if isinstance(found, list) else yaml.safe_dump
        print(dump(found, sort_keys=False, allow_unicode=True), end="")


def print_jobs(jobs: list[dict[str, Any]], output: str, everywhere: bool = False) -> None:
    """Print one line per Job, as `kubectl get pgj` does; with `everywhere`, start with its namespace."""
    if output != "text":
        print_as(jobs, output)
        return
    rows = [("NAMESPACE", "NAME", "STATE", "STEPS", "DURATION", "AGE")]
    for job in jobs:
        status, meta = job.get("status") or {}, job["metadata"]
        figures = (status.get("progress", ""), status.get("duration", ""), age(meta["creationTimestamp"]))
        rows.append((meta.get("namespace", ""), meta["name"], state_of(job), *figures))
    print_table(rows if everywhere else [row[1:] for row in rows])


def in_states(jobs: list[dict[str, Any]], states: str) -> list[dict[str, Any]]:
    """Return the Jobs in the given comma-separated states, or all if there are none. Raises DefinitionError."""
    known = {state.lower(): state for state in _STATES}
    wanted = [text.strip() for text in states.split(",") if text.strip()]
    for text in wanted:
        if text.lower() not in known:
            raise DefinitionError("InvalidOption", f"state {text!r} does not exist{nearest(text, _STATES)}")
    return [job for job in jobs if not wanted or state_of(job) in {known[text.lower()] for text in wanted}]


def _hint(cluster: Cluster, name: str) -> str:
    command = "podgraph job"
    return f"follow it: {command} logs -f {name}{cluster.flags}; cancel it: {command} cancel {name}{cluster.flags}"


def _left(cluster: Cluster, name: str, waiting: Waiting) -> str:
    """Cancel a Job that is no longer followed, if requested; return a message with its state."""
    if not waiting.cancel_on_exit:
        return f"Job {name} continues; {_hint(cluster, name)}"
    try:
        if is_finished(Patience(0).ask(lambda: cluster.get(name))):
            return f"Job {name} is finished"
        cluster.change(name, {"cancel": True})
    except DefinitionError as error:
        return f"Job {name} was not canceled: {error.message}"
    return f"Job {name} was canceled (--cancel-on-exit)"


def _drawn(changes: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), refresh_per_second=8) as live:
        for job in changes:
            live.update(job_tree(job))
            yield job


def _lines(changes: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    said: set[str] = set()
    for job in changes:
        for name, step in ((job.get("status") or {}).get("steps") or {}).items():
            line = step_line(name, StepView.of_record(step)).plain
            if step["state"] not in ("Pending", "Waiting") and line not in said:
                said.add(line)
                print(line, file=sys.stderr, flush=True)
        yield job
