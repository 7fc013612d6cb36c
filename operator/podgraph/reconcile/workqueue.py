"""A queue of keys that forgets duplicates, as client-go's workqueue: one key is worked on by one worker at a time."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

from podgraph.backoff import ExponentialBackoff
from podgraph.cluster.client import ApiError
from podgraph.cluster.turns import Turns

__all__ = ["KeyedQueue", "work"]

_LOG = logging.getLogger(__name__)

_BACKOFF = ExponentialBackoff(0.4, 60.0, jitter=(0.5, 1.0))


class KeyedQueue:
    """Keys to work on, first come first served, and round-robin between namespaces.

    A key that is added twice while it waits is worked on once; added while it is worked on, it comes again afterwards.
    `namespace_of` returns a key's namespace, and keys of one are not worked on by more than `most` workers at once, so
    that some are always free for the others. `clock` is the loop's time, replaceable in tests.
    """

    def __init__(
        self, clock: Callable[[], float] | None = None, namespace_of: Callable[[str], str] = lambda key: "",
        most: int | None = None,
    ) -> None:  # fmt: skip
        self._clock = clock or asyncio.get_running_loop().time
        self._namespace_of, self._most = namespace_of, most
        self._ready = Turns[str]()
        self._working_of: dict[str, str] = {}  # the namespaces of the keys that are worked on
        self._busy = Counter[str]()
        self._dirty: set[str] = set()
        self._working: set[str] = set()
        self._failures: dict[str, int] = {}
        self._later: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._order = itertools.count()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: str) -> None:
        """Queue `key` for the next free worker."""
        if key not in self._dirty:
            self._dirty.add(key)
            if key not in self._working:
                self._put(key)

    def add_after(self, key: str, seconds: float) -> None:
        """Queue `key` in `seconds`, unless it is already due earlier; a later time is replaced."""
        due = self._clock() + max(0.0, seconds)
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._order), key))
        self._set_timer()

    def add_failed(self, key: str) -> None:
        """Queue `key` again after a pause that doubles with each failure in a row."""
        before = self._failures.get(key, 0)
        self._failures[key] = before + 1
        self.add_after(key, _BACKOFF.seconds(before, random.random()))

    def succeeded(self, key: str) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """Wait for a key and take it; :meth:`done` must follow."""
        while True:
            self._move_due()
            namespace = self._next_namespace()
            if namespace is not None:
                key = self._ready.pop(namespace)
                self._dirty.discard(key)
                self._working.add(key)
                self._working_of[key] = namespace
                self._busy[namespace] += 1
                return key
            sleeper = asyncio.get_running_loop().create_future()
            self._sleepers.append(sleeper)
            try:
                await sleeper
            except asyncio.CancelledError:
                if sleeper.done() and not sleeper.cancelled():  # woken and cancelled: wake another worker
                    self._wake_one()
                raise

    def done(self, key: str) -> None:
        """End the work on `key`; if it was added meanwhile, it comes again."""
        self._working.discard(key)
        namespace = self._working_of.pop(key, None)
        was_full = namespace is not None and self._most is not None and self._busy[namespace] >= self._most
        if namespace is not None:
            self._busy[namespace] -= 1
            if not self._busy[namespace]:
                del self._busy[namespace]
        if key in self._dirty:
            self._put(key)
        elif was_full and len(self._ready):  # keys that waited only for their namespace
            self._wake_one()

    def _put(self, key: str) -> None:
        self._ready.add(self._namespace_of(key), "", key)
        self._wake_one()

    def _next_namespace(self) -> str | None:
        """Return the next namespace with fewer than `most` busy workers, None when there is none."""
        if self._most is None:
            return next(iter(self._ready.groups()), None)
        return next((group for group in self._ready.groups() if self._busy[group] < self._most), None)

    def _wake_one(self) -> None:
        """Wake one worker for one key: waking all of them costs more than most keys do."""
        while self._sleepers:
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return

    def _set_timer(self) -> None:
        """Set the timer that makes the earliest of the later keys ready when it is due."""
        if self._later and self._later[0][0] < self._timer_due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_due = self._later[0][0]
            seconds = max(0.0, self._timer_due - self._clock())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer, self._timer_due = None, float("inf")
        self._move_due()

    def _move_due(self) -> None:
        """Make due keys ready."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._set_timer()


async def work(
    queue: KeyedQueue, reconcile: Callable[[str], Awaitable[None]], what: str,
    timer: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
) -> None:  # fmt: skip
    """Take keys from `queue` and reconcile them until cancelled; `what` names them in the log, `timer` times each."""
    while True:
        key = await queue.get()
        try:
            with timer():
                await reconcile(key)
            queue.succeeded(key)
        except ApiError as error:
            _LOG.warning("%s %s: %s", what, key, error)
            queue.add_failed(key)
        except Exception:  # noqa: BLE001  one key's failure must not stop the others
            _LOG.exception("%s %s: unexpected", what, key)
            queue.add_failed(key)
        finally:
            queue.done(key)
