"""Keep what a step prints, for when its pod is gone.

The step runs in a child of the pod's first process, which passes all output on as it comes and, at the end, puts a
copy into the storage. So the log of a step that crashes, or kills its own process, is kept as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import IO, Any

from podgraph.protocol.step import StepError
from podgraph.runtime.pod.output import keep_for_pod
from podgraph.runtime.pod.storage import CHUNK, Storage, open_storage

__all__ = ["LOG", "keep_below", "keep_log", "read_shown", "show_logs"]

LOG = "log.txt"
"""The last part of a log's key; no output can be named so."""
_SHOWN = 8 << 20  # the kubelet cuts a pod's log at 10 MiB
_LOOK_SECONDS = 0.2
_REST_SECONDS = 1.0
_PIECE = 1 << 16


_below: list[int] = []


def keep_log(url: str, prefix: str) -> int | None:
    """Go on in a child (there this returns None) and keep its output; return the exit status that the pod is to have.

    The output goes below the key `prefix`, "" for nowhere, or what the child has said to :func:`keep_below`.
    To be called before there are any threads. A log that cannot be stored is told in the pod's own log, and does not
    fail the step.
    """
    (out, out_end), (told, told_end), (below, below_end) = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(told_end, 1)
        keep_for_pod()  # what it tells the operator is no part of the log
        os.dup2(out_end, 1)
        os.dup2(out_end, 2)
        for end in (out, out_end, told, told_end, below):
            os.close(end)
        _below.append(below_end)
        return None
    for end in (out_end, told_end, below_end):
        os.close(end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: _pass_on(child, number))
    with tempfile.TemporaryFile() as copy:
        status = _follow(child, out, told, copy)
        copy.seek(0)
        prefix = _said_to(below) or prefix
        if not prefix:
            return status
        try:
            with open_storage(url).writing(f"{prefix}/{LOG}") as file:
                shutil.copyfileobj(copy, file, CHUNK)
        except StepError as error:
            sys.stderr.write(f"podgraph: the step's log is not kept: {error.message}\n")
    return status


def keep_below(prefix: str) -> None:
    """Say, in the child, where the output goes: a pod that was started ahead may learn whose it is by its link."""
    for end in _below:
        os.write(end, prefix.encode())


def _said_to(below: int) -> str:
    os.set_blocking(below, False)  # what the step has started may hold the other end still
    try:
        return os.read(below, _PIECE).decode()
    except BlockingIOError:
        return ""


def show_logs(storage: Storage, prefix: str, attempts: Mapping[str, int], nonce: str) -> None:
    """Print the kept logs of these attempts, by op, in the form that :func:`read_shown` reads.

    Of logs that are too long together only the ends are printed. Raises StepError (`StorageFailed`).
    """
    most = _SHOWN // max(1, len(attempts))
    out = sys.stdout.buffer
    for op, attempt in attempts.items():
        with contextlib.suppress(FileNotFoundError), storage.reading(f"{prefix}/{op}/{attempt}/{LOG}") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            out.write(f"{nonce} {op}\n".encode())
            if size > most:
                out.write(f"... ({size - most:,} bytes before this are not shown)\n".encode())
            data = file.read()
            out.write(data if not data or data.endswith(b"\n") else data + b"\n")
    out.flush()


def read_shown(lines: Iterable[str], nonce: str) -> dict[str, list[str]]:
    """Return the lines of each op's log out of what :func:`show_logs` printed; an op without a log is left out.

    >>> read_shown(["n one", "hello", "n two", "n three", "x"], "n")
    {'one': ['hello'], 'two': [], 'three': ['x']}
    """
    found: dict[str, list[str]] = {}
    into: list[str] = []
    for line in lines:
        if line.startswith(f"{nonce} "):
            into = found.setdefault(line[len(nonce) + 1 :], [])
        else:
            into.append(line)
    return found


def _follow(child: int, out: int, told: int, copy: IO[bytes]) -> int:
    """Pass on what comes until the child has ended and nothing is left; return its exit status as a shell would.

    What the child tells the operator comes after all that it had printed by then: a step is over for whoever follows
    the pod's log when its record is read.
    """
    status: int | None = None
    until = 0.0
    ends = {out, told}
    while ends:
        ready, _, _ = select.select(list(ends), [], [], _LOOK_SECONDS if status is None else 0.0)
        for end in ready if out not in ready else [out]:
            data = os.read(end, _PIECE)
            if not data:
                ends.remove(end)
            if end == out:
                copy.write(data)
            with contextlib.suppress(OSError):
                _write(1, data)
        if status is None:
            status = _ended(child, os.WNOHANG)
            until = time.monotonic() + _REST_SECONDS
        elif not ready or time.monotonic() > until:
            break  # something the step has started holds the pipe; the step itself has ended
    return _ended(child, 0) or 0 if status is None else status


def _ended(child: int, how: int) -> int | None:
    pid, code = os.waitpid(child, how)
    if pid == 0:
        return None
    return 128 + os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)


def _write(to: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(to, view) :]


def _pass_on(child: int, number: Any) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
