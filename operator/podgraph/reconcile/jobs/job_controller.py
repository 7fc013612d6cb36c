"""Drives each Job's `Run`: gives it what has changed, does what it decides, and writes its status.

Pods are created before the status that describes them is written: their names follow from the Job, so after a crash
in between they are found, not created again. A pass writes the status at most once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from podgraph.cluster.client import ApiError
from podgraph.definition.errors import DefinitionError
from podgraph.planning.actions import Actions
from podgraph.planning.job.definition_snapshot import ttl_of
from podgraph.planning.job.run import Run
from podgraph.planning.model.owner import Owner
from podgraph.planning.pods.types import Pod
from podgraph.reconcile.jobs.code_reader import CodeReader
from podgraph.reconcile.jobs.definition_cache import DefinitionCache
from podgraph.reconcile.jobs.environment import Environment
from podgraph.reconcile.jobs.link_server import LinkServer
from podgraph.reconcile.jobs.pod_creator import MAX_BATCH, PodCreator
from podgraph.reconcile.jobs.pod_io import PodIO
from podgraph.reconcile.jobs.preflight import refusal_of
from podgraph.reconcile.jobs.standstill import Standstill
from podgraph.reconcile.jobs.state import JobState
from podgraph.reconcile.jobs.status_writer import StatusWriter
from podgraph.reconcile.jobs.ttl_after_finished import FinishedJobs
from podgraph.reconcile.workqueue import KeyedQueue, work

__all__ = ["JobController"]

_WORKERS = 16
_YIELD_SECONDS, _MAX_YIELDS = 0.1, 20
_LATE_SECONDS = 10.0  # an event from before a standstill may come so long after it

Object = Mapping[str, Any]


class JobController:
    """The Jobs of the cluster: takes in their events, and makes the passes over them."""

    def __init__(
        self, environment: Environment, links: LinkServer, standstill: Standstill,
        burst_in_progress: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._client, self._pods, self._clock = environment.client, environment.pods, environment.clock
        self._settings, self._storage, self._metrics = environment.settings, environment.storage, environment.metrics
        self._standstill, self._burst_in_progress, self._room = standstill, burst_in_progress, environment.room
        self.states: dict[str, JobState] = {}
        self.queue = KeyedQueue(namespace_of=self._namespace_of, most=_WORKERS * 3 // 4)
        self.definition_cache = DefinitionCache(environment.client, environment.storage, self._clock, self.queue.add)
        self.pod_io = PodIO(environment.client, environment.pods, self.queue, self.pod_changed, links)
        self._finished = FinishedJobs(environment.client, self.queue, self._clock)
        self._code = CodeReader(environment, self.queue)
        self._creator = PodCreator(environment, self.queue, self._pod_created)
        self._writer = StatusWriter(environment, self.queue, self._drop)

    def workers(self) -> list[Any]:
        """Return the coroutines that do the work until they are cancelled."""
        timer = self._metrics.passes.time
        return [work(self.queue, self._reconcile, "job", timer) for _ in range(_WORKERS)]

    @property
    def waiting_pods(self) -> int:
        """The number of pods that wait for their inputs."""
        return sum(job.run.waiting_pods for job in self.states.values() if job.run is not None)

    def owner_of(self, uid: str) -> Owner | None:
        """Return the owner of a Job's pods, None when there is no such Job."""
        job = self.states.get(uid)
        return job.owner if job is not None else self._finished.owner(uid)

    def _namespace_of(self, uid: str) -> str:
        """Return the namespace of a Job, "" when it has finished."""
        job = self.states.get(uid)
        return job.namespace if job is not None else ""

    # --- events

    def job_changed(self, kind: str | None, job: Object) -> None:
        """Take in an event of a Job; `kind` is ADDED, MODIFIED, DELETED or None for one that was there before."""
        meta = job["metadata"]
        uid, generation = meta["uid"], int(meta.get("generation", 1))
        if kind == "DELETED" or meta.get("deletionTimestamp"):
            self._drop(uid)
            self._finished.forget(uid)
            if kind != "DELETED":
                self._storage.deleted(job)
            return
        known = self.states.get(uid)
        if known is not None:
            if generation > known.generation:  # otherwise it is our own write of the status
                known.object, known.generation = job, generation
                if known.run is not None:
                    known.run.spec_changed(job)
                self.queue.add(uid)
            return
        finished = _is_finished(job)
        owner = Owner(meta["namespace"], "Job", uid)
        if uid in self._finished or (finished and not self._pods.unclaimed(uid, owner)):
            if finished:  # otherwise it is a late event from before the Job's end
                completed = job["status"].get("completionTime")
                self._finished.keep(uid, meta["namespace"], meta["name"], completed, ttl_of(job))
            return
        new = self.states[uid] = JobState(job, generation, meta["resourceVersion"])
        new.current_at = self._standstill.clock() - _LATE_SECONDS
        self.queue.add(uid)

    def pod_changed(self, job_uid: str, pod_name: str) -> None:
        """Take in that a Job's pod was created, changed or deleted."""
        job = self.states.get(job_uid)
        if job is not None:
            job.changed.add(pod_name)
            self.queue.add(job_uid)

    def unclaimed_pod(self, job_uid: str, pod: Pod) -> None:
        """Take in a pod of a Job that has finished, or that is new: the first pass over that looks at all its pods."""
        if job_uid not in self.states:
            self._finished.pod_changed(job_uid, pod)

    def take_lines(self, job_uid: str, pod_name: str, lines: list[str]) -> None:
        """Take in lines that a pod sends over its link."""
        job = self.states.get(job_uid)
        if job is not None and job.run is not None and job.run.take_lines(pod_name, lines):
            self.queue.add(job_uid)

    def _pod_created(self, job_uid: str, pod: Pod) -> None:
        job = self.states.get(job_uid)
        if job is not None and job.run is not None:
            job.run.created(pod.metadata.name, pod.metadata.uid)

    # --- one pass

    async def _reconcile(self, uid: str) -> None:
        job = self.states.get(uid)
        if job is None:
            await self._finished.tidy(uid)
            return

        # 1. Load the Job's pods and its run.
        run = await self._load(uid, job)
        if run is None:
            return  # it is deferred or being deleted

        # 2. Plan: give the run what has changed, and keep what it decides until it is done.
        changed, job.changed = job.changed, set()
        self.definition_cache.look_up(run)
        actions = run.advance(self._pods.of(uid), changed, self._clock())
        job.remember(actions)

        # 3. Do what the plan needs before it can go on, and look after the existing pods.
        if not await self._settle(job, run, actions):
            return  # another pass follows; there is nothing to write yet
        await self._look_after_pods(job, run, actions)

        # 4. and 5. Create pods, then write the status; both at once where both take long.
        resolving = run.steps is None
        write = partial(self._writer.write, job, run.ref, run)
        if len(job.to_create) > MAX_BATCH and not job.to_delete:
            await self._creator.create_during(write(), job, run, resolving)
        else:
            await self._creator.create(job, run, resolving)
            await write()

        # 6. Delete pods that are no longer needed, and post events.
        await self.pod_io.delete(job, run)
        await self._writer.post_events(job, run.ref)

        # 7. Requeue for the next deadline, or let go of a Job that has finished.
        if actions.requeue_time is not None:
            self.queue.add_after(uid, actions.requeue_time - self._clock())
        if run.finished and uid in self.states and not (job.status or job.changed or run.waits_for_exit):
            self._drop(uid)
            self._finished.keep(uid, run.ref.namespace, run.ref.name, run.completed, run.control.ttl)

    async def _load(self, uid: str, job: JobState) -> Run | None:
        """Return the Job's run, None when this pass is to do nothing. Raises ApiError."""
        self._pods.adopt(uid, job.owner)
        if job.run is None:
            if job.yielded < _MAX_YIELDS and self._burst_in_progress():
                job.yielded += 1
                self.queue.add_after(uid, _YIELD_SECONDS)
                return None
            pods = self._pods.of(uid)
            job.run = Run(job.object, self._settings)
            # The key is older than the first pod; creating it again could be refused, as by a quota that it fills.
            job.has_key = bool(pods) or _has_started(job.object)
            job.changed |= set(pods)
        if job.current_at < self._standstill.look():
            await self._refresh(job, job.run)
            if self.states.get(uid) is not job:
                return None
        return job.run

    async def _refresh(self, job: JobState, run: Run) -> None:
        """Read the Job itself after a standstill, before anything starts: it may have been canceled meanwhile.

        The watch shows that too, but perhaps after the end of a pod.
        """
        now = self._standstill.clock()
        found = await self._client.get_job(run.ref.namespace, run.ref.name)
        if found is not None and found["metadata"]["uid"] == run.ref.uid:
            self.job_changed("MODIFIED", found)
        job.current_at = now

    async def _settle(self, job: JobState, run: Run, actions: Actions) -> bool:
        """Do what a run needs until its graph is known; return whether the pass goes on. Raises ApiError."""
        uid = run.ref.uid
        if actions.freeze:
            await self._freeze(job, run)
            if not run.finished:
                return False
        if actions.read_jobs:
            run.jobs_found({name: await self._client.get_job(run.ref.namespace, name) for name in actions.read_jobs})
            self.queue.add(uid)
        if actions.check_pods:
            refusal = await refusal_of(self._client, actions.check_pods)
            if refusal is None:
                run.pods_checked(actions.check_pods)
                self.queue.add(uid)
                return False
            job.remember(run.refuse(refusal, self._clock()))
        if actions.copy_code:
            await self._code.copy_code(job, run)
            if not run.finished:
                return False
        if actions.read_log:
            await self._code.read_graph(job, run, actions.read_log)
        return True

    async def _freeze(self, job: JobState, run: Run) -> None:
        """Create the Job's own copy of its definition. Raises ApiError."""
        try:
            job.version = await self.definition_cache.freeze(run) or job.version
        except DefinitionError as error:
            job.remember(run.refuse(error, self._clock()))
        except ApiError as error:
            if not error.permanent:
                raise
            text = f"the API server refuses the job's copy of its definition: {error.message}"
            job.remember(run.refuse(DefinitionError(error.reason, text), self._clock()))
        else:
            self.queue.add(run.ref.uid)

    async def _look_after_pods(self, job: JobState, run: Run, actions: Actions) -> None:
        self._metrics.take(actions.prestart_outcomes)
        if actions.unschedulable:
            self.make_room()
        await self.pod_io.look_after(job, run, actions)

    def make_room(self, namespace: str = "") -> None:
        """Let no pod of any Job wait for its inputs while a pod that could run finds no node, or no room in its quota.

        A quota concerns its `namespace` only.
        """
        for uid, job in self.states.items():
            if job.run is not None and namespace in ("", job.namespace) and job.run.pause_ahead(self._clock()):
                self.queue.add(uid)

    def _drop(self, uid: str) -> None:
        """Forget all that is kept of a Job."""
        job = self.states.pop(uid, None)
        if job is not None and job.run is not None:
            self.definition_cache.forget(job.run)
        self.pod_io.forget(uid)
        self._room.leave(uid)


def _has_started(job: Object) -> bool:
    steps = (job.get("status") or {}).get("steps") or {}
    return any(step.get("startTime") for step in steps.values())


def _is_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)
