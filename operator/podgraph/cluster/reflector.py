"""Our own view of the pods: one list, one watch, and for each change a word to the controller.

kopf could watch them too, but costs a hundred times the CPU an event and never tells of pods that vanished while a
watch was broken. This one asks the server for our pods only, decodes the few fields we read, and after every break
lists again and compares.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import aiohttp
import msgspec

from podgraph.cluster.listwatch import Event, Expired, ListMeta, lines, pause_after, told, watching
from podgraph.cluster.paths import everywhere
from podgraph.planning.names import JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from podgraph.planning.pods import Pod

__all__ = ["PodReflector"]

_LOG = logging.getLogger(__name__)
_CHUNK = 500
_PODS = everywhere("v1", "pods")


class _PodList(msgspec.Struct):
    metadata: ListMeta
    items: list[Pod] = []


class PodReflector:
    """Keeps `pods`, by Job uid (or what else their `label` says) and pod name, equal to the cluster's.

    `on_change(job_uid, pod_name)` is called for each pod that came, changed or went; a pod that went stays in `pods`
    with `gone` set until :meth:`forget`, so that its last state can still be read.
    """

    def __init__(
        self, session: aiohttp.ClientSession, on_change: Callable[[str, str], None], label: str = JOB_UID_LABEL
    ) -> None:
        self.pods: dict[str, dict[str, Pod]] = {}
        self.synced = asyncio.Event()
        self.heard_at = time.monotonic()
        self._session = session
        self._on_change = on_change
        self._label = label
        self._query = {"labelSelector": f"{MANAGED_BY_LABEL}={MANAGED_BY},{label}"}
        self._version = ""
        self._failures = 0

    async def run(self) -> None:
        """List and watch until cancelled; no fault of the server or the network ends this."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except Expired:
                self._version = ""
            except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, OSError) as error:
                self._version = ""
                self._failures += 1
                pause = pause_after(self._failures)
                _LOG.warning("the watch of pods broke (%s); listing again in %.1f s", told(error), pause)
                await asyncio.sleep(pause)

    def of(self, job_uid: str) -> dict[str, Pod]:
        """Return the Job's pods by name."""
        return self.pods.get(job_uid, {})

    def put(self, pod: Pod) -> None:
        """Take in one pod's state, unless a later one is known: what a request answered may come behind the watch."""
        job = pod.metadata.labels.get(self._label, "")
        known = self.pods.setdefault(job, {})
        old = known.get(pod.metadata.name)
        if old is not None:
            same = old.metadata.resource_version == pod.metadata.resource_version
            if (same and old.gone == pod.gone) or _number(old) > _number(pod):
                return
        known[pod.metadata.name] = pod
        self._on_change(job, pod.metadata.name)

    def forget(self, job_uid: str) -> None:
        """Drop what is kept of a Job's pods."""
        self.pods.pop(job_uid, None)

    def forget_gone(self, job_uid: str, pod_name: str) -> None:
        """Drop a pod that is gone, of a Job that nobody works on: else pods of long ended Jobs would pile up."""
        known = self.pods.get(job_uid, {})
        if pod_name in known and known[pod_name].gone:
            del known[pod_name]
            if not known:
                del self.pods[job_uid]

    async def _list(self) -> None:
        seen: dict[tuple[str, str], str] = {}
        params = {**self._query, "limit": str(_CHUNK)}
        version, token = "", ""
        while True:
            query = {**params, **({"continue": token} if token else {})}
            async with self._session.get(_PODS.url, params=query) as answer:
                answer.raise_for_status()
                page = msgspec.json.decode(await answer.read(), type=_PodList)
            for pod in page.items:
                seen[pod.metadata.labels.get(self._label, ""), pod.metadata.name] = pod.metadata.uid
                self.put(pod)
            version, token = page.metadata.resource_version, page.metadata.continue_
            if not token:
                break
        for job, pods in list(self.pods.items()):
            for name, pod in list(pods.items()):
                # One that is newer than the list was made after it; the watch will tell of it.
                if seen.get((job, name)) != pod.metadata.uid and _number(pod) <= int(version or 0):
                    self._went(pod)
        self._version = version
        self.heard_at = time.monotonic()
        self.synced.set()

    async def _watch(self) -> None:
        async with watching(self._session, _PODS, self._query, self._version) as answer:
            answer.raise_for_status()
            async for line in lines(answer.content):
                self._take(msgspec.json.decode(line, type=Event))

    def _take(self, event: Event) -> None:
        self.heard_at = time.monotonic()
        self._failures = 0  # the line works; if it breaks again, that is a new trouble
        if event.type == "ERROR":
            _LOG.info("the watch of pods ended: %s", bytes(event.object)[:300].decode(errors="replace"))
            raise Expired
        pod = msgspec.json.decode(event.object, type=Pod)
        self._version = pod.metadata.resource_version or self._version
        if event.type == "DELETED":
            self._went(pod)
        elif event.type != "BOOKMARK":
            self.put(pod)

    def _went(self, pod: Pod) -> None:
        self.put(msgspec.structs.replace(pod, gone=True))


def _number(pod: Pod) -> int:
    """Return the pod's resource version, which Kubernetes lets clients compare as a number (KEP-5504)."""
    version = pod.metadata.resource_version
    return int(version) if version.isdigit() else 0
