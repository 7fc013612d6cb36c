"""The operator inside this process, with a note of when it did what. The product has no switches for this."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import kopf

from podgraph.cluster.client import Client
from podgraph.cluster.reflector import PodReflector
from podgraph.operator import operate
from podgraph.planning.names import OP_ANNOTATION
from podgraph.planning.observe import Phase, observe

__all__ = ["Notes", "operator"]


@dataclass
class Notes:
    """Times (monotonic seconds), by namespace, Job and op or pod."""

    posted: dict[tuple[str, str], float] = field(default_factory=dict)
    """When the POST of a step's pod was about to be sent, by Job and op."""
    pod_of: dict[tuple[str, str], str] = field(default_factory=dict)
    """The pod's name, by Job and op."""
    ended: dict[str, float] = field(default_factory=dict)
    """When our own watch first told that a pod's container had ended, by pod."""
    known: asyncio.Condition = field(default_factory=asyncio.Condition)


@contextlib.asynccontextmanager
async def operator(info: kopf.ConnectionInfo, image: str) -> AsyncIterator[Notes]:
    """Run the operator for as long as the block runs."""
    notes = Notes()
    create, put = Client.create, PodReflector.put

    async def create_noted(self: Client, plural: str, manifest: dict[str, Any]) -> Any:
        op = (manifest["metadata"].get("annotations") or {}).get(OP_ANNOTATION)
        if plural == "pods" and op:
            key = (manifest["metadata"]["ownerReferences"][0]["name"], op)
            notes.posted.setdefault(key, time.monotonic())
            notes.pod_of.setdefault(key, manifest["metadata"]["name"])
        return await create(self, plural, manifest)

    def put_noted(self: PodReflector, pod: Any) -> None:
        if observe(pod).phase is Phase.ENDED:
            notes.ended.setdefault(pod.metadata.name, time.monotonic())
        put(self, pod)

    Client.create, PodReflector.put = create_noted, put_noted  # type: ignore[method-assign]
    stop = asyncio.Event()
    task = asyncio.create_task(operate(stop, image, info))
    try:
        await asyncio.sleep(2)  # for kopf to begin its watch
        if task.done():
            task.result()
        yield notes
    finally:
        Client.create, PodReflector.put = create, put  # type: ignore[method-assign]
        stop.set()
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            await asyncio.wait_for(task, 20)
