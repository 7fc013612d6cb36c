"""The process of one step in a multiprocess run: `python -m ...worker FD`, or forked (see forkserver)."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from typing import Any

from podgraph.definition.config_read import read_config
from podgraph.definition.jobs import JobDefinition
from podgraph.protocol.step import StepError
from podgraph.runtime.attempt import run_attempt
from podgraph.runtime.descriptors import moved_up
from podgraph.runtime.errors import error_info, portable
from podgraph.runtime.load import CodeRef
from podgraph.runtime.local.channel import Outbox, Stored, load, receive, store
from podgraph.runtime.local.in_process import show_logs
from podgraph.runtime.local.tasks import Done, Task
from podgraph.runtime.own_process import only_own_process, signal_handler
from podgraph.runtime.resources import open_resources

__all__ = ["serve"]


def serve(job: JobDefinition, connection: socket.socket) -> None:
    """Run the task from the connection, send its result, and exit immediately.

    The exit does not wait for threads and exit handlers of the user's code: the step has finished.
    """
    connection = socket.socket(fileno=moved_up(connection.detach()))
    outbox = Outbox(connection)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # SIGTERM interrupts, so that resources are cleaned up.
    signal.signal(signal.SIGTERM, signal_handler(signal.default_int_handler))
    status = 1
    try:
        task: Task = receive(connection)
        outbox.folder = task.folder
        threading.Thread(target=_end_with_the_run, args=(connection,), daemon=True).start()
        with only_own_process():
            done = _work(job, task, outbox)
        _flush()
        outbox.send(done)
        outbox.close()
        status = 0
    except (KeyboardInterrupt, EOFError, ConnectionError):
        pass  # the run is over
    except BaseException:  # noqa: BLE001  report the error before the exit
        traceback.print_exc()
    finally:
        _flush()
        os._exit(status)


def _work(job: JobDefinition, task: Task, outbox: Outbox) -> Done:
    outputs: dict[str, Stored] = {}

    def emit(kind: str, data: dict[str, Any]) -> None:
        outbox.send((kind, data))

    def finish(values: dict[str, Any]) -> None:
        for name, value in values.items():
            outputs[name] = store(value, task.folder, f"output {name!r} of op {task.op!r}")

    try:
        inputs = dict(task.inputs)
        for name, stored in task.stored.items():
            what = f"input {name!r} of op {task.op!r}"
            inputs[name] = [load(s, what) for s in stored] if isinstance(stored, list) else load(stored, what)
        schema = job.ops[task.op].config_schema
        config = None if schema is None else read_config(schema, task.config)
        needed = job.graph.ops[task.op].resources
        with open_resources(job.resource_defs, needed, task.resources, task.run.run_id, emit) as resources:
            attempt = run_attempt(job, task.op, inputs, config, resources, task.run, task.number, emit, finish)
    except StepError as error:
        return Done(error=error_info(error))
    except KeyboardInterrupt as error:
        return Done(error=error_info(error))
    if attempt.error is not None:
        return Done(error=portable(attempt.error), retry_after=attempt.retry_after)
    return Done(outputs)


def _end_with_the_run(connection: socket.socket) -> None:
    """Wait until the run is gone, then kill this process and the processes that it started."""
    try:
        connection.recv(1)
    except ConnectionError:
        pass
    except OSError:  # the user's code has closed the descriptor
        return
    os.killpg(0, signal.SIGKILL)


def _flush() -> None:
    with contextlib.suppress(Exception):  # handlers are the user's code
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


def main() -> None:
    """Run the worker of one step in a new interpreter."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    code: CodeRef = receive(connection)
    show_logs()
    serve(code.load(), connection)


if __name__ == "__main__":
    main()
