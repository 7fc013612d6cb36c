"""Stores the output of a step, so that it outlives the pod.

The step runs in a child of the first process of the pod. The first process forwards all output as it arrives and stores
a copy at the end. This also stores the log of a step that crashes or kills its own process.
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
from podgraph.runtime.descriptors import moved_up
from podgraph.runtime.pod.output import keep_for_pod
from podgraph.runtime.pod.storage import CHUNK, Storage, open_storage

__all__ = ["LOG", "keep_below", "keep_log", "read_shown", "show_logs"]

LOG = "log.txt"
"""The last part of the key of a log; no output can have this name."""
_SHOWN = 8 << 20  # the kubelet cuts a pod's log at 10 MiB
_LOOK_SECONDS = 0.2
_REST_SECONDS = 1.0
_PIECE = 1 << 16


_below: list[int] = []


def keep_log(url: str, prefix: str) -> int | None:
    """Fork. Returns None in the child; in the parent, store the output of the child and return the pod's exit status.

    The output is stored below the key `prefix` ("" for nowhere), or the key that the child passed to
    :func:`keep_below`. Call this before any thread starts. If the log cannot be stored, the pod logs the reason; the
    step does not fail.
    """
    (out, out_end), (signed, signed_end), (below, below_end) = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(signed_end, 1)
        keep_for_pod(f"/proc/{os.getppid()}/fd/{signed}")  # the lines for the operator are not part of the log
        os.dup2(out_end, 1)
        os.dup2(out_end, 2)
        for end in (out, out_end, signed, signed_end, below):
            os.close(end)
        _below.append(moved_up(below_end))
        return None
    for end in (out_end, signed_end, below_end):
        os.close(end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: _pass_on(child, number))
    with tempfile.TemporaryFile() as copy:
        status = _follow(child, out, signed, copy)
        copy.seek(0)
        prefix = _read_prefix(below) or prefix
        if not prefix:
            return status
        try:
            with open_storage(url).writing(f"{prefix}/{LOG}") as file:
                shutil.copyfileobj(copy, file, CHUNK)
        except StepError as error:
            sys.stderr.write(f"podgraph: the step's log is not stored: {error.message}\n")
    return status


def keep_below(prefix: str) -> None:
    """Set, in the child, the key prefix of the output: a prestarted pod may receive its step on the link."""
    for end in _below:
        with contextlib.suppress(OSError):  # the user's code has closed it
            os.write(end, prefix.encode())


def _read_prefix(below: int) -> str:
    os.set_blocking(below, False)  # a process that the step has started may still hold the other end
    try:
        return os.read(below, _PIECE).decode()
    except BlockingIOError:
        return ""


def show_logs(storage: Storage, prefix: str, attempts: Mapping[str, int], nonce: str) -> None:
    """Print the stored logs of these attempts, by op, in the form that :func:`read_shown` reads.

    If the logs are too long together, it prints only their ends. Raises StepError (`StorageFailed`).
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
    """Return the lines of the log of each op from the output of :func:`show_logs`; ops without a log are omitted.

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


def _follow(child: int, out: int, signed: int, copy: IO[bytes]) -> int:
    """Forward the output until the child has exited and nothing is left. Returns its exit status as in a shell.

    A line for the operator follows all earlier output of the child: a reader of the log treats the step as finished
    once it reads the record.
    """
    status: int | None = None
    until = 0.0
    ends = {out, signed}
    os.set_blocking(signed, False)
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
        if signed not in ends and out not in ready:
            _pass_late(signed)
        if status is None:
            status = _ended(child, os.WNOHANG)
            until = time.monotonic() + _REST_SECONDS
        elif not ready or time.monotonic() > until:
            break  # a process that the step started holds the pipe; the step itself has exited
    status = _ended(child, 0) or 0 if status is None else status
    _pass_late(signed)
    return status


def _pass_late(signed: int) -> None:
    """Forward the lines of a child whose code has closed the pipe: it has opened the pipe again."""
    with contextlib.suppress(OSError):
        while data := os.read(signed, _PIECE):
            _write(1, data)


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
