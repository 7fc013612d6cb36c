"""Run a job with each step in a process of its own, several at once."""

from __future__ import annotations

import contextlib
import selectors
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from podgraph.definition.graph import Graph
from podgraph.flow import is_connected
from podgraph.run_config.limits import Limits
from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.channel import Inbox, Stored, send
from podgraph.runtime.errors import ErrorInfo, seconds_to_retry
from podgraph.runtime.load import CodeRef
from podgraph.runtime.prepare import Prepared
from podgraph.runtime.processes import ForkServer, Spawner, Worker, how_it_ended
from podgraph.runtime.steps import LocalSteps
from podgraph.runtime.tasks import Done, Task

__all__ = ["run_multiprocess"]

_LOOK_SECONDS = 0.2  # how often ended processes are looked for that say nothing by themselves
_GRACE_SECONDS = 5.0

Print = Callable[[str, str], None]


def run_multiprocess(prepared: Prepared, steps: LocalSteps, run: RunInfo, code: CodeRef, show: Print) -> bool:
    """Run all steps and return whether none failed; `show` is called with each line that a step prints, and its name.

    Steps' outputs are left as `Stored` values; large ones are gone when the run is over. Raises KeyboardInterrupt
    after a Ctrl-C, with no process left behind.
    """
    steps.emit("RUN_START", "", {})
    with tempfile.TemporaryDirectory(prefix="podgraph-") as folder:
        makes = ForkServer(code) if prepared.execution.start_method == "forkserver" else Spawner(code)
        running = _Run(prepared, steps, run, folder, makes, show)
        try:
            running.to_the_end()
        except KeyboardInterrupt:
            running.cancel()
            steps.cancel()
            raise
        finally:
            makes.close()
    failed = bool(steps.count("Failed"))
    steps.emit("RUN_FAILURE" if failed else "RUN_SUCCESS", "", {})
    return not failed


class _Run:
    """The steps that run now, each in its worker."""

    def __init__(
        self, prepared: Prepared, steps: LocalSteps, run: RunInfo, folder: str, makes: ForkServer | Spawner, show: Print
    ) -> None:
        self._prepared, self._steps, self._run, self._folder = prepared, steps, run, folder
        self._makes, self._show = makes, show
        self._limits = Limits(prepared.execution.max_concurrent, prepared.execution.tag_limits)
        self._workers: dict[str, Worker] = {}
        self._ended: dict[str, Done] = {}
        self._waiting = selectors.DefaultSelector()
        if isinstance(makes, ForkServer):
            self._waiting.register(makes.connection, selectors.EVENT_READ)

    def to_the_end(self) -> None:
        """Start what is ready and take in what happens until no step can change any more."""
        while True:
            wait = self._steps.seconds_to_retry()
            self._start_ready()
            if not self._workers and wait is None:
                return
            self._waiting.select(_LOOK_SECONDS if self._workers or wait is None else min(wait, _LOOK_SECONDS))
            self._take_in()

    def cancel(self) -> None:
        """End all workers: ask them first, so that they can put their resources away, then kill them."""
        for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _GRACE_SECONDS)):
            self._makes.check()
            for worker in self._workers.values():
                worker.signal(number)
            deadline = time.monotonic() + seconds
            while self._workers and time.monotonic() < deadline:
                self._waiting.select(0.05)
                self._makes.check()
                for worker in [w for w in self._workers.values() if w.status is not None]:
                    self._let_go(worker)

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
        self._workers[name] = worker
        with contextlib.suppress(OSError):  # one that is gone already shows by its status
            send(worker.connection, task)
        worker.inbox = Inbox(worker.connection)
        self._waiting.register(worker.connection, selectors.EVENT_READ)
        self._waiting.register(worker.output, selectors.EVENT_READ)

    def _take_in(self) -> None:
        self._makes.check()
        for worker in list(self._workers.values()):
            gone = worker.status is not None  # asked first: what it said before is then there to be read
            for message in self._messages(worker):
                if isinstance(message, Done):
                    self._ended[worker.step] = message
                else:
                    self._steps.emit(message[0], worker.step, message[1])
            for line in worker.lines():
                self._show(worker.step, line)
            done = self._ended.pop(worker.step, None)
            if done is not None or gone:
                self._let_go(worker)
                self._end(worker.step, done or self._died(worker))
            else:
                self._ignore_ended(worker)

    def _messages(self, worker: Worker) -> Iterator[Any]:
        return worker.inbox.messages() if worker.inbox is not None else iter(())

    def _watched(self) -> set[Any]:
        return {key.fileobj for key in self._waiting.get_map().values()}

    def _ignore_ended(self, worker: Worker) -> None:
        """Wait no more for what a running process has closed: it would always seem to have news."""
        watched = self._watched()
        for thing, ended in ((worker.connection, worker.inbox and worker.inbox.ended), (worker.output, worker.is_mute)):
            if ended and thing in watched:
                self._waiting.unregister(thing)

    def _died(self, worker: Worker) -> Done:
        assert worker.status is not None
        error = ErrorInfo("WorkerDied", f"its process {how_it_ended(worker.status)} before the op was done")
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
        watched = self._watched()
        for thing in (worker.connection, worker.output):
            if thing in watched:
                self._waiting.unregister(thing)
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
