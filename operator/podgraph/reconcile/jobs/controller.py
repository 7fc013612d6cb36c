"""The controllers of Jobs and JobDefinitions together: they share one view of the pods and one link server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from podgraph.cluster.client import Client
from podgraph.cluster.pod_reflector import PodReflector
from podgraph.cluster.runtime_archive import RuntimeArchive
from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model import names
from podgraph.planning.model.owner import Owner
from podgraph.planning.pods.types import Pod
from podgraph.reconcile.jobs.definition_controller import DefinitionController
from podgraph.reconcile.jobs.environment import Environment
from podgraph.reconcile.jobs.job_controller import JobController
from podgraph.reconcile.jobs.link_server import LinkServer
from podgraph.reconcile.jobs.room_queue import RoomQueue
from podgraph.reconcile.jobs.standstill import Standstill
from podgraph.reconcile.jobs.storage_finalizer import StorageFinalizer
from podgraph.reconcile.master_key import random_keys
from podgraph.reconcile.metrics import Metrics

__all__ = ["Controller"]


class Controller:
    """All Jobs and JobDefinitions of the cluster. `clock` returns seconds since the epoch.

    `burst_in_progress()` says whether many Jobs are being created just now; Jobs that are new then wait for a moment.
    """

    def __init__(
        self, client: Client, bundle: RuntimeArchive, default_image: str, clock: Callable[[], float] = time.time,
        storage: Storage | None = None, links: LinkServer | None = None, keys: Keys | None = None,
        burst_in_progress: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        links, keys = links or LinkServer(), keys or random_keys()
        self.client = client
        self.pods = PodReflector(
            client.session, self._pod_changed, owner_of=self._owner_of, namespaces=client.namespaces
        )
        self.metrics = Metrics(lambda: len(self.jobs.states), lambda: self.jobs.waiting_pods, lambda: links.count)
        self.pods.ignored = client.ignored = self.metrics.ignore
        runtime = names.runtime_config_map(bundle.digest)
        settings = Settings(default_image, runtime, storage, links.invitation, keys)
        self._storage = StorageFinalizer(client, settings, bundle.archive, clock)
        self.standstill = Standstill()
        self._room = RoomQueue(lambda namespace: self.jobs.make_room(namespace))
        environment = Environment(
            client, self.pods, settings, self._storage, bundle.archive, keys, self.metrics, clock, self._room
        )
        self.jobs = JobController(environment, links, self.standstill, burst_in_progress)
        self.definitions = DefinitionController(environment, self.jobs.definition_cache, self.jobs.pod_io)
        self.pods.on_unclaimed = self._unclaimed_pod
        links.connect(keys, self._has_pod, self.jobs.take_lines, self._namespace_of)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pods.run())
                group.create_task(self.standstill.run())
                await self.pods.synced.wait()
                for worker in (*self.jobs.workers(), *self.definitions.workers()):
                    group.create_task(worker)
        finally:
            await self.jobs.pod_io.close()
            self._storage.stop()

    def _pod_changed(self, uid: str, pod_name: str) -> None:
        """Report a pod to both controllers; the one that does not know the uid ignores it."""
        self.jobs.pod_changed(uid, pod_name)
        self.definitions.pod_changed(uid, pod_name)
        if (pod := self.pods.of(uid).get(pod_name)) is not None:
            self._room.pod_changed(pod)

    def _unclaimed_pod(self, uid: str, pod: Pod) -> None:
        self.jobs.unclaimed_pod(uid, pod)
        self._room.pod_changed(pod)

    def _owner_of(self, uid: str) -> Owner | None:
        return self.jobs.owner_of(uid) or self.definitions.owner_of(uid)

    def _namespace_of(self, uid: str) -> str:
        owner = self._owner_of(uid)
        return owner.namespace if owner is not None else ""

    def _has_pod(self, uid: str, pod_name: str) -> bool:
        """Whether a pod was created here; it may connect before the answer to the request that created it arrives."""
        state = self.jobs.states.get(uid) or self.definitions.states.get(uid)
        return state is not None and (pod_name in self.pods.of(uid) or pod_name in state.to_create)
