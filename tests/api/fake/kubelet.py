"""A kubelet that plays every pod by itself, so that a test can let whole jobs run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

from .errors import ApiError
from .store import Change, Obj

if TYPE_CHECKING:
    from .cluster import FakeCluster

Outcome = tuple[int, str]
Behave = Callable[[Obj], Outcome | Awaitable[Outcome | None] | None]
Delay = float | Callable[[Obj], float]


class AutoKubelet:
    """Runs each pod: schedules it, starts it, asks `behave(pod)` for (exit code, termination message), ends it.

    `behave` may be a coroutine function (it can then wait, for an annotation say), and None leaves the pod
    running. `start_delay` passes before a pod runs, `run_delay` before it ends, in seconds or by a callable.
    `select` leaves the pods it refuses alone. Errors of `behave` are raised when the block ends.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        behave: Behave,
        *,
        start_delay: Delay = 0.0,
        run_delay: Delay = 0.0,
        select: Callable[[Obj], bool] | None = None,
    ) -> None:
        self.cluster, self.behave = cluster, behave
        self.start_delay, self.run_delay, self.select = start_delay, run_delay, select
        self.started: list[str] = []  # names of pods in the order they ran
        self.finished: list[str] = []
        self.running = 0
        self.most_running = 0
        self.errors: list[Exception] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by pod uid

    async def __aenter__(self) -> Self:
        self.cluster.store.listeners.append(self._seen)
        for pod in self.cluster.objects("pods"):
            if pod["status"].get("phase") == "Pending":
                self._begin(pod)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cluster.store.listeners.remove(self._seen)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self.errors:
            raise ExceptionGroup("the behaviour given to AutoKubelet failed", self.errors)

    def _seen(self, change: Change) -> None:
        if change.resource is not self.cluster.pods:
            return
        pod = change.new.obj
        if change.type == "ADDED":
            self._begin(pod)
        elif change.type == "DELETED" or "deletionTimestamp" in pod["metadata"]:
            task = self._tasks.pop(pod["metadata"]["uid"], None)
            if task is not None and task is not asyncio.current_task():
                task.cancel()

    def _begin(self, pod: Obj) -> None:
        if self.select is None or self.select(pod):
            uid = pod["metadata"]["uid"]
            self._tasks[uid] = asyncio.create_task(self._play(pod), name=f"pod {pod['metadata']['name']}")
            self._tasks[uid].add_done_callback(lambda _: self._tasks.pop(uid, None))

    async def _play(self, pod: Obj) -> None:
        try:
            await self._run(pod)
        except ApiError as error:
            if error.code not in (404, 422):  # the test ended or deleted the pod meanwhile
                raise

    async def _run(self, pod: Obj) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        await asyncio.sleep(self._delay(self.start_delay, pod))
        self.cluster.wait_pod(namespace, name)
        pod = self.cluster.run_pod(namespace, name)
        self.started.append(name)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            outcome = self.behave(pod)
            if inspect.isawaitable(outcome):
                outcome = await outcome
            await asyncio.sleep(self._delay(self.run_delay, pod))
        except (Exception, AssertionError) as error:  # noqa: BLE001 - raised again when the block ends
            self.errors.append(error)
            outcome = (1, f"{type(error).__name__}: {error}")
        finally:
            self.running -= 1
        if outcome is not None:
            self.cluster.finish_pod(namespace, name, *outcome)
            self.finished.append(name)

    @staticmethod
    def _delay(delay: Delay, pod: Obj) -> float:
        return delay(pod) if callable(delay) else delay
