"""Copies the code of a Job or JobDefinition for its resolve pod, and reads the graph that the pod prints."""

from __future__ import annotations

from podgraph.cluster.client import ApiError
from podgraph.definition.errors import DefinitionError
from podgraph.protocol.graph_codec import MAX_GRAPH, from_log
from podgraph.reconcile.jobs.environment import Environment
from podgraph.reconcile.jobs.state import AnyRun, ObjectState
from podgraph.reconcile.workqueue import KeyedQueue

__all__ = ["CodeReader"]


class CodeReader:
    """Gets what a run needs before its graph is known. When that fails for good, the object is refused."""

    def __init__(self, environment: Environment, queue: KeyedQueue) -> None:
        self._client, self._pods, self._keys = environment.client, environment.pods, environment.keys
        self._clock, self._queue = environment.clock, queue

    async def copy_code(self, state: ObjectState, run: AnyRun) -> bytes | None:
        """Create the object's own copy of its code; return the ConfigMap as JSON, None when there is no copy.

        The ConfigMap may be one that an earlier pass created. Raises ApiError.
        """
        source, config_map = run.code_source()
        try:
            if config_map is not None:
                source = await self._read_source(run, *config_map)
            copy = await self._create_copy(run, source, any_content=config_map is not None)
        except DefinitionError as error:
            state.remember(run.refuse(error, self._clock()))
            return None
        run.code_copied()
        self._queue.add(run.ref.uid)
        return copy

    async def _read_source(self, run: AnyRun, name: str, key: str) -> str:
        found = await self._client.config_map_key(run.ref.namespace, name, key)
        if found is None:
            text = f"there is no ConfigMap {name!r} with the key {key!r} in the {run.ref.noun}'s namespace"
            raise DefinitionError("ConfigMapNotFound", text)
        return found

    async def _create_copy(self, run: AnyRun, source: str, any_content: bool) -> bytes:
        try:
            return await self._client.create("configmaps", run.code_map(source), any_content=any_content)
        except ApiError as error:
            if not error.permanent:
                raise
            text = f"the API server refuses the copy of the code: {error.message}"
            raise DefinitionError(error.reason, text) from None

    async def read_graph(self, state: ObjectState, run: AnyRun, pod: str) -> None:
        """Give a run the graph from the log of its resolve pod. Raises ApiError."""
        record = run.resolve_record(self._pods.of(run.ref.uid))
        if record is None:
            return
        try:
            lines = await self._client.pod_log(run.ref.namespace, pod, MAX_GRAPH)
            run.graph_from_log(from_log(record, lines, self._keys.of(run.ref.uid).pod))
        except DefinitionError as error:
            state.remember(run.refuse(error, self._clock()))
        except ApiError as error:
            if not error.permanent:
                raise
            refusal = DefinitionError("ResolveFailed", f"the resolve pod's log cannot be read: {error.message}")
            state.remember(run.refuse(refusal, self._clock()))
        else:
            self._queue.add(run.ref.uid)
