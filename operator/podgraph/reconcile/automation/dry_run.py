"""What a schedule or sensor would make now, for who asks by an annotation: the Jobs go into its status, none is made.

It is found out as in earnest, in the same pods and from the same sources, also for one that is suspended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from podgraph.api import Object
from podgraph.definition.errors import DefinitionError
from podgraph.protocol.answers import Answer
from podgraph.reconcile.automation.base import Automation
from podgraph.scheduling.cursor import Cursor, key_digest
from podgraph.scheduling.dedup_store import DedupStore
from podgraph.scheduling.job_factory import Request
from podgraph.scheduling.sensor import job_of_request, job_of_seen
from podgraph.scheduling.sources import HttpSource, Observation, Source, StoreSource

__all__ = ["MAX_TRIED", "jobs_of_answer", "jobs_of_seen", "tell_tried"]

MAX_TRIED = 200_000
"""Most characters of Jobs that a status is told of."""
_MOST_JOBS = 20
_NOT_BEGUN = "this is its first look: existing objects create no Job"


def jobs_of_seen(maker: Automation, source: Source, seen: list[Observation], now: float) -> tuple[list[Object], str]:
    """Return the Jobs that a sensor would make for what it sees, and what is to be said of them."""
    cursor = Cursor.from_status(maker.status.get("cursor") or {})
    if not cursor.begun:
        found = [item for item in cursor.fresh(seen) if item.time]
        rest = len(seen) - len(found)
        return [job_of_seen(maker.object, item, now) for item in found], _NOT_BEGUN if rest else ""
    if isinstance(source, HttpSource):
        turned = cursor.turn(seen, source.equals)
        fresh = [] if turned is None else [turned]
    else:
        fresh = cursor.fresh(seen)
    return [job_of_seen(maker.object, item, now) for item in fresh], ""


def jobs_of_answer(
    maker: Automation, source: Source, answer: Answer, memory: DedupStore, now: float
) -> tuple[list[Object], str]:
    """Return the Jobs that a sensor would make for what its pod answers. Raises DefinitionError."""
    cursor = Cursor.from_status(maker.status.get("cursor") or {})
    if answer.reason:
        raise DefinitionError(answer.reason, answer.message)
    if isinstance(source, StoreSource):
        if not cursor.begun:
            return [], _NOT_BEGUN if answer.keys else ""
        found = [source.see(key, version) for key, version in sorted(answer.keys.items())]
        return [job_of_seen(maker.object, item, now) for item in found if key_digest(item.key) not in memory], ""
    jobs: dict[str, Object] = {}
    known = 0
    for at, data in enumerate(answer.requests):
        request = Request.of(data)
        if request.run_key and key_digest(f"run/{request.run_key}") in memory:
            known += 1
            continue
        job = job_of_request(maker.object, request, f"{cursor.count}/{at}", now)
        jobs.setdefault(str(job["metadata"]["name"]), job)
    made = f"of {known} run keys there has been a Job already" if known else ""
    return list(jobs.values()), answer.skip or made


def tell_tried(maker: Automation, jobs: Iterable[Object], message: str) -> None:
    """Put what a try came to into the status."""
    texts: list[str] = []
    left, room = 0, MAX_TRIED
    for job in jobs:
        text = json.dumps(job, ensure_ascii=False)
        if len(texts) < _MOST_JOBS and len(text) <= room:
            texts.append(text)
            room -= len(text)
        else:
            left += 1
    more = f"{left} more Jobs are not shown" if left else ""
    told = "; ".join(filter(None, (message[:1_024], more)))
    maker.set(tried={"id": maker.dry_run_id, "jobs": texts or None, "message": told or None})
