"""Server-sent events: how an open page is told of changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

__all__ = ["ALIVE", "BEAT_SECONDS", "TOGETHER_SECONDS", "event", "stream"]

BEAT_SECONDS = 15.0
"""How long nothing is told before :data:`ALIVE` is."""
TOGETHER_SECONDS = 0.1
"""Changes that come within it are told at once."""
ALIVE = b": still here\n\n"


def event(kind: str, data: Any) -> bytes:
    """Return one event.

    >>> event("gone", {"message": "it is deleted"})
    b'event: gone\\ndata: {"message":"it is deleted"}\\n\\n'
    """
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Return the answer that tells them; no proxy may hold them back."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
