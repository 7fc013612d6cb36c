"""Follows the logs of pods: for the records of steps, and for what pods that run several steps tell of them.

A log that breaks is taken up again where it broke. What is missed all the same does no harm: when a pod has ended its
log is read once more. That is also how Jobs go whose logs would be too many to follow.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.connection import MOST_FOLLOWED
from podgraph.runtime.protocol import LINE_MARK

__all__ = ["Logs"]

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE = 30.0
_MOST_FAILURES = 8  # of reading a log that is there, with the queue's growing pauses in between: some minutes
_READS_AT_ONCE = 8
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")

Take = Callable[[list[str]], None]
Lost = Callable[[], None]


class Logs:
    """The logs that are followed, by the uid of their Job and the name of the pod; `most` of them at once."""

    def __init__(self, client: Client, most: int = MOST_FOLLOWED) -> None:
        self._client = client
        self._most = most
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._count = 0
        self._failures: dict[str, int] = {}
        self._reading = asyncio.Semaphore(_READS_AT_ONCE)

    def follow(self, uid: str, namespace: str, pod: str, take: Take, tail: int = 0, lost: Lost | None = None) -> None:
        """Follow a pod's log, if it is not followed and there is room; `take` is called with lines as they come.

        Of what is there already the last `tail` lines count, 0 for all. `lost` is called when there is no room, and
        when it breaks, though it is tried again.
        """
        tasks = self._tasks.setdefault(uid, {})
        if pod in tasks:
            return
        if self._count < self._most:
            tasks[pod] = asyncio.create_task(self._follow(namespace, pod, take, tail, lost), name=f"log of {pod}")
            self._count += 1
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
                self._count -= 1
        if not tasks:
            self._tasks.pop(uid, None)

    async def close(self) -> None:
        """Follow none any more."""
        tasks = [task for some in self._tasks.values() for task in some.values()]
        self._tasks, self._count = {}, 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def read(self, uid: str, namespace: str, pod: str) -> list[str]:
        """Return what stands in the log of a pod that has ended; nothing when it cannot be read any more.

        Raises ApiError when trying again may help.
        """
        lines: list[str] = []
        try:
            async with self._reading:
                async for some in self._client.step_log(namespace, pod, LINE_MARK):
                    lines += some
        except ApiError as error:
            failures = self._failures[uid] = self._failures.get(uid, 0) + (error.status > 0)
            if not error.lasting and failures < _MOST_FAILURES:
                raise
            _LOG.warning("the log of pod %s/%s cannot be read: %s", namespace, pod, error)
        return lines

    async def _follow(self, namespace: str, pod: str, take: Take, tail: int, lost: Lost | None) -> None:
        since, pause = "", _PAUSE_SECONDS
        while True:
            try:
                log = self._client.step_log(namespace, pod, LINE_MARK, follow=True, since=since, tail=tail)
                async for lines in log:
                    take(lines)
                    pause = _PAUSE_SECONDS
                    if time := _TIME.match(lines[-1]):
                        since = f"{time[0]}Z"  # the whole second again: its other lines may not have come
            except ApiError as error:
                _LOG.info("the log of pod %s/%s broke: %s", namespace, pod, error)
                if lost is not None:
                    lost()
                if error.status in (403, 404):
                    return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
