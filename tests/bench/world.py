"""What the measurements share: a session with the API server, and a namespace of their own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from cluster.kube import Kube, job_manifest

__all__ = ["IMAGE", "World", "chain", "op", "say"]

IMAGE = "busybox:1"
WAIT_SECONDS = 300
_JOBS = "/apis/podgraph.dev/v1alpha1/namespaces/{}/jobs"


class _Condition(msgspec.Struct, frozen=True):
    type: str
    status: str
    message: str = ""


class _Status(msgspec.Struct, frozen=True):
    conditions: list[_Condition] = []


class _Meta(msgspec.Struct):
    name: str


class _Job(msgspec.Struct):
    metadata: _Meta
    status: _Status = _Status()


class _Seen(msgspec.Struct):
    object: _Job


@dataclass(frozen=True)
class World:
    """One API server and one namespace of it."""

    session: aiohttp.ClientSession
    kube: Kube

    @property
    def namespace(self) -> str:
        return self.kube.namespace

    @property
    def pods_path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def jobs_path(self) -> str:
        return _JOBS.format(self.namespace)

    async def post(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        async with self.session.post(path, json=manifest) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        async with self.session.get(path, params=params) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def lines(self, path: str, **params: str) -> AsyncIterator[bytes]:
        """Yield the events of a watch as they come, not decoded: what is of interest is often little of each."""
        timeout = aiohttp.ClientTimeout(total=WAIT_SECONDS)
        async with self.session.get(path, params={"watch": "1", **params}, timeout=timeout) as answer:
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
        raise TimeoutError(f"the watch of {path} ended")

    async def watch(self, path: str, **params: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects under `path` as they are and as they change."""
        async for line in self.lines(path, **params):
            yield msgspec.json.decode(line)["object"]

    async def run_job(self, name: str, ops: list[dict[str, Any]], **spec: Any) -> float:
        """Run a Job to its end and return when it was sent."""
        return (await self.run_jobs([job_manifest(name, ops=ops, **spec)]))[0]

    async def run_jobs(self, manifests: list[dict[str, Any]]) -> tuple[float, float]:
        """Send Jobs at once and wait until each has succeeded; return when the first was sent and the last ended."""
        waiting = {manifest["metadata"]["name"] for manifest in manifests}
        version = (await self.get(self.jobs_path, limit="1"))["metadata"]["resourceVersion"]
        sent = time.monotonic()
        await asyncio.gather(*(self.post(self.jobs_path, manifest) for manifest in manifests))
        async with contextlib.aclosing(self.lines(self.jobs_path, resourceVersion=version)) as seen:
            async for line in seen:
                job = msgspec.json.decode(line, type=_Seen).object
                told = {c.type: c for c in job.status.conditions}
                if job.metadata.name in waiting and told.get("Finished", _NONE).status == "True":
                    if told["Succeeded"].status != "True":
                        raise RuntimeError(f"job {job.metadata.name} failed: {told['Succeeded'].message}")
                    waiting.discard(job.metadata.name)
                    if not waiting:
                        break
        return sent, time.monotonic()

    async def pods(self) -> list[dict[str, Any]]:
        return (await self.get(self.pods_path))["items"]

    async def clear(self, grace: str = "") -> None:
        """Delete what a round left, and wait until the nodes are done with it (a forced deletion would not wait)."""
        for path in (self.jobs_path, self.pods_path):
            async with self.session.delete(
                path, params={"gracePeriodSeconds": grace} if grace else {}, timeout=aiohttp.ClientTimeout(total=120)
            ) as answer:
                answer.raise_for_status()
        end = time.monotonic() + WAIT_SECONDS
        while (await self.get(self.pods_path, limit="1"))["items"]:
            if time.monotonic() > end:
                raise TimeoutError("the pods of a round did not go")
            await asyncio.sleep(0.2)
        await asyncio.sleep(1)


_NONE = _Condition("", "")


def op(name: str, after: str = "") -> dict[str, Any]:
    """Return a container op that does nothing."""
    return {"name": name, "image": IMAGE, "command": ["true"], **({"after": [after]} if after else {})}


def chain(count: int) -> list[dict[str, Any]]:
    return [op(f"s{at}", f"s{at - 1}" if at else "") for at in range(count)]


def say(text: str) -> None:
    print(text, flush=True)
