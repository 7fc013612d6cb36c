"""What the commands about Jobs in a cluster print: their progress and their state."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from podgraph.cli.cluster import Cluster
from podgraph.cli.follow import follow
from podgraph.cli.tree import StepView, job_tree, state_of, step_line
from podgraph.definition.errors import DefinitionError
from podgraph.planning.status import duration

__all__ = ["create", "print_job", "print_jobs", "wait"]


def create(cluster: Cluster, wanted: dict[str, Any], waits: bool, seconds: float, output: str) -> int:
    """Make a Job and print its name; with `waits` show it until it is finished, as :func:`wait`."""
    made = cluster.create(wanted)
    if waits:
        return wait(cluster, made["metadata"]["name"], seconds, output)
    print_job(made, output, tree=False)
    if output == "text":
        print(made["metadata"]["name"])
    return 0


def wait(cluster: Cluster, name: str, seconds: float, output: str) -> int:
    """Show a Job until it is finished; return 0 when it succeeded, 1 when not.

    Raises DefinitionError (`Timeout`) after `seconds`.
    """
    cluster.get(name)  # says it when there is no such Job
    last: dict[str, Any] = {}
    try:
        changes = follow(cluster.namespace, [name], seconds)
        for job in _drawn(changes) if output == "text" and sys.stdout.isatty() else _lines(changes):
            last = job
    except TimeoutError as error:
        raise DefinitionError("Timeout", str(error)) from None
    print_job(last, output, tree=output == "text" and not sys.stdout.isatty())
    return 0 if state_of(last) == "Succeeded" else 1


def print_job(job: dict[str, Any], output: str, tree: bool = True) -> None:
    """Print a Job: as a tree, or as it is."""
    if output == "json":
        print(json.dumps(job, ensure_ascii=False, indent=2))
    elif tree:
        from rich.console import Console

        Console(soft_wrap=True).print(job_tree(job))


def print_jobs(jobs: list[dict[str, Any]], output: str) -> None:
    """Print a line for each Job, as `kubectl get pgj` does."""
    if output == "json":
        print(json.dumps(jobs, ensure_ascii=False, indent=2))
        return
    rows = [("NAME", "STATE", "STEPS", "DURATION", "AGE")]
    for job in jobs:
        status = job.get("status") or {}
        made = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        age = duration((datetime.now(UTC) - made).total_seconds())
        rows.append(
            (job["metadata"]["name"], state_of(job), status.get("progress", ""), status.get("duration", ""), age)
        )  # fmt: skip
    widths = [max(len(row[at]) for row in rows) for at in range(5)]
    for row in rows:
        print("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


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
