"""Our view of the pods: one list, one watch, and a notification of the controller for each change.

kopf could watch pods too, but needs a hundred times the CPU per event and does not report pods that vanished while a
watch was broken. This reflector selects only our pods, decodes only the fields we read, and lists again and compares
after every break.

Labels select pods but prove nothing: anyone can set them on a pod in any namespace. A pod counts if our own create
returned its UID, or if it existed before its owner was adopted, in the owner's namespace and with the owner as its
controller. All other pods are ignored and counted, and nothing of them is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

import aiohttp
import msgspec

from podgraph.cluster.errors import ApiError
from podgraph.cluster.listwatch import ListWatch
from podgraph.cluster.paths import Query, core, everywhere
from podgraph.planning.model.names import JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from podgraph.planning.model.owner import Owner
from podgraph.planning.pods.types import Pod, controller_of, doubt

__all__ = ["PodReflector"]

_KINDS = ("Job", "JobDefinition", "JobSensor")


class _Place(ListWatch[Pod]):
    """A scope of the watch: one namespace, or "" for the whole cluster. Each has its own resource version."""

    page_size = 500

    def __init__(self, view: PodReflector, session: aiohttp.ClientSession, namespace: str, query: Query) -> None:
        path = core(namespace, "pods") if namespace else everywhere("v1", "pods")
        super().__init__(session, path, Pod, f"pods in namespace {namespace}" if namespace else "pods", query)
        self.namespace = namespace
        self.heard_at = time.monotonic()
        self.listed = asyncio.Event()
        self.asked = False
        self._view = view
        self._seen: set[str] = set()
        if not namespace:
            self.refused_seconds = float("inf")  # all is lost then, and nothing else goes on

    def broke(self, error: Exception, pause: float) -> None:
        """Do not wait for a namespace that is refused: the others go on, and the server is heard."""
        if self.namespace and isinstance(error, ApiError) and error.status in (403, 404):
            self._answered()
        super().broke(error, pause)

    def list_begins(self) -> None:
        """Begin to note what the list has."""
        self._seen = set()

    def list_page(self, items: Sequence[Pod]) -> None:
        """Take in a page of the list."""
        for pod in items:
            self._seen.add(pod.metadata.uid)
            self._view.take(pod, True)

    def list_ends(self, version: str) -> None:
        """Take in what is gone."""
        self._view.take_gone(self.namespace, self._seen, int(version or 0))
        self._seen = set()
        self.listed.set()
        self._answered()

    def heard(self) -> None:
        """Note that the watch is alive."""
        self.heard_at = time.monotonic()

    def changed(self, event: str, item: Pod) -> None:
        """Take in one pod."""
        gone = event == "DELETED"
        self._view.take(msgspec.structs.replace(item, gone=True) if gone else item, event == "ADDED")

    def _answered(self) -> None:
        self.heard_at = time.monotonic()
        self.asked = True
        self._view.place_answered()


class _Owned:
    """The state of one owner.

    `making` has the names of pods that we are creating, each with the last pod of that name from the watch: the watch
    may report a pod before the response to our request arrives.
    """

    __slots__ = ("making", "owner", "pods", "strangers")

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.pods: dict[str, Pod] = {}
        self.making: dict[str, Pod | None] = {}
        self.strangers = False


class PodReflector:
    """Keeps the result of :meth:`of` equal to the cluster's pods, by Job UID (or the value of another `label`).

    With `namespaces`, only these are watched, each separately. A namespace that does not exist, or in which the
    operator lacks permissions, has no pods until that changes.

    Calls `on_change(job_uid, pod_name)` for each pod that was created, changed or deleted. A deleted pod stays, with
    `gone` set, until :meth:`forget`, so that its last state can still be read.

    Pods whose owner is not adopted yet are separate (:meth:`unclaimed`) and reported by `on_unclaimed`; `owner_of`
    may already know the owner, by the label. `ignored(kind, reason)` counts pods that are not ours.
    """

    def __init__(
        self, session: aiohttp.ClientSession, on_change: Callable[[str, str], None], label: str = JOB_UID_LABEL,
        owner_of: Callable[[str], Owner | None] = lambda _: None, namespaces: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.synced = asyncio.Event()
        self.ignored: Callable[[str, str], None] = lambda kind, reason: None
        self.on_unclaimed: Callable[[str, Pod], None] = lambda uid, pod: on_change(uid, pod.metadata.name)
        self._owned: dict[str, _Owned] = {}
        self._unclaimed: dict[str, dict[str, Pod]] = {}  # by uid: two may have one name, in two namespaces
        self._on_change = on_change
        self._owner_of = owner_of
        self._label = label
        query = {"labelSelector": f"{MANAGED_BY_LABEL}={MANAGED_BY},{label}"}
        self._places = [_Place(self, session, namespace, query) for namespace in namespaces or ("",)]

    @property
    def last_event_at(self) -> float:
        """The time since which at least one of the watches has been silent."""
        return min(place.heard_at for place in self._places)

    async def run(self) -> None:
        """List and watch until cancelled, across all errors of the server and the network."""
        async with asyncio.TaskGroup() as group:
            for place in self._places:
                group.create_task(place.run())

    async def listed(self, namespace: str) -> None:
        """Wait until the pods of a watched namespace are listed."""
        await next(place for place in self._places if place.namespace in ("", namespace)).listed.wait()

    def place_answered(self) -> None:
        """Note that one of the places was listed or refused; when all were, the view is synced."""
        if all(place.asked for place in self._places):
            self.synced.set()

    # --- whose pods they are

    def adopt(self, job_uid: str, owner: Owner) -> None:
        """Adopt an owner: take over its existing pods; later, only pods that we create count."""
        if job_uid in self._owned:
            return
        owned = self._owned[job_uid] = _Owned(owner)
        for pod in self._unclaimed.pop(job_uid, {}).values():
            if reason := doubt(pod.metadata, owner):
                self._ignore(owned, reason)
            else:
                owned.pods[pod.metadata.name] = pod

    def making(self, job_uid: str, pod_name: str) -> None:
        """Announce that a pod is being created; call :meth:`put` or :meth:`not_made` afterwards."""
        if job_uid in self._owned:
            self._owned[job_uid].making.setdefault(pod_name, None)

    def not_made(self, job_uid: str, pod_name: str) -> None:
        """Report that a pod was not created after all."""
        if job_uid in self._owned:
            self._owned[job_uid].making.pop(pod_name, None)

    def put(self, job_uid: str, pod: Pod) -> None:
        """Store a pod of a Job from the response to our request. The watch may have reported it earlier."""
        owned, name = self._owned.get(job_uid), pod.metadata.name
        if owned is None:  # it was forgotten in the meantime
            self._keep_apart(job_uid, pod)
            return
        seen = owned.making.pop(name, None)
        if seen is not None and _number(seen) > _number(pod):
            # Names are unique in a namespace, so a later pod with another UID means that ours is gone.
            same = seen.metadata.uid == pod.metadata.uid
            if not same:
                self._ignore(owned, "NotMade")
            pod = seen if same else msgspec.structs.replace(pod, gone=True)
        self._take_over(owned, job_uid, pod)

    # --- reading

    def of(self, job_uid: str) -> dict[str, Pod]:
        """Return the pods of an adopted Job by name."""
        owned = self._owned.get(job_uid)
        return owned.pods if owned is not None else {}

    def unclaimed(self, job_uid: str, owner: Owner | None = None) -> list[Pod]:
        """Return the pods of an owner that is not adopted, without pods of others that have its label."""
        found = self._unclaimed.get(job_uid, {}).values()
        return [pod for pod in found if owner is None or not doubt(pod.metadata, owner)]

    def has_strangers(self, job_uid: str) -> bool:
        """Whether foreign pods with the label of an adopted Job were seen."""
        return job_uid in self._owned and self._owned[job_uid].strangers

    def knows(self, job_uid: str) -> bool:
        """Whether anything is kept for a Job."""
        return job_uid in self._owned or job_uid in self._unclaimed

    def forget(self, job_uid: str) -> None:
        """Drop the state of a Job and its pods."""
        self._owned.pop(job_uid, None)
        self._unclaimed.pop(job_uid, None)

    def release(self, job_uid: str) -> None:
        """Release an owner; its pods are treated as unclaimed from now on."""
        owned = self._owned.pop(job_uid, None)
        for pod in filter(None, owned.making.values() if owned is not None else ()):
            self._keep_apart(job_uid, pod)

    def forget_gone(self, job_uid: str, pod_name: str) -> None:
        """Drop a pod that is gone, so that unread pods do not accumulate."""
        known = self.of(job_uid)
        if pod_name in known and known[pod_name].gone:
            del known[pod_name]

    # --- events of the cluster

    def take_gone(self, namespace: str, listed: Collection[str], version: int) -> None:
        """Take in that the pods of a namespace (all with "") that a list of this version does not have are gone."""
        for pod in self._all():
            if namespace not in ("", pod.metadata.namespace):
                continue
            # A pod newer than the list was created after it; the watch will report it.
            if pod.metadata.uid not in listed and _number(pod) <= version:
                self.take(msgspec.structs.replace(pod, gone=True), False)

    def _all(self) -> list[Pod]:
        found = [pod for pods in self._unclaimed.values() for pod in pods.values()]
        for owned in self._owned.values():
            found += owned.pods.values()
            found += filter(None, owned.making.values())
        return found

    def take(self, pod: Pod, first: bool) -> None:
        """Take in a pod with our label if it is ours; one that is not is counted when it is seen the `first` time."""
        label, name = pod.metadata.labels.get(self._label, ""), pod.metadata.name
        owned = self._owned.get(label)
        if owned is None:
            self._keep_apart(label, pod, first)
            return
        known = owned.pods.get(name)
        if known is not None and known.metadata.uid == pod.metadata.uid:
            self._take_over(owned, label, pod)
            return
        reason = doubt(pod.metadata, owned.owner)
        if not reason and name in owned.making:
            seen = owned.making[name]
            if seen is None or _number(seen) <= _number(pod):
                owned.making[name] = pod
        elif first:
            self._ignore(owned, reason or "NotMade")

    def _keep_apart(self, label: str, pod: Pod, first: bool = False) -> None:
        """Keep a pod for an owner that may be adopted later. Kubernetes deletes pods whose owner does not exist."""
        owner, controller = self._owner_of(label), controller_of(pod.metadata)
        if owner is not None:
            reason = doubt(pod.metadata, owner)
        elif controller is None or controller.kind not in _KINDS:
            reason = "NoController"
        else:
            reason = "OtherController" if self._label == JOB_UID_LABEL and controller.uid != label else ""
        uid, kept = pod.metadata.uid, self._unclaimed.get(label, {})
        if reason or pod.gone:
            if reason and first:
                self.ignored("Pod", reason)
            if kept.pop(uid, None) is not None and not kept:
                del self._unclaimed[label]
            return
        if uid not in kept or _number(kept[uid]) <= _number(pod):
            self._unclaimed.setdefault(label, kept)[uid] = pod
            self.on_unclaimed(label, pod)

    def _take_over(self, owned: _Owned, label: str, pod: Pod) -> None:
        """Store the state of one of our pods, unless a later state is known."""
        old = owned.pods.get(pod.metadata.name)
        if old is not None and old.metadata.uid == pod.metadata.uid:
            same = old.metadata.resource_version == pod.metadata.resource_version
            if (same and old.gone == pod.gone) or _number(old) > _number(pod):
                return
        owned.pods[pod.metadata.name] = pod
        self._on_change(label, pod.metadata.name)

    def _ignore(self, owned: _Owned, reason: str) -> None:
        owned.strangers = True
        self.ignored("Pod", reason)


def _number(pod: Pod) -> int:
    """Return the pod's resource version, which clients may compare as a number (KEP-5504)."""
    version = pod.metadata.resource_version
    return int(version) if version.isdigit() else 0
