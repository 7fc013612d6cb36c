"""Follows the logs of pods: for the records of steps, and for what pods that run several steps tell of them.

A log that breaks is taken up again where it broke. What is missed all the same does no harm: when a pod has ended its
log is read once more. That is also how Jobs go whose logs would be too many to follow.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from weakref import WeakValueDictionary

from podgraph.backoff import ExponentialBackoff
from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.connection import MOST_FOLLOWED
from podgraph.protocol.step import LINE_MARK

__all__ = ["LogFollower"]

_LOG = logging.getLogger(__name__)
_BACKOFF = ExponentialBackoff(0.2, 30.0)
_MOST_FAILURES = 8  # of reading a log that is there, with the queue's growing pauses in between: some minutes
_READS_AT_ONCE = 4  # of one namespace
_RATE = 2 * 1024 * 1024  # bytes of marked lines a second, of one namespace
_BURST = 2 * _RATE
_PLAIN_SHARE = 8  # bytes of other text that cost as much as one of a marked line
_MOST_DEBTS = 1_000
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")

Take = Callable[[list[str]], object]
Lost = Callable[[], None]


class Pace:
    """Holds back logs that come faster than is good for others: those of one namespace share a rate.

    A line with our mark costs more than other text, which is only looked through. Between two parts others have a turn.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._debts: dict[str, tuple[float, float]] = {}  # by namespace: bytes, and when they were that many

    async def take(self, namespace: str, size: int, marked: int) -> None:
        """Wait until the namespace may be read further."""
        await asyncio.sleep(self.owed(namespace, marked + size / _PLAIN_SHARE))

    def owed(self, namespace: str, cost: float) -> float:
        """Take in what was read; return how many seconds to wait."""
        now = self._clock()
        debt, at = self._debts.get(namespace, (0.0, now))
        debt = max(0.0, debt - (now - at) * _RATE) + cost
        if len(self._debts) > _MOST_DEBTS:
            self._debts = {key: found for key, found in self._debts.items() if found[0] > (now - found[1]) * _RATE}
        self._debts[namespace] = debt, now
        return max(0.0, debt - _BURST) / _RATE


class LogFollower:
    """The logs that are followed, by the uid of their Job and the name of the pod; `most` of them at once.

    When there is no room the namespace that has most gives way to one that has fewer.
    """

    def __init__(self, client: Client, most: int = MOST_FOLLOWED) -> None:
        self._client = client
        self._most = most
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._held: dict[tuple[str, str], tuple[str, Lost | None]] = {}  # by uid and pod: the namespace, whom to tell
        self._counts = Counter[str]()
        self._failures: dict[str, int] = {}
        self._reading: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._pace = Pace()

    def follow(self, uid: str, namespace: str, pod: str, take: Take, tail: int = 0, lost: Lost | None = None) -> None:
        """Follow a pod's log, if it is not followed and there is room; `take` is called with lines as they come.

        Of what is there already the last `tail` lines count, 0 for all. `lost` is called when there is no room, and
        when it breaks, though it is tried again.
        """
        if pod in self._tasks.get(uid, {}):
            return
        if len(self._held) < self._most or self._make_room(namespace):
            task = asyncio.create_task(self._follow(namespace, pod, take, tail, lost), name=f"log of {pod}")
            self._tasks.setdefault(uid, {})[pod] = task
            self._held[uid, pod] = namespace, lost
            self._counts[namespace] += 1
        elif lost is not None:
            lost()

    def leave(self, uid: str, pod: str = "") -> None:
        """Follow a pod's log no more, or none of the Job's."""
        self._failures.pop(uid, None)
        tasks = self._tasks.get(uid, {})
        for name in [pod] if pod else list(tasks):
            task = tasks.pop(name, None)
            if task is not None:
                task.cancel()
                self._forget(uid, name)
        if not tasks:
            self._tasks.pop(uid, None)

    async def close(self) -> None:
        """Follow none any more."""
        tasks = [task for some in self._tasks.values() for task in some.values()]
        self._tasks = {}
        self._held.clear()
        self._counts.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, uid: str, pod: str) -> Lost | None:
        namespace, lost = self._held.pop((uid, pod))
        self._counts[namespace] -= 1
        if not self._counts[namespace]:
            del self._counts[namespace]
        return lost

    def _make_room(self, namespace: str) -> bool:
        """End the latest log of the namespace that has most, if this one has fewer; return whether there is room."""
        if not self._counts:
            return False
        largest, count = self._counts.most_common(1)[0]
        if count <= self._counts[namespace] + 1:
            return False
        uid, pod = next(key for key in reversed(self._held) if self._held[key][0] == largest)
        self._tasks[uid].pop(pod).cancel()
        if not self._tasks[uid]:
            del self._tasks[uid]
        lost = self._forget(uid, pod)
        if lost is not None:
            lost()
        return True

    async def read(self, uid: str, namespace: str, pod: str, take: Take) -> None:
        """Call `take` with what stands in the log of a pod that has ended; nothing when it cannot be read any more.

        Raises ApiError when trying again may help.
        """
        reading = self._reading.setdefault(namespace, asyncio.Semaphore(_READS_AT_ONCE))
        try:
            async with reading:
                pace = partial(self._pace.take, namespace)
                async for some in self._client.step_log(namespace, pod, LINE_MARK, pace=pace):
                    take(some)
        except ApiError as error:
            failures = self._failures[uid] = self._failures.get(uid, 0) + (error.status > 0)
            if not error.permanent and failures < _MOST_FAILURES:
                raise
            _LOG.warning("the log of pod %s/%s cannot be read: %s", namespace, pod, error)

    async def _follow(self, namespace: str, pod: str, take: Take, tail: int, lost: Lost | None) -> None:
        since, breaks, pace = "", 0, partial(self._pace.take, namespace)
        while True:
            try:
                log = self._client.step_log(namespace, pod, LINE_MARK, True, since, tail, pace)
                async for lines in log:
                    take(lines)
                    breaks = 0
                    if found := _TIME.match(lines[-1]):
                        since = f"{found[0]}Z"  # the whole second again: its other lines may not have come
            except ApiError as error:
                _LOG.info("the log of pod %s/%s broke: %s", namespace, pod, error)
                if lost is not None:
                    lost()
                if error.status in (403, 404):
                    return
            await asyncio.sleep(_BACKOFF.seconds(breaks))
            breaks += 1
