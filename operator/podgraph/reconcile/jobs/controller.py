"""Drives each Job's `Run`, and each JobDefinition's: hands it what was seen, does what it says, writes its status.

One pass is gather, plan, apply. Pods are made before the status that tells of them is written: their names follow from
the Job, so after a crash in between they are found, not made again. A pass writes the status at most once.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.events import event_manifest
from podgraph.cluster.pod_reflector import PodReflector
from podgraph.cluster.runtime_archive import RuntimeArchive
from podgraph.definition.errors import DefinitionError
from podgraph.planning.actions import Actions
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.definition_snapshot import ttl_of
from podgraph.planning.job.run import Run
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model import names
from podgraph.planning.model.owner import Owner
from podgraph.planning.pods.types import Pod
from podgraph.protocol.graph_codec import MAX_GRAPH, from_log
from podgraph.reconcile.jobs.definition_cache import DefinitionCache
from podgraph.reconcile.jobs.link_server import LinkServer
from podgraph.reconcile.jobs.pod_io import PodIO
from podgraph.reconcile.jobs.preflight import refusal_of
from podgraph.reconcile.jobs.standstill import Standstill
from podgraph.reconcile.jobs.state import WRITE_SECONDS, AnyRun, JobState
from podgraph.reconcile.jobs.storage_finalizer import StorageFinalizer
from podgraph.reconcile.jobs.ttl_after_finished import FinishedJobs
from podgraph.reconcile.master_key import random_keys
from podgraph.reconcile.metrics import Metrics
from podgraph.reconcile.workqueue import KeyedQueue

__all__ = ["Controller"]

_LOG = logging.getLogger(__name__)
_LONGEST_WRITE_SECONDS = 15.0
_WRITE_SHARE = 0.05
_CREATES_A_PASS = 100
_WAY_SECONDS, _MOST_GIVEN_WAY = 0.1, 20
_LATE_SECONDS = 10.0  # how long after a standstill an event of before it may still come
WORKERS = 16

Object = Mapping[str, Any]


class Controller:
    """All Jobs and JobDefinitions of the cluster. `clock` gives seconds since the epoch."""

    def __init__(
        self, client: Client, bundle: RuntimeArchive, default_image: str, clock: Callable[[], float] = time.time,
        storage: Storage | None = None, links: LinkServer | None = None, keys: Keys | None = None,
    ) -> None:  # fmt: skip
        links, keys = links or LinkServer(), keys or random_keys()
        links.on_lines, links.knows, links.keys = self._said, self._knows, keys
        links.namespace_of = self._namespace_of
        self.client = client
        self.bundle = bundle
        self.keys = keys
        runtime = names.runtime_config_map(bundle.digest)
        self.settings = Settings(default_image, runtime, storage, links.invitation, keys)
        self.storing = StorageFinalizer(client, self.settings, bundle.archive, clock)
        self.queue = KeyedQueue(namespace_of=self._namespace_of, most=WORKERS * 3 // 4)
        self._clock = clock
        self._jobs: dict[str, JobState] = {}
        self._ended = FinishedJobs(client, self.queue, clock)
        self.pods = PodReflector(
            client.session, self.pod_changed, owner_of=self._owner_of, namespaces=client.namespaces
        )
        self.pods.on_unclaimed = self._unclaimed_pod
        self._care = PodIO(client, self.pods, self.queue, self.pod_changed, links)
        self.metrics = Metrics(lambda: len(self._jobs), self._waiting_pods, lambda: links.count)
        self.pods.ignored = client.ignored = self.metrics.ignore
        self._definitions = DefinitionCache(client, self.storing, clock, self.queue.add)
        self.standstill = Standstill()
        self.burst_in_progress: Callable[[], bool] = lambda: False
        """Whether other Jobs are just being made: those that are new wait for that, for a moment."""

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pods.run())
                group.create_task(self.standstill.run())
                await self.pods.synced.wait()
                for _ in range(WORKERS):
                    group.create_task(self._work())
        finally:
            await self._care.close()
            self.storing.stop()

    def job_changed(self, kind: str | None, job: Object) -> None:
        """Take in an event of a Job; `kind` is ADDED, MODIFIED, DELETED or None for one that was there before."""
        uid = job["metadata"]["uid"]
        if kind == "DELETED" or job["metadata"].get("deletionTimestamp"):
            self._drop(uid)
            self._ended.forget(uid)
            if kind != "DELETED":
                self.storing.deleted(job)
            return
        generation = int(job["metadata"].get("generation", 1))
        known = self._jobs.get(uid)
        if known is not None:
            if generation > known.generation:  # else it is our own writing of its status
                known.object, known.generation = job, generation
                if isinstance(known.run, Run):
                    known.run.spec_changed(job)
                self.queue.add(uid)
            return
        finished = _is_finished(job)
        owner = Owner(job["metadata"]["namespace"], "Job", uid)
        if uid in self._ended or (finished and not self.pods.unclaimed(uid, owner)):
            if finished:  # else it is an event from before its end that comes late
                meta, completed = job["metadata"], job["status"].get("completionTime")
                self._ended.keep(uid, meta["namespace"], meta["name"], completed, ttl_of(job))
            return
        made = self._jobs[uid] = JobState(job, version=job["metadata"]["resourceVersion"], generation=generation)
        made.current_at = self.standstill.clock() - _LATE_SECONDS
        self.queue.add(uid)

    def definition_changed(self, kind: str | None, definition: Object) -> None:
        """Take in an event of a JobDefinition, as :meth:`job_changed` does of a Job."""
        meta = definition["metadata"]
        uid, generation = meta["uid"], int(meta["generation"])
        if kind == "DELETED" or meta.get("deletionTimestamp"):
            self._definitions.drop(meta["namespace"], meta["name"], uid)
            self._drop(uid)
            return
        known = self._jobs.get(uid)
        if known is None:
            known = self._jobs[uid] = JobState(definition, version=meta["resourceVersion"])
            known.generation = int((definition.get("status") or {}).get("observedGeneration", 0))
        elif generation <= known.generation:
            return  # our own writing of its status
        if 0 < known.generation < generation:
            known.old_maps.add(names.code_config_map(meta["name"], f"{uid}/{known.generation}"))
        known.generation, known.next = generation, DefinitionRun(definition, self.settings)
        self._definitions.put(known.next)
        self.queue.add(uid)

    def pod_changed(self, job_uid: str, pod_name: str) -> None:
        """Take in that a Job's pod came, changed or went."""
        job = self._jobs.get(job_uid)
        if job is not None:
            job.changed.add(pod_name)
            self.queue.add(job_uid)

    def _unclaimed_pod(self, job_uid: str, pod: Pod) -> None:
        """Take in a pod of a Job that nobody works on (any more, or yet: then it looks at all that there are)."""
        if job_uid not in self._jobs:
            self._ended.pod_changed(job_uid, pod)

    def _owner_of(self, uid: str) -> Owner | None:
        job = self._jobs.get(uid)
        return job.owner if job is not None else self._ended.owner(uid)

    def _namespace_of(self, uid: str) -> str:
        """Return the namespace of a Job or JobDefinition, "" when it has ended."""
        job = self._jobs.get(uid)
        return job.object["metadata"]["namespace"] if job is not None else ""

    def _said(self, job_uid: str, pod_name: str, lines: list[str]) -> None:
        """Take in what a pod says by its link."""
        job = self._jobs.get(job_uid)
        if job is not None and isinstance(job.run, Run) and job.run.take_lines(pod_name, lines):
            self.queue.add(job_uid)

    def _knows(self, job_uid: str, pod_name: str) -> bool:
        """Whether a pod is one that was made for a Job; it may come before we are told that it was."""
        job = self._jobs.get(job_uid)
        return job is not None and (pod_name in self.pods.of(job_uid) or pod_name in job.to_create)

    async def _work(self) -> None:
        while True:
            uid = await self.queue.get()
            try:
                with self.metrics.passes.time():
                    await self._reconcile(uid)
                self.queue.succeeded(uid)
            except ApiError as error:
                _LOG.warning("job %s: %s", uid, error)
                self.queue.add_failed(uid)
            except Exception:  # noqa: BLE001  one Job's trouble must not stop the others
                _LOG.exception("job %s: unexpected", uid)
                self.queue.add_failed(uid)
            finally:
                self.queue.done(uid)

    async def _reconcile(self, uid: str) -> None:
        job = self._jobs.get(uid)
        if job is None:
            await self._ended.tidy(uid)
            return
        self.pods.adopt(uid, job.owner)
        pods = self.pods.of(uid)
        if job.run is None and job.next is None and job.yielded < _MOST_GIVEN_WAY and self.burst_in_progress():
            job.yielded += 1
            self.queue.add_after(uid, _WAY_SECONDS)
            return
        if job.next is not None:
            await self._begin(job, job.next)
        if job.run is None:
            job.run = Run(job.object, self.settings)
            # It came before the first pod; to make it again might be refused, as by a quota that it fills itself.
            job.has_key = bool(pods) or _has_run(job.object)
            job.changed |= set(pods)
        if isinstance(job.run, Run) and job.current_at < self.standstill.look():
            await self._make_current(job, job.run)
            if self._jobs.get(uid) is not job:
                return  # it is being deleted
        changed, job.changed = job.changed, set()
        if isinstance(job.run, Run):
            self._definitions.look_up(job.run)
        actions = job.run.advance(pods, changed, self._clock())
        self._remember(job, actions)
        if isinstance(job.run, Run) and not await self._find_out(job, job.run, actions):
            return  # and come again; there is nothing to tell yet
        if actions.copy_code:
            await self._copy_code(job, job.run)
            if not job.run.finished:
                return  # and come again; there is nothing to tell yet
        if actions.read_log:
            await self._read_graph(job, job.run, actions.read_log)
        if isinstance(job.run, Run):
            self.metrics.take(actions.prestart_outcomes)
            if actions.unschedulable:
                self._make_room()
            await self._care.look_after(job, job.run, actions)
        if len(job.to_create) > _CREATES_A_PASS and not job.to_delete:
            await self._create_and_write(uid, job, job.run)
        else:
            await self._create(job, job.run)
            await self._write(uid, job, job.run)
        await self._care.delete(job, job.run)
        await self._post_events(job, job.run)
        if actions.requeue_time is not None:
            self.queue.add_after(uid, actions.requeue_time - self._clock())
        if isinstance(job.run, DefinitionRun):
            self._look_at_definition(uid, job.run)
        elif job.run.finished and uid in self._jobs and not (job.status or job.changed or job.run.waits_for_exit):
            self._drop(uid)
            ref = job.run.ref
            self._ended.keep(uid, ref.namespace, ref.name, job.run.completed, job.run.control.ttl)

    async def _find_out(self, job: JobState, run: Run, actions: Actions) -> bool:
        """Find out what a Run asks for before it has steps; return whether the pass is to go on."""
        if actions.freeze:
            await self._freeze(job, run)
            if not run.finished:
                return False
        if actions.read_jobs:
            run.jobs_found({name: await self.client.get_job(run.ref.namespace, name) for name in actions.read_jobs})
            self.queue.add(run.ref.uid)
        if actions.check_pods:
            refusal = await refusal_of(self.client, actions.check_pods)
            if refusal is None:
                run.pods_checked(actions.check_pods)
                self.queue.add(run.ref.uid)
                return False
            self._remember(job, run.refuse(refusal, self._clock()))
        return True

    async def _make_current(self, job: JobState, run: Run) -> None:
        """Look at a Job itself after a standstill, before anything of it begins: it may have been canceled meanwhile.

        The watch tells of that too, but perhaps behind the end of a pod.
        """
        now = self.standstill.clock()
        found = await self.client.get_job(run.ref.namespace, run.ref.name)
        if found is not None and found["metadata"]["uid"] == run.ref.uid:
            self.job_changed("MODIFIED", found)
        job.current_at = now

    def _waiting_pods(self) -> int:
        return sum(job.run.waiting_pods for job in self._jobs.values() if isinstance(job.run, Run))

    def _make_room(self) -> None:
        """Let no pod of any Job wait for its inputs while one that could run finds no node."""
        for uid, job in self._jobs.items():
            if isinstance(job.run, Run) and job.run.pause_ahead(self._clock()):
                self.queue.add(uid)

    def _remember(self, job: JobState, actions: Actions) -> None:
        """Keep what is to be done until it is done, whatever fails in between."""
        job.to_create.update({pod["metadata"]["name"]: pod for pod in actions.creates})
        job.to_delete.update(actions.deletes)
        for name in actions.deletes:  # not made yet, as the API server did not take it so far
            job.to_create.pop(name, None)
            job.to_assign.pop(name, None)
        job.to_assign.update({item.pod: item for item in actions.assigns})
        job.to_confirm.update(actions.confirm)
        job.status.update(actions.status)
        job.events.extend(actions.events)
        job.flush_status = job.flush_status or actions.flush_status

    async def _begin(self, job: JobState, run: DefinitionRun) -> None:
        """Begin with another generation of a definition; what the one before was about to do is not done."""
        for name in list(job.old_maps):
            await self.client.delete_config_map(name, run.ref.owner)
            job.old_maps.discard(name)
        job.run = run
        if job.next is run:  # else it was changed again meanwhile
            job.next = None
        job.to_create.clear()
        job.status, job.events = {}, []

    def _look_at_definition(self, uid: str, run: DefinitionRun) -> None:
        """Have those go on that wait for a definition, if it is known whether it can be run."""
        if not run.finished:
            return
        self._definitions.tell(run)
        for name in list(self.pods.of(uid)):
            self.pods.forget_gone(uid, name)
        if run.retry_at is not None:
            self.queue.add_after(uid, run.retry_at - self._clock())

    async def _freeze(self, job: JobState, run: Run) -> None:
        try:
            job.version = await self._definitions.freeze(run) or job.version
        except DefinitionError as error:
            self._remember(job, run.refuse(error, self._clock()))
        except ApiError as error:
            if not error.permanent:
                raise
            text = f"the API server refuses the job's copy of its definition: {error.message}"
            self._remember(job, run.refuse(DefinitionError(error.reason, text), self._clock()))
        else:
            self.queue.add(run.ref.uid)

    async def _copy_code(self, job: JobState, run: AnyRun) -> None:
        source, config_map = run.code_source()
        if config_map is not None:
            name, key = config_map
            try:
                found = await self.client.config_map_key(run.ref.namespace, name, key)
                if found is None:
                    text = f"there is no ConfigMap {name!r} with the key {key!r} in the {run.ref.noun}'s namespace"
                    raise DefinitionError("ConfigMapNotFound", text)
            except DefinitionError as error:
                self._remember(job, run.refuse(error, self._clock()))
                return
            source = found
        try:
            made = await self.client.create("configmaps", run.code_map(source), any_content=config_map is not None)
        except ApiError as error:
            if not error.permanent:
                raise
            refusal = DefinitionError(error.reason, f"the API server refuses the copy of the code: {error.message}")
            self._remember(job, run.refuse(refusal, self._clock()))
            return
        if isinstance(run, DefinitionRun):  # the copy may be one from before, and then counts
            run.source = msgspec.json.decode(made)["data"][manifests.CODE_FILE]
        run.code_copied()
        self.queue.add(run.ref.uid)

    async def _read_graph(self, job: JobState, run: AnyRun, pod: str) -> None:
        record = run.resolve_record(self.pods.of(run.ref.uid))
        if record is None:
            return
        try:
            lines = await self.client.pod_log(run.ref.namespace, pod, MAX_GRAPH)
            run.graph_from_log(from_log(record, lines, self.keys.of(run.ref.uid).pod))
        except DefinitionError as error:
            self._remember(job, run.refuse(error, self._clock()))
        except ApiError as error:
            if not error.permanent:
                raise
            refusal = DefinitionError("ResolveFailed", f"the resolve pod's log cannot be read: {error.message}")
            self._remember(job, run.refuse(refusal, self._clock()))
        else:
            self.queue.add(run.ref.uid)

    async def _create(self, job: JobState, run: AnyRun) -> None:
        if not job.to_create:
            return
        if run.spec is not None:
            try:
                await self._ensure_runtime(job, run)
                is_first = run.spec.code is not None and run.steps is None  # before the resolve pod, the first of all
                if is_first and run.storage is not None:
                    job.version = await self.storing.ensure(run.ref, run.storage) or job.version
            except DefinitionError as refusal:
                self._remember(job, run.refuse(refusal, self._clock()))
                job.to_create.clear()
                return
            except ApiError as error:
                if not error.permanent:
                    raise
                for name in list(job.to_create):
                    self._refused(job, run, name, error)
                job.to_create.clear()
                return
        # No more than some in a pass: what happens meanwhile is to be taken in as well.
        names_ = list(itertools.islice(job.to_create, _CREATES_A_PASS))
        pods = [job.to_create[name] for name in names_]
        for name in names_:
            self.pods.making(run.ref.uid, name)
        results = await asyncio.gather(*(self.client.create_pod(pod) for pod in pods), return_exceptions=True)
        trouble: BaseException | None = None
        for name, result in zip(names_, results, strict=True):
            if isinstance(result, Pod):
                run.created(name, result.metadata.uid)
                self.pods.put(run.ref.uid, result)  # so that we miss it even if it goes before the watch told of it
            elif isinstance(result, ApiError) and result.permanent and result.reason != "Conflict":
                # "Conflict" is the quota's count changing while the pod was held against it, which passes.
                self.pods.not_made(run.ref.uid, name)
                self._refused(job, run, name, result)
            else:
                trouble = result
                continue
            job.to_create.pop(name, None)
        if trouble is not None:
            raise trouble
        if job.to_create:
            self.queue.add(run.ref.uid)

    async def _create_and_write(self, uid: str, job: JobState, run: AnyRun) -> None:
        """Write the status while pods are being made: that of a large Job takes a second, which many pods fit into.

        What it tells of a pod that is not made yet does no harm: after a restart its step is still to begin.
        """
        writing = asyncio.create_task(self._write(uid, job, run))
        try:
            while job.to_create and not writing.done():
                await self._create(job, run)
        except asyncio.CancelledError:
            writing.cancel()
            raise
        finally:
            await asyncio.wait([writing])
        writing.result()

    def _refused(self, job: JobState, run: AnyRun, name: str, error: ApiError) -> None:
        try:
            self._remember(job, run.not_created(name, error.reason, error.message, self._clock()))
            self.queue.add(run.ref.uid)
        except DefinitionError as refusal:
            self._remember(job, run.refuse(refusal, self._clock()))

    async def _ensure_runtime(self, job: JobState, run: AnyRun) -> None:
        """Make the runtime's ConfigMap; asked for each Job, as somebody may have deleted it or the namespace.

        At the same time the Job's own Secret is made. Raises ApiError, and DefinitionError when that is refused.
        """
        if job.has_runtime and job.has_key:
            return
        waits: list[Awaitable[Any]] = []
        if not job.has_runtime and run.spec is not None and run.spec.code is not None:
            manifest = manifests.runtime_config_map(run.ref.namespace, self.settings.runtime, self.bundle.archive)
            waits.append(self.client.create("configmaps", manifest))
        if not job.has_key and (secret := run.key_secret()) is not None:
            waits.append(self._make_key(run, secret))
        for trouble in await asyncio.gather(*waits, return_exceptions=True):
            if isinstance(trouble, BaseException):
                raise trouble
        job.has_runtime = job.has_key = True

    async def _make_key(self, run: AnyRun, secret: dict[str, Any]) -> None:
        try:
            await self.client.create_secret(secret)
        except ApiError as error:
            if not error.permanent:
                raise
            text = f"the API server refuses the Secret with the key of the {run.ref.noun}'s pods: {error.message}"
            raise DefinitionError(error.reason, text) from None

    async def _write(self, uid: str, job: JobState, run: AnyRun) -> None:
        now = self._clock()
        if not (job.status or run.has_changes):
            return
        wait = job.written_at + job.write_seconds - now
        if not job.flush_status and wait > 0:
            self.queue.add_after(uid, wait)
            return
        # What an earlier write that failed was to tell still counts where nothing newer is known.
        patch = run.patch(now)
        if "steps" in patch:
            patch["steps"] = {**job.status.get("steps", {}), **patch["steps"]}
        job.status.update(patch)
        status, job.status, urgent, job.flush_status = job.status, {}, job.flush_status, False
        begun = time.monotonic()
        try:
            version = await self._write_status(uid, job, run, status)
        except BaseException:
            job.status, job.flush_status = {**status, **job.status}, urgent or job.flush_status
            raise
        if version is None:
            self._drop(uid)
            return
        job.version, job.written_at = version, now
        job.write_seconds = seconds_between_writes(time.monotonic() - begun)

    async def _write_status(self, uid: str, job: JobState, run: AnyRun, status: dict[str, Any]) -> str | None:
        """Write this and return the Job's new version, None when it is gone. Raises ApiError."""
        of = (run.ref.namespace, run.ref.name)
        try:
            return await self.client.patch_status(*of, job.version, status, run.ref.kind)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
        version = await self.client.job_version(*of, uid, run.ref.kind)
        if version is None:
            return None
        return await self.client.patch_status(*of, version, status, run.ref.kind)

    async def _post_events(self, job: JobState, run: AnyRun) -> None:
        while job.events:
            try:
                await self.client.create("events", event_manifest(run.ref, job.events[0], self._clock()))
            except ApiError as error:
                _LOG.info("job %s: an event was not taken: %s", run.ref.name, error)
            job.events.pop(0)

    def _drop(self, uid: str) -> None:
        """Forget all that is kept of a Job or a JobDefinition."""
        job = self._jobs.pop(uid, None)
        if job is not None and isinstance(job.run, Run):
            self._definitions.forget(job.run)
        self._care.forget(uid)


def seconds_between_writes(took: float) -> float:
    """Return how long after a write of a Job's status that `took` so many seconds the next may come.

    Each write costs the API server the whole object, so a large Job's status is told less often, and so is any while
    the server is slow.

    >>> [seconds_between_writes(took) for took in (0.01, 0.2, 3.0)]
    [1.0, 4.0, 15.0]
    """
    return min(_LONGEST_WRITE_SECONDS, max(WRITE_SECONDS, took / _WRITE_SHARE))


def _has_run(job: Object) -> bool:
    steps = (job.get("status") or {}).get("steps") or {}
    return any(step.get("startTime") for step in steps.values())


def _is_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)
