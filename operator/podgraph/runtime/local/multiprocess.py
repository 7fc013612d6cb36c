"""Runs a job with each step in its own process, several at once."""

from __future__ import annotations

import contextlib
import selectors
import signal
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.flow import is_connected
from podgraph.protocol.errors import ErrorInfo, seconds_to_retry
from podgraph.run_config.limits import Limits
from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.load import CodeRef
from podgraph.runtime.local.channel import Inbox, Stored, left_messages, send
from podgraph.runtime.local.processes import ForkServer, Spawner, Worker, how_it_ended
from podgraph.runtime.local.run_plan import RunPlan
from podgraph.runtime.local.steps import LocalSteps
from podgraph.runtime.local.tasks import Done, Task

__all__ = ["run_multiprocess"]

_LOOK_SECONDS = 0.2  # interval of the check for processes that exited without a message
_GRACE_SECONDS = 5.0
_START_SECONDS = 0.5  # a server forks faster than this, unless it still loads the code

Print = Callable[[str, str], None]


def run_multiprocess(prepared: RunPlan, steps: LocalSteps, run: RunInfo, code: CodeRef, show: Print) -> bool:
    """Run all steps and return whether none failed. `show` is called with the name of a step and each line it prints.

    The outputs of steps stay `Stored` values; the files of large outputs are deleted at the end of the run. Raises
    KeyboardInterrupt after a Ctrl-C, and leaves no process behind. Raises DefinitionError (`NoTemporaryFolder`).
    """
    try:
        tempfile.gettempdir()
    except OSError:
        raise DefinitionError(
            "NoTemporaryFolder",
            "the multiprocess executor needs a writable temporary folder for the values between steps; mount an "
            "emptyDir at /tmp, or set $TMPDIR",
        ) from None
    steps.emit("RUN_START", "", {})
    with tempfile.TemporaryDirectory(prefix="podgraph-") as folder:
        makes = ForkServer(code) if prepared.execution.start_method == "forkserver" else Spawner(code)
        running = _Run(prepared, steps, run, folder, makes, show)
        try:
            running.to_the_end()
        except KeyboardInterrupt:
            try:
                running.cancel()
            finally:
                steps.cancel()
            raise
        finally:
            running.close()
            makes.close()
    failed = bool(steps.count("Failed"))
    steps.emit("RUN_FAILURE" if failed else "RUN_SUCCESS", "", {})
    return not failed


class _Run:
    """The running steps, each in its worker."""

    def __init__(
        self, prepared: RunPlan, steps: LocalSteps, run: RunInfo, folder: str, makes: ForkServer | Spawner, show: Print
    ) -> None:
        self._prepared, self._steps, self._run, self._folder = prepared, steps, run, folder
        self._makes, self._show = makes, show
        self._limits = Limits(prepared.execution.max_concurrent, prepared.execution.tag_limits)
        self._workers: dict[str, Worker] = {}
        self._ended: dict[str, Done] = {}
        self._waiting = selectors.DefaultSelector()

    def to_the_end(self) -> None:
        """Start ready steps and process messages until all steps are terminal."""
        while True:
            wait = self._steps.seconds_to_retry()
            self._start_ready()
            if not self._workers and wait is None:
                return
            self._waiting.select(_LOOK_SECONDS if wait is None else min(wait, _LOOK_SECONDS))
            self._take_in()

    def cancel(self) -> None:
        """Stop all workers: first with SIGTERM, so that they can clean up their resources, then with SIGKILL.

        A process that does not exist yet receives the signal once it does, or is abandoned after a while.
        """
        late = time.monotonic() + _START_SECONDS
        for number in (signal.SIGTERM, signal.SIGKILL):
            signaled: set[str] = set()
            deadline = time.monotonic() + _GRACE_SECONDS
            while self._workers and time.monotonic() < deadline:
                self._makes.check()
                for worker in list(self._workers.values()):
                    gone = worker.status is not None
                    self._hear(worker)
                    if gone or (not worker.pid and time.monotonic() > late):
                        self._let_go(worker)
                    elif worker.pid and worker.step not in signaled:
                        signaled.add(worker.step)
                        worker.signal(number)
                self._waiting.select(_LOOK_SECONDS / 10)

    def close(self) -> None:
        """Close all connections; a process that is still running then exits."""
        for worker in self._workers.values():
            worker.close()
        self._waiting.close()

    def _start_ready(self) -> None:
        graph, ready = self._prepared.graph, self._steps.ready
        for _ in range(len(ready)):
            if self._limits.is_full:
                return
            name = ready.popleft()
            if self._limits.take(name, graph.ops[name].tags):
                self._start(name)
            else:
                ready.append(name)

    def _start(self, name: str) -> None:
        bound = self._prepared.bound
        task = Task(
            name,
            self._steps.start(name).attempt,
            self._run,
            self._folder,
            self._prepared.inputs.get(name, {}),
            _stored_inputs(self._prepared.graph, name, self._steps),
            bound.configs.get(name),
            {key: bound.resources.get(key) for key in self._prepared.graph.ops[name].resources},
        )
        worker = self._makes.start(name)
        self._watch_server()
        self._workers[name] = worker
        with contextlib.suppress(OSError):  # the status reports a process that is already gone
            send(worker.connection, task)
        worker.inbox = Inbox(worker.connection)
        self._waiting.register(worker.connection, selectors.EVENT_READ)
        self._waiting.register(worker.output, selectors.EVENT_READ)

    def _take_in(self) -> None:
        self._makes.check()
        self._watch_server()
        for worker in list(self._workers.values()):
            gone = worker.status is not None  # checked first, so that all its messages can be read afterwards
            self._hear(worker)
            if gone and worker.step not in self._ended:
                self._take_messages(worker, left_messages(self._folder, worker.pid))
            done = self._ended.pop(worker.step, None)
            if done is not None or gone:
                self._let_go(worker)
                late = worker.overdue and (done is None or done.error is not None)
                self._end(worker.step, self._timed_out(worker) if late else done or self._died(worker))
            else:
                self._end_overdue(worker)

    def _hear(self, worker: Worker) -> None:
        """Process the messages and the output of a worker. A closed end is unregistered: it is always readable."""
        self._take_messages(worker, worker.messages())
        for line in worker.lines():
            self._show(worker.step, line)
        if worker.inbox is not None and worker.inbox.ended:
            self._ignore(worker.connection)
        if worker.is_mute:
            self._ignore(worker.output)

    def _take_messages(self, worker: Worker, messages: Iterable[Any]) -> None:
        for message in messages:
            if isinstance(message, Done):
                self._ended[worker.step] = message
            else:
                self._steps.emit(message[0], worker.step, message[1])

    def _watch_server(self) -> None:
        """Also wait for messages of the fork server, while it exists."""
        if not isinstance(self._makes, ForkServer):
            return
        server = self._makes.connection
        if self._makes.is_gone:
            self._ignore(server)
        elif server not in self._waiting.get_map():
            self._waiting.register(server, selectors.EVENT_READ)

    def _ignore(self, thing: Any) -> None:
        with contextlib.suppress(KeyError):
            self._waiting.unregister(thing)

    def _end_overdue(self, worker: Worker) -> None:
        """Stop a process that exceeds the timeout of its op: with SIGTERM, so that it can clean up, then SIGKILL."""
        timeout = self._prepared.graph.ops[worker.step].timeout
        if timeout is None or time.monotonic() < worker.begun + timeout:
            return
        if not worker.overdue:
            worker.overdue = True
            worker.signal(signal.SIGTERM)
        elif time.monotonic() > worker.begun + timeout + _GRACE_SECONDS:
            worker.signal(signal.SIGKILL)

    def _timed_out(self, worker: Worker) -> Done:
        timeout = self._prepared.graph.ops[worker.step].timeout
        return self._failed(worker, ErrorInfo("Timeout", f"it ran longer than its timeout of {timeout:g} seconds"))

    def _died(self, worker: Worker) -> Done:
        assert worker.status is not None
        text = f"its process {how_it_ended(worker.status)} before the op finished"
        return self._failed(worker, ErrorInfo("WorkerDied", text))

    def _failed(self, worker: Worker, error: ErrorInfo) -> Done:
        """Return the result of an attempt whose process could not report it."""
        attempt = self._steps.records[worker.step].attempt
        op = self._prepared.graph.ops[worker.step]
        return Done(error=error, retry_after=seconds_to_retry(op, error, attempt) if self._run.retries else None)

    def _end(self, name: str, done: Done) -> None:
        self._limits.give(name)
        if done.error is None:
            self._steps.succeed(name, done.outputs)
        elif done.retry_after is not None:
            self._steps.retry(name, done.error, done.retry_after)
        else:
            self._steps.fail(name, done.error)

    def _let_go(self, worker: Worker) -> None:
        for line in worker.lines(last=True):
            self._show(worker.step, line)
        self._ignore(worker.connection)
        self._ignore(worker.output)
        worker.close()
        del self._workers[worker.step]


def _stored_inputs(graph: Graph, name: str, steps: LocalSteps) -> dict[str, Stored | list[Stored]]:
    stored: dict[str, Stored | list[Stored]] = {}
    for item in graph.ops[name].inputs:
        if item.ordering or not is_connected(item, steps.records):
            continue
        found = [out for ref in item.sources if (out := steps.records[ref.op].outputs.get(ref.output)) is not None]
        stored[item.name] = found if item.fan_in else found[0]
    return stored
