"""JobDefinitions as Jobs find them: by name, in the operator's memory; and the copy that each Job makes of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from podgraph.cluster.client import Client
from podgraph.definition.errors import DefinitionError
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.definition_snapshot import Defined, DefinitionSnapshot, storage_of
from podgraph.planning.job.run import Run
from podgraph.planning.manifests.objects import CODE_FILE, JobRef
from podgraph.planning.model import names
from podgraph.reconcile.jobs.storage_finalizer import StorageFinalizer

__all__ = ["SURE_SECONDS", "DefinitionCache"]

SURE_SECONDS = 60.0
"""How long a definition counts as existing after it was seen: kopf misses deletions while its watch is broken."""

Object = Mapping[str, Any]
Name = tuple[str, str]  # namespace and name


class DefinitionCache:
    """The JobDefinitions, and the Jobs that wait for one. `wake(uid)` queues a waiting Job."""

    def __init__(
        self, client: Client, storing: StorageFinalizer, clock: Callable[[], float], wake: Callable[[str], None]
    ) -> None:
        self._client, self._storing, self._clock, self._wake = client, storing, clock, wake
        self._runs: dict[Name, DefinitionRun] = {}
        self._sure: dict[Name, float] = {}  # until when
        self._waiting: dict[Name, set[str]] = {}

    def put(self, run: DefinitionRun) -> None:
        """Take in a definition, or a new generation of one."""
        key = (run.ref.namespace, run.ref.name)
        self._runs[key], self._sure[key] = run, self._clock() + SURE_SECONDS
        self.wake_jobs(run)

    def drop(self, namespace: str, name: str, uid: str) -> None:
        """Take in that a definition is deleted; a new one may have its name already."""
        run = self._runs.get((namespace, name))
        if run is not None and run.ref.uid == uid:
            del self._runs[namespace, name], self._sure[namespace, name]
            self.wake_jobs(run)

    def wake_jobs(self, run: DefinitionRun) -> None:
        """Wake the Jobs that wait for a definition."""
        for uid in self._waiting.pop((run.ref.namespace, run.ref.name), ()):
            self._wake(uid)

    def look_up(self, job: Run) -> None:
        """Give a Job without a copy of its definition what is known of the definition; the Job waits for it."""
        if job.defined is not None and job.defined.frozen is None:
            key = (job.ref.namespace, job.defined.name)
            job.defined.seen = self._runs.get(key)
            self._waiting.setdefault(key, set()).add(job.ref.uid)

    def forget(self, job: Run) -> None:
        """Take in that a Job no longer waits."""
        if job.defined is not None:
            key = (job.ref.namespace, job.defined.name)
            waiting = self._waiting.get(key, set())
            waiting.discard(job.ref.uid)
            if not waiting:
                self._waiting.pop(key, None)

    async def freeze(self, job: Run) -> str:
        """Create or find the Job's own copy of its definition; return the Job's version if it has changed.

        When the definition exists and is ready, the copy is created at once. If another operator has created one, the
        API server answers with that. Raises DefinitionError and ApiError.
        """
        defined, ref, version = job.defined, job.ref, ""
        assert defined is not None
        if defined.recorded or not defined.is_ready or not await self._is_there(defined):
            found = await self._client.config_map(names.code_config_map(ref.name, ref.key), ref.owner)
            if found is None:
                defined.no_copy(self._names(ref.namespace), not defined.overdue or await self._exists(ref, defined))
                return ""
        else:
            assert defined.seen is not None
            frozen = DefinitionSnapshot.of(defined.seen, await self._source(defined.seen), job.job_spec)
            storage = storage_of(frozen.spec, job.settings.storage)
            if storage is not None:
                version = await self._storing.ensure(ref, storage)
            created = await self._client.create("configmaps", frozen.config_map(ref), any_content=True)
            found = msgspec.json.decode(created)
        job.freeze(DefinitionSnapshot.from_config_map(found))
        self.forget(job)
        return version

    async def _is_there(self, defined: Defined) -> bool:
        """Whether a known definition still exists; checked now and then, however many Jobs it has."""
        assert defined.seen is not None
        ref = defined.seen.ref
        key = (ref.namespace, ref.name)
        if self._clock() < self._sure.get(key, 0.0):
            return True
        if await self._client.job_version(ref.namespace, ref.name, ref.uid, ref.kind) is None:
            self.drop(ref.namespace, ref.name, ref.uid)
            return False
        self._sure[key] = self._clock() + SURE_SECONDS
        return True

    async def _exists(self, ref: JobRef, defined: Defined) -> bool:
        return await self._client.job_version(ref.namespace, defined.name, "", "JobDefinition") is not None

    async def _source(self, definition: DefinitionRun) -> str | None:
        """Return the text of a definition's code, None when it has none. The text is read at most once."""
        code = definition.object["spec"].get("code") or {}
        if "configMapRef" not in code:
            return code.get("source")
        if definition.source is None:
            ref = definition.ref
            name = names.code_config_map(ref.name, ref.key)
            copy = await self._client.config_map(name, ref.owner)
            definition.source = (copy.get("data") or {}).get(CODE_FILE) if copy is not None else None
            if definition.source is None:
                raise DefinitionError(
                    "CopyDeleted",
                    f"the copy of the code of JobDefinition {ref.name!r} (ConfigMap {name!r}) was deleted; delete the "
                    "definition and apply it again",
                )
        return definition.source

    def _names(self, namespace: str) -> Iterable[str]:
        return [name for where, name in self._runs if where == namespace]
