"""Prepares a Job's storage (claim and finalizer), and deletes what the Job stored when the Job is deleted.

A Job gets the finalizer before its first pod, so that after a crash its values are still deleted. The finalizer does
not keep a Job for long: when the values cannot be deleted in time, an Event reports that, and the Job goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.events import event_manifest
from podgraph.definition.errors import DefinitionError
from podgraph.planning.actions import Event
from podgraph.planning.job.definition_snapshot import DefinitionSnapshot
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.storage import (
    CLEAN_SECONDS,
    Storage,
    claim_manifest,
    clean_pod,
    needs_cleaning,
    read_storage,
)
from podgraph.planning.model import names
from podgraph.planning.pods.outcome import read_record
from podgraph.planning.pods.state import Phase, observe
from podgraph.protocol.signing import Signer

__all__ = ["StorageFinalizer"]

_LOG = logging.getLogger(__name__)
_AT_ONCE = 10
_LOOK_SECONDS = 0.25
_GONE_SECONDS = 60.0

Object = Mapping[str, Any]


class StorageFinalizer:
    """The storage of all Jobs of the cluster."""

    def __init__(self, client: Client, settings: Settings, archive: str, clock: Callable[[], float]) -> None:
        self.client, self.settings, self.archive = client, settings, archive
        self._clock = clock
        self._deleting: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def ensure(self, ref: JobRef, storage: Storage) -> str:
        """Ensure a Job's claim and finalizer before its first pod; return the Job's version if it has changed.

        A JobDefinition needs no finalizer: its one pod deletes what it writes.

        Raises DefinitionError (`ClaimNotFound`) and ApiError.
        """
        if storage.claim and storage.size:
            await self.client.create("persistentvolumeclaims", claim_manifest(ref, storage))
        elif storage.claim and not await self.client.exists("persistentvolumeclaims", ref.namespace, storage.claim):
            raise DefinitionError(
                "ClaimNotFound", f"there is no PersistentVolumeClaim {storage.claim!r} in the {ref.noun}'s namespace"
            )
        if storage.keep or ref.kind != "Job":
            return ""
        return await self.client.set_finalizer(ref.namespace, ref.name, ref.uid, names.STORAGE_FINALIZER, True)

    def deleted(self, job: Object) -> None:
        """Start to delete what a Job stored, as the Job is being deleted; then remove the finalizer."""
        meta = job["metadata"]
        if names.STORAGE_FINALIZER not in (meta.get("finalizers") or ()) or meta["uid"] in self._deleting:
            return
        task = asyncio.create_task(self._delete(job))
        self._deleting[meta["uid"]] = task
        task.add_done_callback(lambda _: self._deleting.pop(meta["uid"], None))

    def stop(self) -> None:
        """Cancel the deletions; the next operator starts them again."""
        for task in self._deleting.values():
            task.cancel()

    async def _delete(self, job: Object) -> None:
        meta = job["metadata"]
        ref = JobRef(meta["name"], meta["namespace"], meta["uid"])
        while True:
            try:
                async with self._turns:
                    trouble = await self._clean(ref, job)
                    if trouble:
                        await self._report(ref, trouble)
                    await self.client.set_finalizer(ref.namespace, ref.name, ref.uid, names.STORAGE_FINALIZER, False)
                return
            except ApiError as error:
                _LOG.warning("job %s: what it stored is not deleted yet: %s", ref.name, error)
            except Exception:  # noqa: BLE001  one Job's failure must not stop the others
                _LOG.exception("job %s: unexpected", ref.name)
            await asyncio.sleep(5.0)

    async def _clean(self, ref: JobRef, job: Object) -> str:
        """Delete the Job's pods and then what they stored; return why that failed, or ""."""
        try:
            storage = await self._storage_of(ref, job)
        except DefinitionError as error:  # others have written the status
            return error.message
        name = names.clean_pod(ref.name, ref.uid)
        pods = await self.client.owned_pods(ref.owner)
        finished = any(c["type"] == "Finished" and c["status"] == "True" for c in _conditions(job))
        if storage is None or (not needs_cleaning(job.get("status") or {}) and (finished or not pods)):
            return ""
        for pod in pods:  # a running step would store more
            await self.client.delete_pod(ref.namespace, pod.metadata.name, pod.metadata.uid)
        if not await self._within(_GONE_SECONDS, lambda: self._are_gone(ref)):
            return f"its pods did not end within {_GONE_SECONDS:.0f} s"
        try:
            runtime = manifests.runtime_config_map(ref.namespace, self.settings.runtime, self.archive)
            await self.client.create("configmaps", runtime)
            template = job["spec"].get("podTemplate")
            cleaner = clean_pod(ref, self._image_of(job), storage, self.settings.runtime, template)
            uid = (await self.client.create_pod(cleaner)).metadata.uid
        except DefinitionError as error:  # the Job is older than this operator's rules
            return error.message
        except ApiError as error:
            if not error.permanent:
                raise
            return error.message  # as a namespace that is being deleted does
        trouble: list[str] = []
        if not await self._within(CLEAN_SECONDS, lambda: self._has_ended(ref, name, uid, trouble)):
            trouble.append(f"the pod {name} did not end within {CLEAN_SECONDS} s")
        await self.client.delete_pod(ref.namespace, name, uid)
        return trouble[0] if trouble else ""

    async def _are_gone(self, ref: JobRef) -> bool:
        return not await self.client.owned_pods(ref.owner)

    async def _has_ended(self, ref: JobRef, name: str, uid: str, trouble: list[str]) -> bool:
        pod = await self.client.get_pod(ref.namespace, name)
        if pod is None or pod.metadata.uid != uid:
            trouble.append(f"the pod {name} was deleted before it ended")
            return True
        seen = observe(pod)
        if seen.phase is Phase.STUCK and seen.hopeless:
            trouble.append(f"the pod {name} cannot start: {seen.reason}: {seen.message}")
            return True
        if seen.phase is not Phase.ENDED:
            return False
        record = read_record(seen, Signer(names.nonce(ref.uid, "clean", 0)))  # the Job's Secret may be gone
        if record is None or record.outcome != "Succeeded":
            trouble.append(record.message if record is not None else seen.message or "it left no result")
        return True

    async def _within(self, seconds: float, test: Callable[[], Any]) -> bool:
        for _ in range(int(seconds / _LOOK_SECONDS)):
            if await test():
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _storage_of(self, ref: JobRef, job: Object) -> Storage | None:
        recorded = (job.get("status") or {}).get("storage")
        if recorded:
            return Storage.from_status(recorded)
        spec = job["spec"].get("storage")
        if not spec and "definitionRef" in job["spec"]:  # the definition may set it
            name = names.code_config_map(ref.name, ref.key)
            copy = await self.client.config_map(name, ref.owner)
            spec = DefinitionSnapshot.from_config_map(copy).spec.get("storage") if copy is not None else None
        try:
            return read_storage(spec) if spec else self.settings.storage
        except DefinitionError:
            return None

    def _image_of(self, job: Object) -> str:
        recorded = ((job.get("status") or {}).get("storage") or {}).get("image")
        return str(recorded or (job["spec"].get("code") or {}).get("image") or self.settings.default_image)

    async def _report(self, ref: JobRef, trouble: str) -> None:
        message = f"what the job stored was not deleted: {trouble}"
        _LOG.warning("job %s in %s: %s", ref.name, ref.namespace, message)
        try:
            event = Event("Warning", "StorageNotDeleted", message[:1_000])
            await self.client.create("events", event_manifest(ref, event, self._clock()))
        except ApiError as error:
            _LOG.info("job %s: an event was not accepted: %s", ref.name, error)


def _conditions(job: Object) -> list[Any]:
    return (job.get("status") or {}).get("conditions") or []
