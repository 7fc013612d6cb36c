"""What the commands about Jobs in a cluster print: their progress, their state, their logs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from podgraph.cli.cluster import Cluster
from podgraph.cli.follow import follow, is_finished
from podgraph.cli.tree import StepView, job_tree, state_of, step_line
from podgraph.definition.errors import DefinitionError, nearest
from podgraph.planning.kept_logs import has_run
from podgraph.planning.kept_logs import lost as why_lost
from podgraph.planning.status import duration
from podgraph.runtime.protocol import LINE_MARK

__all__ = ["create", "print_job", "print_jobs", "print_logs", "wait"]

_LOOK_SECONDS = 0.5


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


def print_logs(cluster: Cluster, name: str, step: str, following: bool) -> None:
    """Print what the steps of a Job printed, one after the other, each line behind its step when there are several.

    With `following`, of a step that runs until it ends, and of all steps until the Job is finished.
    """
    job = cluster.get(name)
    printed: set[str] = set()
    while True:
        steps = (job.get("status") or {}).get("steps") or {}
        if step and steps and step not in steps:
            raise DefinitionError("UnknownOp", f"Job {name!r} has no step {step!r}{nearest(step, steps)}")
        finished = is_finished(job)
        pods = cluster.step_pods(job)
        for name_of, pod in pods.items():
            if pod in printed or (step and step != name_of):
                continue
            if steps.get(name_of, {}).get("state", "Pending") in ("Pending", "Waiting", "Starting"):
                continue  # its container has said nothing yet
            printed.add(pod)
            _print_lines(cluster.log(pod, following), name_of, step)
        if finished or not following:
            break
        time.sleep(_LOOK_SECONDS)
        job = cluster.get(job["metadata"]["name"])
    gone = [n for n, record in steps.items() if n not in pods and has_run(record) and step in ("", n)]
    taken = [n for n, record in steps.items() if record.get("takenFrom") and step in ("", n)]
    for name_of in taken:
        print(f"{name_of} was not run here but taken from Job {steps[name_of]['takenFrom']!r}", file=sys.stderr)
    if gone:
        _print_kept(cluster, job, gone, step)
    elif not (printed or taken):
        what = f"step {step!r} of Job {name!r}" if step else f"Job {name!r}"
        print(f"{what} has printed nothing", file=sys.stderr)


def _print_kept(cluster: Cluster, job: dict[str, Any], gone: list[str], step: str) -> None:
    """Print the logs of steps whose pods are gone, if they were kept; say on standard error where they are from."""
    storage = job["status"].get("storage") or {}
    kept: dict[str, list[str]] = {}
    if storage.get("logs"):
        from podgraph.cli.stored_logs import stored_logs

        kept = stored_logs(cluster, job, gone)
        if kept:
            print(f"from the storage {storage['url']}, as their pods are gone: {_some(list(kept))}", file=sys.stderr)
    for name, lines in kept.items():
        _print_lines(lines, name, step)
    if lost := [name for name in gone if name not in kept]:
        print(f"gone with their pods: the logs of {_some(lost)}; {why_lost(job)}", file=sys.stderr)


def _print_lines(lines: Iterable[str], name: str, step: str) -> None:
    """Print a log, each line behind its step's name unless one `step` was asked for."""
    for line in lines:
        words, mark, _ = line.partition(LINE_MARK)  # what is behind a mark is the pod's word to the operator
        if words or not mark:
            print(words if step else f"{name} | {words}", flush=True)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


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
