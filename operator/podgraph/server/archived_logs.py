"""Read the stored log of a step whose pod is gone (see planning/manifests/log_reader.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from podgraph.api import Object
from podgraph.cluster.client import ApiError
from podgraph.cluster.polling import looks
from podgraph.cluster.runtime_archive import build_archive
from podgraph.cluster.ui_client import UiClient
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.log_reader import Reading, ended, lost, reading, too_slow
from podgraph.planning.manifests.storage import SHOW_SECONDS
from podgraph.server.logs import own_words

__all__ = ["kept_log"]

_AT_ONCE = 5
_READERS: set[str] = set()
_DELETING: set[asyncio.Task[None]] = set()


async def kept_log(
    client: UiClient, job: Object, step: str, tail: int, left: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes]:
    """Yield the log of a step's last attempt: its last `tail` lines, or all when that is 0.

    `left` returns whether the client has disconnected. Raises DefinitionError when the storage cannot be read, ApiError
    when it has no such log.
    """
    if len(_READERS) >= _AT_ONCE:
        raise DefinitionError("TooMany", f"{_AT_ONCE} stored logs are already being read; try again in a moment")
    runtime = await asyncio.to_thread(build_archive)
    how = reading(job, [step], runtime.archive, runtime.digest)
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
    _READERS.add(how.name)
    uid = ""
    try:
        await client.put_config_map(how.config_map)
        uid = (await client.create_pod(how.pod)).metadata.uid
        if trouble := await _wait(client, namespace, how, uid, left):
            raise how.failure(name, trouble)
        found = False
        words = own_words(client.log_bytes(namespace, how.name, False, tail))
        async for part in _without_head(words, how.nonce.encode()):
            found = True
            yield part
        if not found:
            raise ApiError(404, "NoLog", f"the pod of step {step!r} is gone, and {lost(job)}")
    finally:
        _READERS.discard(how.name)
        # In a task of its own: nothing can be awaited here after the client has disconnected.
        if uid:
            task = asyncio.create_task(_delete(client, namespace, how.name, uid))
            _DELETING.add(task)
            task.add_done_callback(_DELETING.discard)


async def _wait(client: UiClient, namespace: str, how: Reading, uid: str, left: Callable[[], Awaitable[bool]]) -> str:
    """Wait until the pod has ended and return its error, or ""."""
    pod: Object = {}
    for pause in looks(SHOW_SECONDS):
        pod = await client.pod(namespace, how.name)
        if pod["metadata"]["uid"] != uid:
            return "the pod that reads the logs was deleted"
        if (trouble := ended(pod)) is not None:
            return trouble
        if await left():
            return "the client has disconnected"
        await asyncio.sleep(pause)
    return too_slow(pod)


async def _without_head(parts: AsyncIterator[bytes], nonce: bytes) -> AsyncIterator[bytes]:
    """Yield a log without the line that names its step. A log with that line only is an empty log."""
    head: bytes | None = b""
    async for part in parts:
        if head is None:
            yield part
            continue
        head += part
        first, newline, rest = head.partition(b"\n")
        if newline:
            yield rest if first.startswith(nonce) else head
            head = None
    if head:
        yield head


async def _delete(client: UiClient, namespace: str, name: str, uid: str) -> None:
    try:
        await client.delete_pod(namespace, name, uid)
    except ApiError:
        pass  # it ends after SHOW_SECONDS, and is deleted with its Job
