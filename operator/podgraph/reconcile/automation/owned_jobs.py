"""The Jobs that schedules or sensors made, by their maker: which are on their way, and which are to be deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from podgraph.api import Object, is_finished, is_succeeded
from podgraph.cluster.automation_client import AutomationClient
from podgraph.cluster.client import ApiError
from podgraph.planning.model.names import API_VERSION
from podgraph.planning.model.owner import Owner
from podgraph.planning.model.status import seconds_of
from podgraph.scheduling.job_factory import TICK_ANNOTATION

__all__ = ["OwnedJob", "OwnedJobs"]

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class OwnedJob:
    """One Job; little is kept, for there may be many."""

    namespace: str
    name: str
    uid: str
    completed: str = ""
    succeeded: bool = False
    tick: float = 0.0


class OwnedJobs:
    """The Jobs whose controller is of `kind` (JobSchedule or JobSensor); `wake(uid)` says that one of a maker's ended.

    `label` is what all such Jobs have. `owner_of` returns a maker, None while it is not known: Jobs are listed before
    their makers. Everybody can name a maker of another namespace as a Job's controller, and such a Job does not count.
    """

    def __init__(
        self, launching: AutomationClient, kind: str, label: str, wake: Callable[[str], None],
        owner_of: Callable[[str], Owner | None],
    ) -> None:  # fmt: skip
        self._launching, self._kind, self._label, self._wake = launching, kind, label, wake
        self._owner_of = owner_of
        self._jobs: dict[str, dict[str, OwnedJob]] = {}
        self.ignored: Callable[[str, str], None] = lambda kind, reason: None

    async def find(self) -> None:
        """Take in all that there are; the API server's troubles are waited for."""
        while True:
            try:
                async for job in self._launching.labelled_jobs(self._label):
                    self.job_changed(None, job)
                return
            except ApiError as error:
                _LOG.warning("the Jobs with label %s cannot be listed yet: %s", self._label, error)
                await asyncio.sleep(_RETRY_SECONDS)

    def job_changed(self, kind: str | None, job: Object) -> None:
        """Take in an event of any Job."""
        maker = self._maker(job)
        if not maker:
            return
        owner = self._owner_of(maker)
        if owner is not None and owner.namespace != job["metadata"]["namespace"]:
            if kind in (None, "ADDED"):
                self.ignored("Job", "OtherNamespace")
            return
        jobs, uid = self._jobs.setdefault(maker, {}), job["metadata"]["uid"]
        old = jobs.get(uid)
        if kind == "DELETED":
            jobs.pop(uid, None)
            if not jobs:  # anybody can make up makers
                del self._jobs[maker]
            if old is not None:
                self._wake(maker)
            return
        jobs[uid] = _launched(job)
        if jobs[uid].completed and (old is None or not old.completed):
            self._wake(maker)

    def active(self, maker: str) -> list[OwnedJob]:
        """Return the maker's Jobs that are not finished."""
        return [job for job in self._of(maker) if not job.completed]

    async def confirmed_active(self, maker: str) -> list[OwnedJob]:
        """The same, after a look at the cluster itself: kopf tells of no deletion while its watch is broken."""
        for job in self.active(maker):
            found = await self._launching.client.get_job(job.namespace, job.name)
            if found is None or found["metadata"]["uid"] != job.uid:
                self._jobs.get(maker, {}).pop(job.uid, None)
            else:
                self._jobs.setdefault(maker, {})[job.uid] = _launched(found)
        return self.active(maker)

    def surplus(self, maker: str, succeeded: int, failed: int) -> list[OwnedJob]:
        """Return the finished Jobs that are more than these numbers, the oldest of each."""
        found: list[OwnedJob] = []
        for good, most in ((True, succeeded), (False, failed)):
            ended = [job for job in self._of(maker) if job.completed and job.succeeded is good]
            ended.sort(key=lambda job: job.completed)
            found += ended[: max(0, len(ended) - most)]
        return found

    async def delete(self, maker: str, jobs: Iterable[OwnedJob]) -> None:
        """Delete Jobs of a maker. Raises ApiError."""
        for job in jobs:
            await self._launching.client.delete_job(job.namespace, job.name, job.uid)
            self._jobs.get(maker, {}).pop(job.uid, None)

    def forget(self, maker: str) -> None:
        """Take in that a maker is gone."""
        self._jobs.pop(maker, None)

    def _of(self, maker: str) -> list[OwnedJob]:
        """Return the maker's Jobs, and forget those that only seemed to be until it was known where the maker is."""
        jobs, owner = self._jobs.get(maker, {}), self._owner_of(maker)
        for job in [job for job in jobs.values() if owner is not None and job.namespace != owner.namespace]:
            del jobs[job.uid]
            self.ignored("Job", "OtherNamespace")
        return list(jobs.values())

    def _maker(self, job: Object) -> str:
        controller = next((o for o in job["metadata"].get("ownerReferences") or () if o.get("controller")), None)
        if controller is None or (controller["apiVersion"], controller["kind"]) != (API_VERSION, self._kind):
            return ""
        return str(controller["uid"])


def _launched(job: Object) -> OwnedJob:
    meta = job["metadata"]
    completed = str(job["status"].get("completionTime") or meta["creationTimestamp"]) if is_finished(job) else ""
    return OwnedJob(meta["namespace"], meta["name"], meta["uid"], completed, is_succeeded(job), _tick(meta))


def _tick(meta: Object) -> float:
    """Return the tick that a Job is of; 0 where its annotation, which anybody can write, is not a time."""
    try:
        return seconds_of((meta.get("annotations") or {})[TICK_ANNOTATION])
    except (KeyError, ValueError):
        return 0.0
