"""What the measurements share: a session with the API server, a namespace of their own, rounds by turns."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec

from cluster.kube import Kube, job_manifest

__all__ = ["IMAGE", "World", "in_turns", "op", "say"]

IMAGE = "busybox:1"
WAIT_SECONDS = 600
_JOBS = "/apis/podgraph.dev/v1alpha1/namespaces/{}/jobs"
_DEFINITIONS = "/apis/podgraph.dev/v1alpha1/namespaces/{}/jobdefinitions"
# What the API server and the scheduler add to a pod's spec.
_ADDED = ("nodeName", "serviceAccount", "serviceAccountName", "preemptionPolicy", "priority")

T = TypeVar("T")


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
    """One API server and one namespace of it; `folder` is for files, `image` runs Python ops."""

    session: aiohttp.ClientSession
    kube: Kube
    folder: Path
    image: str
    quick: bool

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
            if answer.status >= 300:
                raise RuntimeError(f"POST {path}: {answer.status} {(await answer.text())[:500]}")
            return await answer.json()

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        async with self.session.get(path, params=params) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def version(self, path: str) -> str:
        """Return the resource version from which a watch of a list tells all that comes."""
        return (await self.get(path, limit="1"))["metadata"]["resourceVersion"]

    async def lines(self, path: str, **params: str) -> AsyncGenerator[bytes, None]:
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

    async def watch(self, path: str, **params: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the objects under `path` as they are and as they change."""
        async for line in self.lines(path, **params):
            yield msgspec.json.decode(line)["object"]

    async def job(self, name: str) -> dict[str, Any]:
        return await self.get(f"{self.jobs_path}/{name}")

    async def run_job(self, name: str, **spec: Any) -> tuple[float, float]:
        """Run a Job to its end; return when it was sent and when it was seen to have ended."""
        return await self.run_jobs([job_manifest(name, **spec)])

    async def run_jobs(self, manifests: list[dict[str, Any]]) -> tuple[float, float]:
        """Send Jobs at once and wait until each has succeeded; return when the first was sent and the last ended."""
        waiting = {manifest["metadata"]["name"] for manifest in manifests}
        version = await self.version(self.jobs_path)
        sent = time.monotonic()
        posts = asyncio.gather(*(self.post(self.jobs_path, manifest) for manifest in manifests))
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
        ended = time.monotonic()
        await posts
        return sent, ended

    async def define(self, name: str, **spec: Any) -> None:
        """Make a JobDefinition and wait until it is resolved."""
        path = _DEFINITIONS.format(self.namespace)
        await self.post(path, {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition",
                               "metadata": {"name": name}, "spec": spec})  # fmt: skip
        end = time.monotonic() + 60
        while time.monotonic() < end:
            status = (await self.get(f"{path}/{name}")).get("status", {})
            if any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())):
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(f"the definition {name} was not resolved: {status}")

    async def pods_of(self, job: str) -> dict[str, list[dict[str, Any]]]:
        """Return a Job's pods by op, those that run none under ""."""
        found: dict[str, list[dict[str, Any]]] = {}
        for pod in (await self.get(self.pods_path, labelSelector=f"podgraph.dev/job={job}"))["items"]:
            found.setdefault(pod["metadata"].get("annotations", {}).get("podgraph.dev/op", ""), []).append(pod)
        return found

    async def step_spec(self, name: str, op: str, **spec: Any) -> dict[str, Any]:
        """Run a Job, which is a warm-up too; return the spec that the operator gave the pod of one of its steps."""
        await self.run_job(name, **spec, execution={"podRetention": "Always", "prestart": 0})
        [pod] = (await self.pods_of(name))[op]
        return {key: value for key, value in pod["spec"].items() if key not in _ADDED}

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
        await asyncio.sleep(0.5)


_NONE = _Condition("", "")


async def in_turns(rounds: int, *turns: Callable[[int], Awaitable[T]]) -> list[list[T]]:
    """Take each turn once a round, in the other order each time: the machine's slower times meet all, none is first."""
    found: list[list[T]] = [[] for _ in turns]
    for at in range(rounds):
        order = list(zip(found, turns, strict=True))
        for kept, turn in reversed(order) if at % 2 else order:
            kept.append(await turn(at))
    return found


def op(name: str, *after: str) -> dict[str, Any]:
    """Return a container op that does nothing."""
    return {"name": name, "image": IMAGE, "command": ["true"], **({"after": list(after)} if after else {})}


def say(text: str) -> None:
    print(text, flush=True)
