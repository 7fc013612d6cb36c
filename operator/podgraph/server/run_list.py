"""The list of runs: one page of it, and its changes as events."""

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
    state: Annotated[str, Query(max_length=500, description="comma-separated states; all when empty")] = "",
    text: Annotated[str, Query(max_length=253, description="a part of a name, definition or tag=value")] = "",
    namespace: Annotated[str, Query(max_length=63, description="the namespace of the runs")] = "",
    definition: Annotated[str, Query(max_length=253, description="the JobDefinition of the runs")] = "",
    maker: Annotated[
        str, Query(max_length=270, description="the automation of the runs: schedules/NAME or sensors/NAME")
    ] = "",
    tag: Annotated[
        list[str] | None, Query(max_length=32, description="key=value, or a key; repeatable, all must match")
    ] = None,
    since: Annotated[
        str, Query(max_length=32, description="created at this time or later, such as 2026-01-31T12:00:00Z")
    ] = "",
    until: Annotated[str, Query(max_length=32, description="created before this time")] = "",
    alive: Annotated[str, Query(max_length=32, description="not finished before this time")] = "",
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
    before: Annotated[str, Query(max_length=700, description="`next` of the previous page")] = "",
    limit: Limit = 200,
) -> Runs:
    """Return a page of runs as summaries, newest first."""
    visitor = visitor_of(request)
    await visitor.state.ready()
    return await page_of_runs(visitor, wanted, before, limit)


@run_list.get("/events", response_class=StreamingResponse)
async def runs_events(request: Request, wanted: Asked, limit: Limit = 200) -> StreamingResponse:
    """Stream runs as server-sent events: `list`, the result of `GET /api/runs`, and then `runs` with changes.

    `runs` has `changed`, a list of summaries, and `gone`, a list of namespace and name.
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
                return  # the page reconnects, and gets the error

    return stream(tell())


async def page_of_runs(visitor: User, wanted: RunFilter, before: str, limit: int) -> Runs:
    """Return `limit` matching runs that a user may see, after `before`. Raises SignedOut, ApiError."""
    found = sorted((await visitor.seen(visitor.state.jobs)).values(), key=order_of, reverse=True)
    if wanted != RunFilter():
        found = [job for job in found if wanted.takes(run_summary(job))]
    start = tuple(before.split("|")) if before else None
    rest = found if start is None else [job for job in found if order_of(job) < start]
    more = "|".join(order_of(rest[limit - 1])) if len(rest) > limit else ""
    return Runs(runs=[run_summary(job) for job in rest[:limit]], next=more, total=len(found))
