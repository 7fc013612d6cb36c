"""Drives each JobDefinition's `DefinitionRun`: its resolve pod reads the code's graph, and the status reports it.

It works as :mod:`podgraph.reconcile.jobs.job_controller` does, with at most one pod for each definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.manifests.objects import CODE_FILE
from podgraph.planning.model import names
from podgraph.planning.model.owner import Owner
from podgraph.reconcile.jobs.code_reader import CodeReader
from podgraph.reconcile.jobs.definition_cache import DefinitionCache
from podgraph.reconcile.jobs.environment import Environment
from podgraph.reconcile.jobs.pod_creator import PodCreator
from podgraph.reconcile.jobs.pod_io import PodIO
from podgraph.reconcile.jobs.state import DefinitionState
from podgraph.reconcile.jobs.status_writer import StatusWriter
from podgraph.reconcile.workqueue import KeyedQueue, work

__all__ = ["DefinitionController"]

_WORKERS = 8

Object = Mapping[str, Any]


class DefinitionController:
    """The JobDefinitions of the cluster: takes in their events, and makes the passes over them.

    `cache` holds what Jobs read of definitions.
    """

    def __init__(self, environment: Environment, cache: DefinitionCache, pod_io: PodIO) -> None:
        self._client, self._pods, self._clock = environment.client, environment.pods, environment.clock
        self._settings, self._metrics = environment.settings, environment.metrics
        self._cache, self._pod_io, self._room = cache, pod_io, environment.room
        self.states: dict[str, DefinitionState] = {}
        self.queue = KeyedQueue(namespace_of=self._namespace_of, most=_WORKERS * 3 // 4)
        self._code = CodeReader(environment, self.queue)
        self._creator = PodCreator(environment, self.queue)
        self._writer = StatusWriter(environment, self.queue, self._drop)

    def workers(self) -> list[Any]:
        """Return the coroutines that do the work until they are cancelled."""
        timer = self._metrics.passes.time
        return [work(self.queue, self._reconcile, "definition", timer) for _ in range(_WORKERS)]

    def owner_of(self, uid: str) -> Owner | None:
        """Return the owner of a definition's pods, None when there is no such definition."""
        state = self.states.get(uid)
        return state.owner if state is not None else None

    def _namespace_of(self, uid: str) -> str:
        state = self.states.get(uid)
        return state.namespace if state is not None else ""

    # --- events

    def definition_changed(self, kind: str | None, definition: Object) -> None:
        """Take in an event of a JobDefinition; `kind` is as for :meth:`JobController.job_changed`."""
        meta = definition["metadata"]
        uid, generation = meta["uid"], int(meta["generation"])
        if kind == "DELETED" or meta.get("deletionTimestamp"):
            self._cache.drop(meta["namespace"], meta["name"], uid)
            self._drop(uid)
            return
        state = self.states.get(uid)
        if state is not None and generation <= state.generation:
            return  # our own write of the status
        before = state.generation if state is not None else _observed_generation(definition)
        latest = DefinitionRun(definition, self._settings)
        if state is None:
            state = self.states[uid] = DefinitionState(definition, version=meta["resourceVersion"], latest=latest)
        if 0 < before < generation:
            state.outdated_copies.add(names.code_config_map(meta["name"], f"{uid}/{before}"))
        state.generation, state.latest = generation, latest
        self._cache.put(latest)
        self.queue.add(uid)

    def pod_changed(self, uid: str, pod_name: str) -> None:
        """Take in that a definition's pod was created, changed or deleted."""
        if uid in self.states:
            self.queue.add(uid)

    # --- one pass

    async def _reconcile(self, uid: str) -> None:
        state = self.states.get(uid)
        if state is None:
            return

        # 1. Load the definition's pods and the run of its latest generation.
        self._pods.adopt(uid, state.owner)
        run = await self._load(state)

        # 2. Plan.
        actions = run.advance(self._pods.of(uid), (), self._clock())
        state.remember(actions)

        # 3. Do what the plan needs before it can go on.
        if actions.copy_code:
            copy = await self._code.copy_code(state, run)
            if copy is not None:  # it may be the copy of an earlier pass, which then counts
                run.source = msgspec.json.decode(copy)["data"][CODE_FILE]
            if not run.finished:
                return  # another pass follows; there is nothing to write yet
        if actions.read_log:
            await self._code.read_graph(state, run, actions.read_log)

        # 4. Create the resolve pod.
        await self._creator.create(state, run, resolving=True)

        # 5. Write the status.
        await self._writer.write(state, run.ref)

        # 6. Delete pods that are no longer needed, and post events.
        await self._pod_io.delete(state, run)
        await self._writer.post_events(state, run.ref)

        # 7. Requeue, and wake the Jobs that wait for this definition.
        if actions.requeue_time is not None:
            self.queue.add_after(uid, actions.requeue_time - self._clock())
        if run.finished:
            self._cache.wake_jobs(run)
            for name in list(self._pods.of(uid)):
                self._pods.forget_gone(uid, name)
            if run.retry_at is not None:
                self.queue.add_after(uid, run.retry_at - self._clock())

    async def _load(self, state: DefinitionState) -> DefinitionRun:
        """Return the run of the latest generation. What an earlier one has yet to do is dropped. Raises ApiError."""
        for name in list(state.outdated_copies):
            await self._client.delete_config_map(name, state.owner)
            state.outdated_copies.discard(name)
        if state.run is not state.latest:
            state.run = state.latest
            state.to_create.clear()
            state.status, state.events = {}, []
        return state.latest

    def _drop(self, uid: str) -> None:
        """Forget all that is kept of a definition."""
        self.states.pop(uid, None)
        self._pod_io.forget(uid)
        self._room.leave(uid)


def _observed_generation(definition: Object) -> int:
    return int((definition.get("status") or {}).get("observedGeneration", 0))
