"""Creates the pods of Jobs and JobDefinitions, and first what the pods need: runtime, key and storage."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from podgraph.cluster.client import ApiError
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.pods.refusals import QUOTA_EXCEEDED, reason_to_wait
from podgraph.planning.pods.types import Pod
from podgraph.reconcile.jobs.environment import Environment
from podgraph.reconcile.jobs.state import AnyRun, ObjectState
from podgraph.reconcile.workqueue import KeyedQueue

__all__ = ["MAX_BATCH", "PodCreator"]

MAX_BATCH = 100
"""The most pods that one pass creates, so that a pass also takes in what happens meanwhile."""


class PodCreator:
    """Creates the pods in an object's `to_create`. `on_created(uid, pod)` is called for each that exists."""

    def __init__(
        self,
        environment: Environment,
        queue: KeyedQueue,
        on_created: Callable[[str, Pod], None] = lambda uid, pod: None,
    ) -> None:
        self._client, self._pods, self._storage = environment.client, environment.pods, environment.storage
        self._settings, self._archive, self._clock = environment.settings, environment.archive, environment.clock
        self._queue, self._on_created, self._room = queue, on_created, environment.room

    async def create(self, state: ObjectState, run: AnyRun, resolving: bool) -> None:
        """Create one batch of pods; `resolving` says that the resolve pod is not yet done.

        A pod that is refused for good counts as such. One for which there is no room yet is requested again later, and
        so are those that were not requested. Raises ApiError for any other failure; the next call tries again.
        """
        if not state.to_create or not await self._prepare(state, run, resolving):
            return
        uid = run.ref.uid
        batch = dict(itertools.islice(state.to_create.items(), MAX_BATCH))
        for name in batch:
            self._pods.making(uid, name)
        results = await asyncio.gather(*map(self._client.create_pod, batch.values()), return_exceptions=True)
        failure: BaseException | None = None
        full: ApiError | None = None
        for name, result in zip(batch, results, strict=True):
            if isinstance(result, Pod):
                self._on_created(uid, result)
                self._pods.put(uid, result)  # so that the pod is missed even if it goes before the watch shows it
                self._room.leave(uid)
            elif isinstance(result, ApiError) and _passes(result):
                self._pods.not_made(uid, name)
                self._put_back(state, run, [name], full := result)
            elif isinstance(result, ApiError) and result.permanent:
                self._pods.not_made(uid, name)
                self._refuse_pod(state, run, name, result)
            else:
                failure = result
                continue
            state.to_create.pop(name, None)
        if full is not None:
            self._put_back(state, run, [name for name in state.to_create if name not in batch], full)
        if failure is not None:
            raise failure
        if state.to_create:
            self._queue.add(uid)

    async def create_during(
        self, writing: Coroutine[Any, Any, None], state: ObjectState, run: AnyRun, resolving: bool
    ) -> None:
        """Create pods while the status is written: that of a large Job takes a second, enough for many pods.

        The status may describe a pod that does not exist yet. That does no harm: after a restart its step is pending.
        """
        write = asyncio.create_task(writing)
        try:
            while state.to_create and not write.done():
                await self.create(state, run, resolving)
        except asyncio.CancelledError:
            write.cancel()
            raise
        finally:
            await asyncio.wait([write])
        write.result()

    async def _prepare(self, state: ObjectState, run: AnyRun, resolving: bool) -> bool:
        """Create what the pods need; return whether they can be created. Raises ApiError."""
        if run.spec is None:
            return True
        try:
            await self._ensure_runtime(state, run)
            if run.storage is not None and run.spec.code is not None and resolving:  # once, before the first pod
                state.version = await self._storage.ensure(run.ref, run.storage) or state.version
        except DefinitionError as refusal:
            state.remember(run.refuse(refusal, self._clock()))
        except ApiError as error:
            if not error.permanent:
                raise
            for name in list(state.to_create):
                self._refuse_pod(state, run, name, error)
        else:
            return True
        state.to_create.clear()
        return False

    def _refuse_pod(self, state: ObjectState, run: AnyRun, name: str, error: ApiError) -> None:
        try:
            state.remember(run.not_created(name, error.reason, error.message, self._clock()))
            self._queue.add(run.ref.uid)
        except DefinitionError as refusal:
            state.remember(run.refuse(refusal, self._clock()))

    def _put_back(self, state: ObjectState, run: AnyRun, names: list[str], error: ApiError) -> None:
        """Let these pods wait until there is room for them."""
        uid, namespace = run.ref.uid, run.ref.namespace
        reason = reason_to_wait(error.status, error.reason, error.message)
        runs = False
        for name in names:
            runs = run.put_back(name, reason, error.message, self._clock()) or runs
            state.to_create.pop(name, None)
        if runs and reason == QUOTA_EXCEEDED:
            self._room.full(namespace)
        self._room.wait(namespace, uid, partial(self._try_again, run))
        self._queue.add(uid)

    def _try_again(self, run: AnyRun) -> None:
        run.room_made(self._clock())
        self._queue.add(run.ref.uid)

    async def _ensure_runtime(self, state: ObjectState, run: AnyRun) -> None:
        """Create the runtime's ConfigMap and the Secret with the key of the object's pods, once for each object.

        Others may have deleted the ConfigMap or the namespace since the last Job. Raises ApiError, and DefinitionError
        when the Secret is refused.
        """
        if state.has_runtime and state.has_key:
            return
        waits: list[Awaitable[Any]] = []
        if not state.has_runtime and run.spec is not None and run.spec.code is not None:
            manifest = manifests.runtime_config_map(run.ref.namespace, self._settings.runtime, self._archive)
            waits.append(self._client.create("configmaps", manifest))
        if not state.has_key and (secret := run.key_secret()) is not None:
            waits.append(self._create_key(run, secret))
        for failure in await asyncio.gather(*waits, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
        state.has_runtime = state.has_key = True

    async def _create_key(self, run: AnyRun, secret: dict[str, Any]) -> None:
        try:
            await self._client.create_secret(secret)
        except ApiError as error:
            if not error.permanent:
                raise
            text = f"the API server refuses the Secret with the key of the {run.ref.noun}'s pods: {error.message}"
            raise DefinitionError(error.reason, text) from None


def _passes(error: ApiError) -> bool:
    return bool(reason_to_wait(error.status, error.reason, error.message))
