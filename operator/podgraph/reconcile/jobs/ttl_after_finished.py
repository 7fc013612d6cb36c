"""Deletes finished Jobs after their `ttlSecondsAfterFinished`, and pods that appear after their Job has finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from podgraph.cluster.client import Client
from podgraph.planning.model.owner import Owner
from podgraph.planning.model.status import seconds_of
from podgraph.planning.pods.state import is_alive
from podgraph.planning.pods.types import Pod
from podgraph.reconcile.workqueue import KeyedQueue

__all__ = ["FinishedJobs"]


@dataclass
class _Finished:
    """What is kept of a finished Job: little, as there may be many."""

    namespace: str
    name: str
    completed: str | None
    ttl: int | None
    strays: dict[str, str] = field(default_factory=dict)  # uids by name


class FinishedJobs:
    """The finished Jobs by uid. Their uids go through the controller's queue; :meth:`tidy` does what is due for one."""

    def __init__(self, client: Client, queue: KeyedQueue, clock: Callable[[], float]) -> None:
        self._client, self._queue, self._clock = client, queue, clock
        self._jobs: dict[str, _Finished] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._jobs

    def keep(self, uid: str, namespace: str, name: str, completed: str | None, ttl: int | None) -> None:
        """Take in a Job that has finished, or a change of one."""
        strays = self._jobs[uid].strays if uid in self._jobs else {}
        self._jobs[uid] = _Finished(namespace, name, completed, ttl, strays)
        if ttl is not None:
            self._queue.add(uid)

    def forget(self, uid: str) -> None:
        """Take in that a Job is deleted."""
        self._jobs.pop(uid, None)

    def owner(self, uid: str) -> Owner | None:
        """Return the owner of a finished Job's pods, None when there is no such Job."""
        ended = self._jobs.get(uid)
        return Owner(ended.namespace, "Job", uid) if ended is not None else None

    def pod_changed(self, uid: str, pod: Pod) -> None:
        """Take in a pod of a Job: one that is alive was created by a request from before the Job finished."""
        ended = self._jobs.get(uid)
        if ended is not None and is_alive(pod):
            ended.strays[pod.metadata.name] = pod.metadata.uid
            self._queue.add(uid)

    async def tidy(self, uid: str) -> None:
        """Delete a Job's late pods, and the Job itself when its time is over. Raises ApiError."""
        ended = self._jobs.get(uid)
        if ended is None:
            return
        for name, pod_uid in list(ended.strays.items()):
            await self._client.delete_pod(ended.namespace, name, pod_uid)
            if ended.strays.get(name) == pod_uid:
                del ended.strays[name]
        if ended.ttl is None or ended.completed is None:
            return
        wait = seconds_of(ended.completed) + ended.ttl - self._clock()
        if wait > 0:
            self._queue.add_after(uid, wait)
        else:
            await self._client.delete_job(ended.namespace, ended.name, uid)
