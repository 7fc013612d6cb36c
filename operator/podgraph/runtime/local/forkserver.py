"""A process that has loaded the user's code once and forks a process for each step: `python -m ...forkserver FD`.

It ends, and all it forked with it, when the other side of its connection is gone.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys

from podgraph.definition.jobs import JobDefinition
from podgraph.runtime.load import CodeRef
from podgraph.runtime.local.channel import receive, send
from podgraph.runtime.local.in_process import show_logs
from podgraph.runtime.local.worker import serve

__all__ = ["ask_for_fork", "kill_group"]

_TOKEN = b"f"


def ask_for_fork(server: socket.socket, connection: int, output: int) -> None:
    """Ask for a process that serves the socket `connection` and prints to `output` (both file descriptors).

    The server answers with a message ("forked", pid), and when the process has ended ("ended", pid, wait status).
    """
    socket.send_fds(server, [_TOKEN], [connection, output])


def kill_group(pid: int) -> None:
    """End what a step's process, which has ended, leaves behind: the processes it made itself."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Load the code, then fork until the run is over."""
    run = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run itself says when it is over
    code: CodeRef = receive(run)
    show_logs()
    job = code.load()
    for stream in (sys.stdout, sys.stderr):  # what the code printed meanwhile would else be printed by each child
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    waiting = selectors.DefaultSelector()
    waiting.register(run, selectors.EVENT_READ)
    waiting.register(wake, selectors.EVENT_READ)
    children: set[int] = set()
    try:
        while True:
            ready = [key.fileobj for key, _ in waiting.select()]
            if wake in ready:
                os.read(wake, 4096)
                _reap(children, run)
            if run in ready and not _fork(job, run, children):
                break
    except ConnectionError:
        pass  # the run is over, and nobody asks any more how its processes ended
    finally:
        for pid in children:
            kill_group(pid)
        for pid in children:  # so that none is left to a first process that may not care for it
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)


def _fork(job: JobDefinition, run: socket.socket, children: set[int]) -> bool:
    """Fork once if asked to; return False when the run is gone."""
    token, fds, _, _ = socket.recv_fds(run, 1, 2)
    if not token:
        return False
    connection, output = fds
    pid = os.fork()
    if pid == 0:
        _become_worker(job, run, connection, output)
    with contextlib.suppress(OSError):  # done by the child too: whichever comes first
        os.setpgid(pid, pid)
    os.close(connection)
    os.close(output)
    children.add(pid)
    send(run, ("forked", pid))
    return True


def _become_worker(job: JobDefinition, run: socket.socket, connection: int, output: int) -> None:
    """Turn the forked process into a step's: never returns."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)  # so that a Ctrl-C in the terminal reaches the run alone
        run.close()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.close(nothing)
        os.close(output)
        os.set_inheritable(connection, False)
        with contextlib.suppress(AttributeError):  # the code has put another stream in its place
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        serve(job, socket.socket(fileno=connection))
    finally:
        os._exit(1)


def _reap(children: set[int], run: socket.socket) -> None:
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        children.discard(pid)
        kill_group(pid)
        send(run, ("ended", pid, status))


if __name__ == "__main__":
    main()
