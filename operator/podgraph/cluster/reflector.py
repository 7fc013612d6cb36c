"""Our own view of the pods: one list, one watch, and for each change a word to the controller.

kopf could watch them too, but costs a hundred times the CPU an event and never tells of pods that vanished while a
watch was broken. This one asks the server for our pods only, decodes the few fields we read, and after every break
lists again and compares.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import aiohttp
import msgspec

from podgraph.cluster.listwatch import Event, Expired, ListMeta, lines, pause_after, told, watching
from podgraph.planning.names import JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from podgraph.planning.pods import Pod

__all__ = ["PodReflector"]

_LOG = logging.getLogger(__name__)
_CHUNK = 500
_REFUSED_SECONDS = 5.0  # a namespace and the rights in it come while we wait


class _PodList(msgspec.Struct):
    metadata: ListMeta
    items: list[Pod] = []


class _Place:
    """Where pods are watched: one namespace, or with "" the whole cluster. Each has a resource version of its own."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        self.version = ""
        self.failures = 0
        self.heard_at = time.monotonic()
        self.listed = asyncio.Event()
        self.asked = False


class PodReflector:
    """Keeps `pods`, by Job uid (or what else their `label` says) and pod name, equal to the cluster's.

    With `namespaces` only these are watched, each by itself. One that does not exist, or in which the operator has no
    rights, has no pods until that changes.

    `on_change(job_uid, pod_name)` is called for each pod that came, changed or went; a pod that went stays in `pods`
    with `gone` set until :meth:`forget`, so that its last state can still be read.
    """

    def __init__(
        self, session: aiohttp.ClientSession, on_change: Callable[[str, str], None], label: str = JOB_UID_LABEL,
        namespaces: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.pods: dict[str, dict[str, Pod]] = {}
        self.synced = asyncio.Event()
        self._places = [_Place(namespace) for namespace in namespaces or ("",)]
        self._session = session
        self._on_change = on_change
        self._label = label
        self._query = {"labelSelector": f"{MANAGED_BY_LABEL}={MANAGED_BY},{label}"}

    @property
    def heard_at(self) -> float:
        """Since when at least one of the watches has been silent."""
        return min(place.heard_at for place in self._places)

    async def run(self) -> None:
        """List and watch until cancelled; no fault of the server or the network ends this."""
        async with asyncio.TaskGroup() as group:
            for place in self._places:
                group.create_task(self._follow(place))

    async def listed(self, namespace: str) -> None:
        """Wait until the pods of a watched namespace are known."""
        await next(place for place in self._places if place.namespace in ("", namespace)).listed.wait()

    async def _follow(self, place: _Place) -> None:
        while True:
            try:
                if not place.version:
                    await self._list(place)
                await self._watch(place)
            except Expired:
                place.version = ""
            except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, OSError) as error:
                place.version = ""
                place.failures += 1
                await asyncio.sleep(self._pause(place, error))

    def _pause(self, place: _Place, error: Exception) -> float:
        """Log what went wrong, and return the seconds until the next try."""
        pause = pause_after(place.failures)
        if not place.namespace:
            _LOG.warning("the watch of pods broke (%s); listing again in %.1f s", told(error), pause)
            return pause
        if getattr(error, "status", 0) in (403, 404):  # the others go on, and the server is heard
            place.heard_at = time.monotonic()
            self._asked(place)
            pause = min(pause, _REFUSED_SECONDS)
        text = "the watch of pods in namespace %s broke (%s); listing again in %.1f s"
        _LOG.warning(text, place.namespace, told(error), pause)
        return pause

    def _asked(self, place: _Place) -> None:
        place.asked = True
        if all(other.asked for other in self._places):
            self.synced.set()

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

    async def _list(self, place: _Place) -> None:
        seen: dict[tuple[str, str], str] = {}
        params = {**self._query, "limit": str(_CHUNK)}
        version, token = "", ""
        while True:
            query = {**params, **({"continue": token} if token else {})}
            async with self._session.get(place.path, params=query) as answer:
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
                if place.namespace not in ("", pod.metadata.namespace):
                    continue
                # One that is newer than the list was made after it; the watch will tell of it.
                if seen.get((job, name)) != pod.metadata.uid and _number(pod) <= int(version or 0):
                    self._went(pod)
        place.version = version
        place.heard_at = time.monotonic()
        place.listed.set()
        self._asked(place)

    async def _watch(self, place: _Place) -> None:
        async with watching(self._session, place.path, self._query, place.version) as answer:
            answer.raise_for_status()
            async for line in lines(answer.content):
                self._take(place, msgspec.json.decode(line, type=Event))

    def _take(self, place: _Place, event: Event) -> None:
        place.heard_at = time.monotonic()
        place.failures = 0  # the line works; if it breaks again, that is a new trouble
        if event.type == "ERROR":
            _LOG.info("the watch of pods ended: %s", bytes(event.object)[:300].decode(errors="replace"))
            raise Expired
        pod = msgspec.json.decode(event.object, type=Pod)
        place.version = pod.metadata.resource_version or place.version
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
