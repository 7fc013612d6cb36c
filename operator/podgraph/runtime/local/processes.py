"""Starts the processes of steps and tracks how they exit."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from podgraph.runtime.load import CodeRef
from podgraph.runtime.local.channel import Inbox, send
from podgraph.runtime.local.forkserver import ask_for_fork, kill_group

__all__ = ["ForkServer", "Spawner", "Worker", "how_it_ended"]

_GRACE_SECONDS = 5.0
_READ = 64 * 1024
_MOST_READS = 16


class Worker:
    """The process of one step: the run's end of its connection, its output, and its pid once it is known.

    `status` is its exit code, or the negative number of the signal that killed it; None while it runs. `begun` is the
    time of the request, on the monotonic clock. An `overdue` process has exceeded the timeout of its op.
    """

    def __init__(self, step: str, connection: socket.socket, output: int) -> None:
        self.step, self.connection, self.output = step, connection, output
        os.set_blocking(output, False)
        self.inbox: Inbox | None = None
        self.pid = 0
        self.status: int | None = None
        self.text = bytearray()
        self.begun = time.monotonic()
        self.overdue = False
        self.is_mute = False  # it has closed its output

    def messages(self) -> Iterator[Any]:
        """Yield the messages since the last call."""
        return iter(()) if self.inbox is None else self.inbox.messages()

    def lines(self, last: bool = False) -> Iterator[str]:
        """Yield the complete lines of output since the last call, and with `last` also an incomplete one.

        Each call reads no more than a pipe can hold, so that a process with endless output does not block the run.
        """
        for _ in range(_MOST_READS):
            try:
                part = os.read(self.output, _READ)
            except OSError:  # no output now
                break
            if not part:
                self.is_mute = True
                break
            self.text += part
        *whole, rest = bytes(self.text).split(b"\n")
        self.text = bytearray(b"" if last else rest)
        for line in [*whole, rest] if last and rest else whole:
            yield line.decode(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal to the process and to the processes that it started."""
        if self.pid and self.status is None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, number)

    def close(self) -> None:
        """Close the connection and the pipe; a process that is still running then exits."""
        self.connection.close()
        os.close(self.output)


class Spawner:
    """Starts a new interpreter for each step."""

    def __init__(self, code: CodeRef) -> None:
        self._code = code
        self._made: list[tuple[Worker, subprocess.Popen[bytes]]] = []

    def start(self, step: str) -> Worker:
        """Start the process of a step."""
        ours, theirs = socket.socketpair()
        output, printed = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "podgraph.runtime.local.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
            start_new_session=True, env=_environment(),
        )  # fmt: skip
        theirs.close()
        os.close(printed)
        worker = Worker(step, ours, output)
        worker.pid = process.pid
        self._made.append((worker, process))
        send(ours, self._code)
        return worker

    def check(self) -> None:
        """Update the status of processes that have exited."""
        for worker, process in self._made:
            worker.status = process.poll()
            if worker.status is not None:
                kill_group(process.pid)
        self._made = [(worker, process) for worker, process in self._made if worker.status is None]

    def close(self) -> None:
        """Wait for the last processes to exit; their connections are already closed."""
        deadline = time.monotonic() + _GRACE_SECONDS
        for _, process in self._made:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            kill_group(process.pid)
            process.wait()


class ForkServer:
    """Forks a process for each step from a process that has loaded the user's code once."""

    def __init__(self, code: CodeRef) -> None:
        self._code = code
        self._requested: list[Worker] = []  # without a pid yet, in the order of the requests
        self._running: dict[int, Worker] = {}
        self._open()

    def _open(self) -> None:
        self.connection, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "podgraph.runtime.local.forkserver", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True, env=_environment(),
        )  # fmt: skip
        theirs.close()
        send(self.connection, self._code)
        self._inbox: Inbox | None = None
        self.is_gone = self._has_forked = False

    def start(self, step: str) -> Worker:
        """Request the process of a step; its pid is known after a later :meth:`check`."""
        if self.is_gone and self._has_forked:  # something killed the server; it had loaded the code, so a new one can
            self.connection.close()
            self._open()
        ours, theirs = socket.socketpair()
        output, printed = os.pipe()
        worker = Worker(step, ours, output)
        with theirs, contextlib.suppress(OSError):  # if the server is gone, the worker gets a status
            ask_for_fork(self.connection, theirs.fileno(), printed)
        os.close(printed)
        self._requested.append(worker)
        return worker

    def check(self) -> None:
        """Process the messages of the server: which processes it forked, and which have exited."""
        self._inbox = self._inbox or Inbox(self.connection)
        for kind, pid, *status in self._inbox.messages():
            if kind == "forked":
                self._has_forked = True
                self._running[pid] = self._requested.pop(0)
                self._running[pid].pid = pid
            elif pid in self._running:
                self._running.pop(pid).status = os.waitstatus_to_exitcode(status[0])
        if self._inbox.ended:
            self.is_gone = True
            code = self._process.wait()
            for worker in [*self._requested, *self._running.values()]:
                worker.status = worker.status if worker.status is not None else code
            self._requested, self._running = [], {}

    def close(self) -> None:
        """Stop the server and all processes that it forked."""
        self.connection.close()
        if not self._has_forked:  # it is still loading the code
            self._process.kill()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def how_it_ended(status: int) -> str:
    """Describe how a process exited that reported no result.

    >>> how_it_ended(3)
    'ended with exit code 3'
    """
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = ", perhaps because memory ran out" if -status == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"


def _environment() -> dict[str, str]:
    """Return the environment of this process, extended so that the same podgraph is found, also in a zip archive."""
    home = str(Path(__file__).parents[3])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
