"""A process that loads the user's code once and forks a process for each step: `python -m ...forkserver FD`.

It exits, and kills all processes that it forked, when its connection is closed.
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
    """Request a process that serves the socket `connection` and prints to `output` (both file descriptors).

    The server sends the message ("forked", pid), and when the process has exited ("ended", pid, wait status).
    """
    socket.send_fds(server, [_TOKEN], [connection, output])


def kill_group(pid: int) -> None:
    """Kill the processes that the process of a step has started and left behind."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Load the code, then fork processes until the run is over."""
    run = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when it is over
    code: CodeRef = receive(run)
    show_logs()
    job = code.load()
    for stream in (sys.stdout, sys.stderr):  # otherwise each child would print the buffered output again
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
        pass  # the run is over and no longer needs the exit statuses
    finally:
        for pid in children:
            kill_group(pid)
        for pid in children:  # the init process of a container may not reap them
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)


def _fork(job: JobDefinition, run: socket.socket, children: set[int]) -> bool:
    """Fork once if the run requests it. Returns False if the run is gone."""
    token, fds, _, _ = socket.recv_fds(run, 1, 2)
    if not token:
        return False
    connection, output = fds
    pid = os.fork()
    if pid == 0:
        _become_worker(job, run, connection, output)
    with contextlib.suppress(OSError):  # the child does it too, whichever is first
        os.setpgid(pid, pid)
    os.close(connection)
    os.close(output)
    children.add(pid)
    send(run, ("forked", pid))
    return True


def _become_worker(job: JobDefinition, run: socket.socket, connection: int, output: int) -> None:
    """Turn the forked process into the worker of a step. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)  # so that a Ctrl-C in the terminal reaches only the run
        run.close()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.close(nothing)
        os.close(output)
        os.set_inheritable(connection, False)
        with contextlib.suppress(AttributeError):  # the code has replaced the stream
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
