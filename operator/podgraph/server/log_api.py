"""Stream a step's log as text, from its pod or, when the pod is gone, from the Job's storage."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from podgraph.cluster.client import ApiError
from podgraph.planning.manifests.log_reader import has_run
from podgraph.server.archived_logs import kept_log
from podgraph.server.logs import attempts_of, own_words, why_none
from podgraph.server.models import Name, Namespace, Problems
from podgraph.server.users import READ_ONLY, SignedOut, only_shows, visitor_of

__all__ = ["log_api"]

_TAIL = 10_000  # lines that the page shows; a download has all of them
_FROM_STORAGE = "[from the Job's storage, because the step's pod is gone]\n"

_BEGIN_SECONDS, _PAUSE_SECONDS = 2.0, 0.1

log_api = APIRouter(prefix="/api/runs", responses={status: {"model": Problems} for status in (404, 422)})


@log_api.get("/{namespace}/{name}/log", response_class=StreamingResponse)
async def run_log(
    request: Request,
    namespace: Namespace,
    name: Name,
    step: Annotated[str, Query(max_length=253)],
    pod: Annotated[str, Query(max_length=253, description="the pod of an attempt; the last one when empty")] = "",
    follow: bool = False,
    download: bool = False,
) -> StreamingResponse:
    """Stream the log of a step's attempt as text: its last lines or, with `download`, all of it as a file.

    If the pod of the last attempt is gone, the log comes from the Job's storage; the header `X-Podgraph-Log` is then
    `storage` instead of `pod`.
    """
    visitor = visitor_of(request)
    job = await visitor.client.get_resource("jobs", namespace, name)
    found = attempts_of(await visitor.client.pods_of(namespace, job["metadata"]["uid"]), job)
    own = [item for item in found.get(step, []) if not item["ahead"]] or [i for i in found.get("", []) if i["all"]]
    named = [item for item in own if item["pod"] == pod] if pod else own[-1:]
    tail, begin, source = 0 if download else _TAIL, "", "pod"
    if named:
        where = named[0]["pod"], follow, tail, named[0]["container"]
        first, parts = await _begun(lambda: own_words(visitor.client.log_bytes(namespace, *where)))
    else:
        record = ((job.get("status") or {}).get("steps") or {}).get(step) or {}
        storage = (job.get("status") or {}).get("storage") or {}
        if pod or record.get("takenFrom") or not (storage.get("logs") and record and has_run(record)):
            raise ApiError(404, "NoLog", why_none(job, step))
        if only_shows(request):
            text = (
                f"the pod of step {step!r} is gone; reading its log from the Job's storage needs a pod, and {READ_ONLY}"
            )
            raise ApiError(403, "ReadOnly", text)
        parts = kept_log(visitor.client, job, step, tail, request.is_disconnected)
        begin, source = "" if download else _FROM_STORAGE, "storage"
        first = await anext(parts, b"")

    async def stream() -> AsyncIterator[bytes]:
        yield begin.encode() + first
        try:
            async for part in parts:
                visitor.check()
                yield part
        except (ApiError, SignedOut) as error:
            yield f"[the log broke off: {getattr(error, 'message', 'your session has ended')}]\n".encode()
        finally:
            await parts.aclose()

    headers = {"X-Accel-Buffering": "no", "X-Podgraph-Log": source}
    if download:
        file = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{name}-{step}")[:150]
        headers["Content-Disposition"] = f'attachment; filename="{file}.log"'
    return StreamingResponse(stream(), media_type="text/plain; charset=utf-8", headers=headers)


async def _begun(opened: Callable[[], AsyncGenerator[bytes]]) -> tuple[bytes, AsyncGenerator[bytes]]:
    """Return a log's first part, and the rest. A step may end before the kubelet reports that it started."""
    until = time.monotonic() + _BEGIN_SECONDS
    while True:
        parts = opened()
        try:
            return await anext(parts, b""), parts
        except ApiError as error:
            if error.status != 400 or time.monotonic() > until:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
