"""The lineage of a run: the original run, its reruns, and their reruns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fastapi import APIRouter, Request

from podgraph.server.models import Name, Namespace, Problems
from podgraph.server.summaries import JobItem, run_summary
from podgraph.server.users import visitor_of
from podgraph.server.views import Family

__all__ = ["family", "family_of"]

family = APIRouter(prefix="/api/runs", responses={422: {"model": Problems}})


@family.get("/{namespace}/{name}/family")
async def run_family(request: Request, namespace: Namespace, name: Name) -> Family:
    """Return the existing runs of a run's lineage, oldest first; none if the run does not exist."""
    visitor = visitor_of(request)
    await visitor.state.ready()
    seen = await visitor.seen(visitor.state.jobs)
    return {
        "runs": [run_summary(job) for job in family_of(name, (job for key, job in seen.items() if key[0] == namespace))]
    }


def family_of(name: str, jobs: Iterable[JobItem]) -> list[JobItem]:
    """Return the lineage of a named run among the runs of its namespace, oldest first.

    A run whose parent was deleted, or replaced by another one with the same name, is the first of its lineage.
    """
    by_name = {job.metadata.name: job for job in jobs}
    reruns: defaultdict[str, list[JobItem]] = defaultdict(list)
    parents: dict[str, JobItem] = {}
    for job in by_name.values():
        ref = job.spec.rerun_of
        if ref is None or (parent := by_name.get(ref.name)) is None or ref.uid not in ("", parent.metadata.uid):
            continue
        parents[job.metadata.name] = parent
        reruns[ref.name].append(job)
    if name not in by_name:
        return []
    first, above = by_name[name], {name}
    while (parent := parents.get(first.metadata.name)) is not None and parent.metadata.name not in above:
        first = parent
        above.add(parent.metadata.name)
    depths: dict[str, int] = {}
    waiting = [(first, 0)]
    while waiting:
        job, depth = waiting.pop()
        if job.metadata.name not in depths:
            depths[job.metadata.name] = depth
            waiting += ((rerun, depth + 1) for rerun in reruns[job.metadata.name])

    def order(name: str) -> tuple[str, int, str]:  # a short run and its rerun can have the same creation second
        return by_name[name].metadata.creation_timestamp, depths[name], name

    return [by_name[name] for name in sorted(depths, key=order)]
