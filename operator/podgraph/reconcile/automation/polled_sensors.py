"""Sensors whose source is a pod that is asked: object stores, and `@sensor` functions.

What was made a Job for is remembered for good. An answer counts as dealt with when all its Jobs are made and the status
tells it; after a crash before that it is asked for again, and the Jobs, whose names follow from it, are found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from podgraph.api import Object
from podgraph.backoff import ExponentialBackoff
from podgraph.cluster.automation_client import AutomationClient
from podgraph.cluster.client import ApiError
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.model.kube_names import check_name
from podgraph.planning.model.spec import CodeSpec
from podgraph.planning.model.status import seconds_of
from podgraph.protocol.answers import Answer
from podgraph.reconcile.automation.base import Automation, StatusWriter, record_once
from podgraph.reconcile.automation.dry_run import jobs_of_answer
from podgraph.reconcile.evaluators.client import EvaluatorClient
from podgraph.reconcile.evaluators.pool import EvaluatorPool
from podgraph.scheduling.cursor import Cursor, key_digest
from podgraph.scheduling.dedup_store import DedupStore, read_block
from podgraph.scheduling.evaluators import EvaluatorSpec
from podgraph.scheduling.job_factory import Request
from podgraph.scheduling.schedule import TickRecord
from podgraph.scheduling.sensor import job_of_request, job_of_seen
from podgraph.scheduling.sources import PythonSource, StoreSource

__all__ = ["PolledSource", "PolledSensors"]

_LISTING_SECONDS = 120
_MAX_BACKOFF = 600.0
_NOTED = 50  # Jobs, until the status is told of them

Make = Callable[[Automation, Object, str], Awaitable[bool]]


class PolledSource:
    """The pod that one sensor asks, and when."""

    def __init__(self, seat: EvaluatorClient, interval: float, stop: Callable[[EvaluatorClient], None]) -> None:
        self.seat, self._interval, self._stop = seat, interval, stop
        self._failure: tuple[str, str] | None = None
        self._failures = 0
        self.due = 0.0
        self.looked_at: float | None = None
        self.base = ""
        self.memory: DedupStore | None = None
        self.trial: EvaluatorClient | None = None

    @property
    def error(self) -> tuple[str, str] | None:
        """What keeps it from seeing."""
        return self.seat.error or self._failure

    def seen(self) -> None:
        """Return nothing: it answers when it is asked."""

    def stop(self) -> None:
        """Ask no more."""
        self._stop(self.seat)
        self.end_trial()

    def end_trial(self) -> None:
        """Say that nobody wants to know any more."""
        if self.trial is not None:
            self._stop(self.trial)
            self.trial = None

    def done(self, now: float, failure: tuple[str, str] | None) -> None:
        """Say that the answer is dealt with; it is asked less often while it fails."""
        self.seat.done()
        self._failure, self.looked_at = failure, now
        self._failures = 0 if failure is None else self._failures + 1
        self.due = now + ExponentialBackoff(self._interval, max(self._interval, _MAX_BACKOFF)).seconds(self._failures)
        self.seat.need_at(self.due)


class PolledSensors:
    """Deals with what such sensors are answered. `make` makes a Job and records it."""

    def __init__(
        self, launching: AutomationClient, evaluators: EvaluatorPool, writer: StatusWriter, make: Make
    ) -> None:
        self._launching, self._evaluators, self._writer, self._make = launching, evaluators, writer, make

    def source_of(
        self, maker: Automation, source: StoreSource | PythonSource, interval: float, wake: Callable[[], None]
    ) -> PolledSource:
        """Return the source of a sensor."""
        return PolledSource(self._seat(maker, source, wake), interval, self._evaluators.give_up)

    def _seat(self, maker: Automation, source: StoreSource | PythonSource, wake: Callable[[], None]) -> EvaluatorClient:
        if isinstance(source, PythonSource):
            return self._evaluators.at_definition(maker.namespace, source.ref.definition, wake)
        ref = JobRef(maker.name, maker.namespace, maker.uid, "JobSensor")
        image = source.image or self._evaluators.default_image
        spec = EvaluatorSpec(ref, CodeSpec(image), self._evaluators.runtime, storage=source.storage)
        return self._evaluators.at(spec, wake)

    async def attempt(
        self,
        maker: Automation,
        what: StoreSource | PythonSource,
        source: PolledSource,
        now: float,
        wake: Callable[[], None],
    ) -> tuple[list[Object], str] | None:
        """Return the Jobs that it would make now, None while there is no answer. Raises ApiError, DefinitionError."""
        if source.trial is None:
            source.trial = self._seat(maker, what, wake)
            source.trial.ask(self._request(maker, what, source, ""))
        answer, trouble = source.trial.answer, source.trial.error
        if answer is None and trouble is None:
            return None
        source.end_trial()
        if answer is None:
            assert trouble is not None
            raise DefinitionError(*trouble)
        source.memory = source.memory or await self._recall(maker)
        return jobs_of_answer(maker, what, answer, source.memory, now)

    async def advance(
        self, maker: Automation, what: StoreSource | PythonSource, source: PolledSource, now: float
    ) -> float:
        """Deal with an answer that came, and ask again when it is time; return in how many seconds to come again.

        Raises ApiError and DefinitionError.
        """
        answer = source.seat.answer
        if answer is not None:
            if answer.reason:
                record_once(maker, TickRecord(now, "Failed", "", answer.reason, answer.message))
                source.done(now, (answer.reason, answer.message))
            else:
                memory = source.memory = source.memory or await self._recall(maker)
                if isinstance(what, StoreSource):
                    await self._deal_with_keys(maker, what, answer, memory, now)
                    source.base = answer.id
                else:
                    await self._deal_with_requests(maker, answer, memory, now)
                source.done(now, None)
        if not source.seat.is_asked:
            if now < source.due:
                return source.due - now
            source.seat.ask(self._request(maker, what, source, source.base))
        return _MAX_BACKOFF

    def _request(
        self, maker: Automation, what: StoreSource | PythonSource, source: PolledSource, base: str
    ) -> dict[str, Any]:
        if isinstance(what, StoreSource):
            return {"kind": "keys", "pattern": what.pattern, "base": base, "timeout": _LISTING_SECONDS}
        cursor = Cursor.from_status(maker.status.get("cursor") or {})
        last = maker.status.get("lastTickTime")
        return {
            "kind": "sensor",
            "name": what.ref.function,
            "cursor": cursor.text,
            "lastRunKey": cursor.run_key or None,
            "lastTime": source.looked_at or (seconds_of(last) if last else None),
            "timeout": what.ref.seconds,
        }

    async def _deal_with_keys(
        self, maker: Automation, what: StoreSource, answer: Answer, memory: DedupStore, now: float
    ) -> None:
        cursor = Cursor.from_status(maker.status.get("cursor") or {})
        made = 0
        for key, version in sorted(answer.keys.items()):
            seen = what.see(key, version)
            digest = key_digest(seen.key)
            if digest in memory:
                continue
            if cursor.begun:
                await self._make(maker, job_of_seen(maker.object, seen, now), f"{seen.name}")
                made += 1
            memory.add(digest)
            if made % _NOTED == _NOTED - 1:
                await self._note(maker, cursor, memory)
        cursor.begun = True
        await self._note(maker, cursor, memory)

    async def _deal_with_requests(self, maker: Automation, answer: Answer, memory: DedupStore, now: float) -> None:
        cursor = Cursor.from_status(maker.status.get("cursor") or {})
        made = 0
        for at, data in enumerate(answer.requests):
            request = Request.of(data)
            digest = key_digest(f"run/{request.run_key}")
            if request.run_key and digest in memory:
                continue
            job = job_of_request(maker.object, request, f"{cursor.count}/{at}", now)
            await self._make(maker, job, request.run_key or "a run without a key")
            made += 1
            if request.run_key:
                memory.add(digest)
                cursor.run_key = request.run_key
        if answer.skip:
            record_once(maker, TickRecord(now, "Skipped", "", "Skipped", answer.skip))
        cursor.begun, cursor.text = True, answer.cursor
        cursor.count += bool(made)
        await self._note(maker, cursor, memory)

    async def _recall(self, maker: Automation) -> DedupStore:
        """Return what a sensor has made Jobs for, from its status and its ConfigMaps."""
        cursor = Cursor.from_status(maker.status.get("cursor") or {})
        blocks = {}
        for name in cursor.blocks:
            check_name("a ConfigMap in status.cursor.blocks", name)
            block = await self._launching.client.config_map(name, maker.owner)
            if block is None:
                raise DefinitionError(
                    "MemoryLost",
                    f"the ConfigMap {name!r}, which records what it has created Jobs for, was deleted; delete the "
                    "sensor and create it again",
                )
            blocks[name] = read_block(block)
        return DedupStore(cursor.keys, blocks)

    async def _note(self, maker: Automation, cursor: Cursor, memory: DedupStore) -> None:
        """Write down what was dealt with. Raises ApiError."""
        old: list[str] = []
        while (block := memory.next_block(maker.object)) is not None:
            await self._launching.client.create("configmaps", block)
            old += memory.put(block)
        cursor.keys, cursor.blocks = list(memory.latest), list(memory.blocks)
        maker.set(cursor=cursor.to_status())
        await self._writer.write(maker)
        for name in old:
            try:
                await self._launching.client.delete_config_map(name, maker.owner)
            except ApiError:
                pass  # it goes with the sensor
