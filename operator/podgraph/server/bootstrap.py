"""Data embedded in the HTML, so that the page can render before its first request."""

from __future__ import annotations

import asyncio
import contextlib
import json

from fastapi import HTTPException, Request

from podgraph.cluster.client import ApiError
from podgraph.server.run_list import page_of_runs
from podgraph.server.sessions import session_of
from podgraph.server.state import State
from podgraph.server.summaries import RunFilter
from podgraph.server.users import SignedOut
from podgraph.server.views import Runs, Session

__all__ = ["told_with"]

_LISTS = ("", "runs")
_RUNS = 60  # more than fit on a screen
_SECONDS = 0.3


async def told_with(request: Request, path: str) -> str:
    """Return JSON for a data block of the page at `path`: `session` and, for the list of runs, its start as `runs`.

    Data that is not available at once is null; the page then requests it.
    """
    session: Session | None = None
    runs: Runs | None = None
    with contextlib.suppress(HTTPException):
        session = session_of(request)
        if path in _LISTS and not request.url.query and session["user"] is not None:
            runs = await _runs(request)
    told = json.dumps({"session": session, "runs": runs}, ensure_ascii=False, separators=(",", ":"))
    return told.replace("<", "\\u003c")  # otherwise a value could close the block


async def _runs(request: Request) -> Runs | None:
    state: State = request.app.state.podgraph
    if not state.jobs.synced.is_set():
        return None
    with contextlib.suppress(ApiError, SignedOut, TimeoutError):
        async with asyncio.timeout(_SECONDS):
            return await page_of_runs(state.auth.visitor(request, state), RunFilter(), "", _RUNS)
    return None
