"""The logs of a Job's steps: from their pods, or from its storage when the pods are gone."""

from __future__ import annotations

import collections
import contextlib
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

from podgraph.api import is_finished
from podgraph.backoff import ExponentialBackoff
from podgraph.cli.cluster import Cluster
from podgraph.cli.follow import Patience
from podgraph.definition.errors import DefinitionError, nearest
from podgraph.planning.manifests.log_reader import has_run
from podgraph.planning.manifests.log_reader import lost as why_lost
from podgraph.protocol.step import LINE_MARK

__all__ = ["follow_logs", "print_logs", "tails"]

_LOOK_SECONDS, _RETRY_SECONDS = 0.3, 0.1
_LAST_SECONDS = 5.0  # how long to wait for pending lines when the Job is finished
_NO_END = 366 * 86_400.0
_MOST_QUEUED = 10_000  # lines: faster writers wait
_BACKOFF = ExponentialBackoff(_RETRY_SECONDS, 5.0)

Job = dict[str, Any]


def print_logs(cluster: Cluster, name: str, step: str, following: bool) -> Job:
    """Print the logs of a Job's steps one after the other, with the step's name before each line if there are several.

    With `following`, print the lines of all steps as they arrive, until the Job is finished. Return the Job. A log
    that cannot be read does not stop the others. Raises DefinitionError if no log can be read.
    """
    if following:
        return follow_logs(cluster, name, _NO_END, sys.stdout, step)
    job = cluster.get(name)
    _check_step(job, step)
    out = _Out(step, sys.stdout)
    _print_rest(cluster, job, _print_now(cluster, job, out), out)
    return job


def follow_logs(cluster: Cluster, name: str, seconds: float, to: TextIO, step: str = "") -> Job:
    """Print lines as they arrive until the Job is finished; return it. Raises the errors of `cli.follow.follow`."""
    patience = Patience(seconds)
    job = patience.ask(lambda: cluster.get(name))
    _check_step(job, step)
    out = _Out(step, to)
    job, heard = _follow(cluster, job, out, patience, seconds)
    _print_rest(cluster, job, heard, out)
    return job


def tails(cluster: Cluster, job: Job, steps: Iterable[str], lines: int) -> dict[str, list[str]]:
    """Return the last log lines of each of these steps. Omits steps whose log cannot be read."""
    pods = cluster.step_pods(job)
    found = {}
    for name in steps:
        if name in pods:
            with contextlib.suppress(DefinitionError):
                log = cluster.log(pods[name], False)
                found[name] = list(collections.deque((w for w in map(_words, log) if w is not None), lines))
    return found


class _Out:
    """Prints lines with the step's name before them, unless a single `step` was requested."""

    def __init__(self, step: str, to: TextIO) -> None:
        self.step, self._to = step, to

    def wants(self, name: str) -> bool:
        return self.step in ("", name)

    def lines(self, lines: Iterable[str], name: str, part: str = "") -> None:
        """Print lines of a step, or of a `part` of its pod."""
        before = part if self.step else f"{name}/{part}" if part else name
        for line in lines:
            words = _words(line)
            if words is not None:
                print(f"{before} | {words}" if before and before != self.step else words, file=self._to, flush=True)
        self._to.flush()


def _words(line: str) -> str | None:
    """Return a line without the pod's messages to the operator; None if nothing else is in it."""
    words, mark, _ = line.partition(LINE_MARK)
    return words if words or not mark else None


def _print_rest(cluster: Cluster, job: Job, heard: Mapping[str, str], out: _Out) -> None:
    """Print the logs that are no longer in a pod; report lost and empty logs."""
    name, step, steps = job["metadata"]["name"], out.step, _steps(job)
    pods = cluster.step_pods(job)
    gone = [n for n, record in steps.items() if n not in {**pods, **heard} and has_run(record) and out.wants(n)]
    taken = [n for n, record in steps.items() if record.get("takenFrom") and out.wants(n)]
    for name_of in taken:
        print(f"{name_of} did not run here but was taken from Job {steps[name_of]['takenFrom']!r}", file=sys.stderr)
    if gone:
        _print_kept(cluster, job, gone, out)
    elif not (heard or taken or (not steps and _print_code(cluster, job, out))):
        what = f"step {step!r} of Job {name!r}" if step else f"Job {name!r}"
        print(f"{what} has not printed anything", file=sys.stderr)


def _print_code(cluster: Cluster, job: Job, out: _Out) -> bool:
    """Print the log of the pod that read the Job's code, with any import error; return whether there is one."""
    pod = cluster.code_pod(job)
    try:
        if pod:
            out.lines(cluster.log(pod, False), "code")
    except DefinitionError as error:
        print(error.message, file=sys.stderr)
    return bool(pod)


def _print_now(cluster: Cluster, job: Job, out: _Out) -> dict[str, str]:
    """Print the logs that can be read; return the steps and where the log of each is."""
    steps, heard, unread = _steps(job), dict[str, str](), list[DefinitionError]()
    until = time.monotonic() + _LAST_SECONDS
    for name, pod in cluster.step_pods(job).items():
        if pod in heard.values() or not out.wants(name):
            continue
        printed = _print_init(cluster, pod, name, out) if out.step else False
        if steps.get(name, {}).get("state", "Pending") in ("Pending", "Waiting", "Starting"):
            heard |= {name: pod} if printed else {}
            continue  # its container has not printed anything yet
        heard[name] = pod
        try:
            for line in _log(cluster, pod, until):
                out.lines([line], name)
        except DefinitionError as error:
            unread += [] if printed else [error]
    if unread and len(unread) == len(heard):
        raise unread[0]
    for problem in unread:
        print(problem.message, file=sys.stderr)
    return heard


def _print_init(cluster: Cluster, pod: str, name: str, out: _Out) -> bool:
    """Print the logs of the started init containers of a step's pod; return whether there was any."""
    printed = False
    for where in cluster.init_containers(pod):
        with contextlib.suppress(DefinitionError):
            for line in cluster.log(where, False):
                out.lines([line], name, where.partition("/")[2])
                printed = True
    return printed


def _log(cluster: Cluster, pod: str, until: float) -> Iterator[str]:
    """Yield the log of a pod that has run. A step may end before the kubelet reports that it started."""
    while True:
        try:
            yield from cluster.log(pod, False)
            return
        except DefinitionError as error:
            if error.reason != "BadRequest" or time.monotonic() > until:
                raise
            time.sleep(_RETRY_SECONDS)


def _follow(cluster: Cluster, job: Job, out: _Out, patience: Patience, seconds: float) -> tuple[Job, dict[str, str]]:
    """Print lines as they arrive, from the start of each pod: a step's pod may end and disappear before the status
    shows it. Return the finished Job and the steps whose logs were followed.
    """
    said: queue.Queue[tuple[str, str, str]] = queue.Queue(_MOST_QUEUED)
    threads: dict[str, threading.Thread] = {}
    followed: dict[str, str] = {}
    over = threading.Event()
    while True:
        finished = is_finished(job)
        for name, pod in patience.ask(lambda: cluster.step_pods(job)).items():  # noqa: B023  at once
            if pod not in threads and out.wants(name):
                followed[name] = pod
                threads[pod] = threading.Thread(
                    target=_hear, args=(cluster, name, pod, said, over, bool(out.step)), daemon=True
                )
                threads[pod].start()
        if finished:
            break
        if patience.left <= 0:
            raise TimeoutError(f"after {seconds:.0f} s not finished: {job['metadata']['name']}")
        _say(said, out, time.monotonic() + min(_LOOK_SECONDS, patience.left))
        job = patience.ask(lambda: cluster.get(job["metadata"]["name"]))  # noqa: B023
        _check_step(job, out.step)
    over.set()
    until = time.monotonic() + _LAST_SECONDS
    while any(thread.is_alive() for thread in threads.values()) and time.monotonic() < until:
        _say(said, out, min(until, time.monotonic() + _RETRY_SECONDS))
    _say(said, out, 0.0)
    return job, followed


def _hear(
    cluster: Cluster, name: str, pod: str, said: queue.Queue[tuple[str, str, str]], over: threading.Event, init: bool
) -> None:
    """Follow one log; with `init`, after the logs of the pod's init containers, once each has started."""
    logs = [(pod, "")]
    if init:
        with contextlib.suppress(DefinitionError):
            logs = [*((where, where.partition("/")[2]) for where in cluster.init_containers(pod)), *logs]
    for where, part in logs:
        heard, breaks = 0, 0
        while True:
            last = over.is_set()
            try:
                for at, line in enumerate(cluster.log(where, True)):
                    if at >= heard:  # after a break the log restarts from its beginning
                        said.put((name, part, line))
                        heard, breaks = at + 1, 0
                break
            except DefinitionError as error:
                if error.reason == "NotFound" or (last and error.reason != "NoCluster"):
                    return
                (time.sleep if last else over.wait)(_BACKOFF.seconds(breaks))
                breaks += error.reason == "NoCluster"


def _say(said: queue.Queue[tuple[str, str, str]], out: _Out, until: float) -> None:
    """Print lines until this time, and all that are already queued."""
    while True:
        try:
            left = until - time.monotonic()
            name, part, line = said.get(timeout=left) if until and left > 0 else said.get_nowait()
        except queue.Empty:
            return
        out.lines([line], name, part)


def _steps(job: Job) -> dict[str, Any]:
    return (job.get("status") or {}).get("steps") or {}


def _check_step(job: Job, step: str) -> None:
    steps = _steps(job)
    if step and steps and step not in steps:
        text = f"Job {job['metadata']['name']!r} has no step {step!r}{nearest(step, steps)}"
        raise DefinitionError("UnknownOp", text)


def _print_kept(cluster: Cluster, job: Job, gone: list[str], out: _Out) -> None:
    """Print the stored logs of steps whose pods are gone; report their source on standard error."""
    storage = job["status"].get("storage") or {}
    kept: dict[str, list[str]] = {}
    if storage.get("logs"):
        from podgraph.cli.stored_logs import stored_logs

        kept = stored_logs(cluster, job, gone)
        if kept:
            print(f"from the storage {storage['url']}, because the pods are gone: {_some(list(kept))}", file=sys.stderr)
    for name, lines in kept.items():
        out.lines(lines, name)
    if lost := [name for name in gone if name not in kept]:
        print(f"deleted with their pods: the logs of {_some(lost)}; {why_lost(job)}", file=sys.stderr)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
