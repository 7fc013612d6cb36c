"""What the steps of a Job printed: from their pods as it comes, and from its storage when those are gone."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from podgraph.cli.cluster import Cluster
from podgraph.cli.follow import is_finished
from podgraph.definition.errors import DefinitionError, nearest
from podgraph.planning.kept_logs import has_run
from podgraph.planning.kept_logs import lost as why_lost
from podgraph.runtime.protocol import LINE_MARK

__all__ = ["print_logs"]

_LOOK_SECONDS, _RETRY_SECONDS = 0.3, 0.1
_LAST_SECONDS = 5.0  # how long what is still on its way is waited for when the Job is finished

Job = dict[str, Any]


def print_logs(cluster: Cluster, name: str, step: str, following: bool) -> None:
    """Print what the steps of a Job printed, one after the other, each line behind its step when there are several.

    With `following`, as it comes, from all steps at once, until the Job is finished.
    """
    job = cluster.get(name)
    _check_step(job, step)
    if following:
        job, heard = _follow(cluster, job, step)
    else:
        heard = _print_now(cluster, job, step)
    steps = _steps(job)
    pods = cluster.step_pods(job)
    gone = [n for n, record in steps.items() if n not in {**pods, **heard} and has_run(record) and step in ("", n)]
    taken = [n for n, record in steps.items() if record.get("takenFrom") and step in ("", n)]
    for name_of in taken:
        print(f"{name_of} was not run here but taken from Job {steps[name_of]['takenFrom']!r}", file=sys.stderr)
    if gone:
        _print_kept(cluster, job, gone, step)
    elif not (heard or taken):
        what = f"step {step!r} of Job {name!r}" if step else f"Job {name!r}"
        print(f"{what} has printed nothing", file=sys.stderr)


def _print_now(cluster: Cluster, job: Job, step: str) -> dict[str, str]:
    """Print what there is; return the steps and where the log of each is."""
    steps, heard = _steps(job), dict[str, str]()
    for name, pod in cluster.step_pods(job).items():
        if pod in heard.values() or step not in ("", name):
            continue
        if steps.get(name, {}).get("state", "Pending") in ("Pending", "Waiting", "Starting"):
            continue  # its container has said nothing yet
        heard[name] = pod
        _print_lines(_log(cluster, pod), name, step)
    return heard


def _log(cluster: Cluster, pod: str) -> list[str]:
    """Return the log of a pod that has run: its step may be over a moment before the kubelet knows that it began."""
    until = time.monotonic() + _LAST_SECONDS
    while True:
        try:
            return list(cluster.log(pod, False))
        except DefinitionError as error:
            if error.reason != "BadRequest" or time.monotonic() > until:
                raise
            time.sleep(_RETRY_SECONDS)


def _follow(cluster: Cluster, job: Job, step: str) -> tuple[Job, dict[str, str]]:
    """Print lines as they come, each pod's from its start: that of a step may be over, and gone, before the status
    tells of it. Return the finished Job and the steps whose logs were followed.
    """
    said: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    threads: dict[str, threading.Thread] = {}
    followed: dict[str, str] = {}
    over = threading.Event()
    while True:
        finished = is_finished(job)
        for name, pod in cluster.step_pods(job).items():
            if pod not in threads and step in ("", name):
                followed[name] = pod
                threads[pod] = threading.Thread(target=_hear, args=(cluster, name, pod, said, over), daemon=True)
                threads[pod].start()
        if finished:
            break
        _say(said, step, time.monotonic() + _LOOK_SECONDS)
        job = cluster.get(job["metadata"]["name"])
        _check_step(job, step)
    over.set()
    until = time.monotonic() + _LAST_SECONDS
    while any(thread.is_alive() for thread in threads.values()) and time.monotonic() < until:
        _say(said, step, min(until, time.monotonic() + _RETRY_SECONDS))
    _say(said, step, 0.0)
    return job, followed


def _hear(
    cluster: Cluster, name: str, pod: str, said: queue.SimpleQueue[tuple[str, str]], over: threading.Event
) -> None:
    """Follow one log, once its container has begun."""
    while True:
        last = over.is_set()
        try:
            for line in cluster.log(pod, True):
                said.put((name, line))
            return
        except DefinitionError as error:
            if error.reason == "NotFound" or last:
                return
            over.wait(_RETRY_SECONDS)


def _say(said: queue.SimpleQueue[tuple[str, str]], step: str, until: float) -> None:
    """Print lines until this time, and all that are there already."""
    while True:
        try:
            name, line = said.get(timeout=max(0.0, until - time.monotonic())) if until else said.get_nowait()
        except queue.Empty:
            return
        _print_lines([line], name, step)


def _steps(job: Job) -> dict[str, Any]:
    return (job.get("status") or {}).get("steps") or {}


def _check_step(job: Job, step: str) -> None:
    steps = _steps(job)
    if step and steps and step not in steps:
        text = f"Job {job['metadata']['name']!r} has no step {step!r}{nearest(step, steps)}"
        raise DefinitionError("UnknownOp", text)


def _print_kept(cluster: Cluster, job: Job, gone: list[str], step: str) -> None:
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
