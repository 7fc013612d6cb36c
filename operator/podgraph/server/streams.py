"""Server-sent events, which notify an open page of changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

__all__ = ["ALIVE", "BEAT_SECONDS", "TOGETHER_SECONDS", "event", "stream"]

BEAT_SECONDS = 15.0
"""How long to be silent before :data:`ALIVE` is sent, in seconds."""
TOGETHER_SECONDS = 0.1
"""Changes within this time are sent together, in seconds."""
ALIVE = b": still here\n\n"


def event(kind: str, data: Any) -> bytes:
    """Return one event.

    >>> event("gone", {"message": "it is deleted"})
    b'event: gone\\ndata: {"message":"it is deleted"}\\n\\n'
    """
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Return the response that streams them; proxies must not buffer it."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
