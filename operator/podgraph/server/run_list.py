"""The list of runs: a page of it, and as events with what changes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from podgraph.cluster.client import ApiError
from podgraph.server.models import Problems
from podgraph.server.streams import ALIVE, BEAT_SECONDS, TOGETHER_SECONDS, event, stream
from podgraph.server.summaries import RunFilter, order_of, run_summary
from podgraph.server.users import SignedOut, User, ends, visitor_of
from podgraph.server.views import Runs

__all__ = ["page_of_runs", "run_list"]

run_list = APIRouter(prefix="/api/runs", responses={422: {"model": Problems}})


def _wanted(
    state: Annotated[str, Query(max_length=500, description="states separated by commas; all when empty")] = "",
    text: Annotated[str, Query(max_length=253, description="part of a name, definition or tag=value")] = "",
    namespace: Annotated[str, Query(max_length=63, description="the namespace they are in")] = "",
    definition: Annotated[str, Query(max_length=253, description="the JobDefinition they are of")] = "",
    maker: Annotated[str, Query(max_length=270, description="what made them: schedules/NAME or sensors/NAME")] = "",
    tag: Annotated[list[str] | None, Query(max_length=32, description="key=value, or a key; all of them")] = None,
    since: Annotated[str, Query(max_length=32, description="made at this time or later, as 2026-01-31T12:00:00Z")] = "",
    until: Annotated[str, Query(max_length=32, description="made before this time")] = "",
    alive: Annotated[str, Query(max_length=32, description="not over before this time")] = "",
) -> RunFilter:
    return RunFilter(
        frozenset(filter(None, state.split(","))), text.strip().lower(), namespace, definition, maker,
        tuple(tag or ()), since, until, alive,
    )  # fmt: skip


Asked = Annotated[RunFilter, Depends(_wanted)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@run_list.get("")
async def runs(
    request: Request,
    wanted: Asked,
    before: Annotated[str, Query(max_length=700, description="`next` of the page before this one")] = "",
    limit: Limit = 200,
) -> Runs:
    """Return runs as summaries, the newest first, a page at a time."""
    visitor = visitor_of(request)
    await visitor.state.ready()
    return await page_of_runs(visitor, wanted, before, limit)


@run_list.get("/events", response_class=StreamingResponse)
async def runs_events(request: Request, wanted: Asked, limit: Limit = 200) -> StreamingResponse:
    """Tell of runs as server-sent events: `list`, what `GET /api/runs` gives, and then `runs`, what changed of any.

    These have `changed`, a list of summaries, and `gone`, a list of namespace and name.
    """
    visitor = visitor_of(request)
    hub, jobs = visitor.state.hub, visitor.state.jobs
    hub.check_room()
    await visitor.state.ready()

    async def tell() -> AsyncIterator[bytes]:
        with hub.listening() as listener:
            try:
                yield event("list", await page_of_runs(visitor, wanted, "", limit))
                while True:
                    told = await listener.changes(BEAT_SECONDS)
                    open_to = await visitor.namespaces(jobs.plural, {namespace for namespace, _ in told})
                    keys = sorted(key for key in told if key[0] in open_to)
                    changed = [run_summary(jobs.items[key]) for key in keys if key in jobs.items]
                    gone = [list(key) for key in keys if key not in jobs.items]
                    yield event("runs", {"changed": changed, "gone": gone}) if keys else ALIVE
                    await asyncio.sleep(TOGETHER_SECONDS)
            except SignedOut:
                return
            except ApiError as error:
                ends(request, error)
                return  # the page asks anew, and is told why not

    return stream(tell())


async def page_of_runs(visitor: User, wanted: RunFilter, before: str, limit: int) -> Runs:
    """Return `limit` runs that are wanted and that a visitor may see, after `before`. Raises SignedOut, ApiError."""
    found = sorted((await visitor.seen(visitor.state.jobs)).values(), key=order_of, reverse=True)
    if wanted != RunFilter():
        found = [job for job in found if wanted.takes(run_summary(job))]
    start = tuple(before.split("|")) if before else None
    rest = found if start is None else [job for job in found if order_of(job) < start]
    more = "|".join(order_of(rest[limit - 1])) if len(rest) > limit else ""
    return Runs(runs=[run_summary(job) for job in rest[:limit]], next=more, total=len(found))
