"""The handful of API calls the operator makes, with their errors sorted into those that pass and those that stay."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
from multidict import CIMultiDict

from podgraph.backoff import ExponentialBackoff
from podgraph.cluster.concurrency_window import ConcurrencyWindow
from podgraph.cluster.decoding import decode
from podgraph.cluster.errors import ApiError, error_of
from podgraph.cluster.ownership import KINDS, difference
from podgraph.cluster.paths import OURS, ApiPath, Query, core, of_version, ours
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.names import CONTAINER, JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from podgraph.planning.model.owner import Owner
from podgraph.planning.pods.types import Meta, Pod, doubt

__all__ = ["ApiError", "Client"]

_ATTEMPTS = 5
_BACKOFF = ExponentialBackoff(0.2, 30.0, jitter=(0.5, 1.0))
_DELETED_AT_ONCE = 250
_LOG_SILENCE_SECONDS = 300  # then the connection may be dead, and another finds out
_LOG_LINE = 256 * 1024
_PLURALS = {"Job": "jobs", "JobDefinition": "jobdefinitions"}
# A Job can be large; of the answer to a write only its metadata matters.
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class _OwnedMeta(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""
    finalizers: list[str] = []


class _Owned(msgspec.Struct):
    metadata: _OwnedMeta


class _HasMeta(msgspec.Struct):
    metadata: Meta


class _PodPage(msgspec.Struct):
    items: list[Pod]


class _PageMeta(msgspec.Struct):
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    metadata: _PageMeta


class Client:
    """Calls for one API server; `session` is made by cluster.connection, `headers` are sent with each request.

    `namespaces` are those that are listed and watched, the whole cluster when there are none.
    """

    final: Collection[int] = ()
    """More statuses that are not asked about again."""
    ignored: Callable[[str, str], None] = staticmethod(lambda kind, reason: None)
    """Counts what has the name of an object of ours but is not ours, by kind and reason."""

    def __init__(
        self, session: aiohttp.ClientSession, headers: Iterable[tuple[str, str]] = (), namespaces: Sequence[str] = ()
    ) -> None:
        self.session, self.namespaces = session, tuple(namespaces)
        self.headers = CIMultiDict(headers)
        self._creating = ConcurrencyWindow()

    async def create_pod(self, manifest: dict[str, Any]) -> Pod:
        """Create a pod as :meth:`create` does and return it as it is now."""
        return msgspec.json.decode(await self.create("pods", manifest), type=Pod)

    async def try_pod(self, manifest: dict[str, Any]) -> None:
        """Let the API server do all that creating a pod takes but for the creation. Unknown fields are errors too."""
        meta = manifest["metadata"]
        path, query = core(meta["namespace"], "pods"), {"dryRun": "All", "fieldValidation": "Strict"}
        async with self._creating.turn(meta["ownerReferences"][0]["uid"], meta["namespace"]):
            await self._request("POST", path, manifest, query=query, window=self._creating)

    async def create(self, plural: str, manifest: dict[str, Any], any_content: bool = False) -> bytes:
        """Create a core object and return it as JSON. That it exists already is success when it is the same.

        So a create whose answer was lost can simply be done again. Raises ApiError; `AlreadyExists` means that the
        name is taken by an object that is not ours (see :func:`difference`). A conflict that passes is not `permanent`:
        a quota whose count has just changed, or an object of another owner that is being deleted.
        """
        meta = manifest["metadata"]
        path = core(meta["namespace"], plural)
        own = {owner["uid"] for owner in meta.get("ownerReferences", ())}
        async with self._creating.turn(next(iter(own), ""), meta["namespace"]):
            try:
                return await self._request("POST", path, manifest, window=self._creating)
            except ApiError as error:
                if error.reason == "Conflict":
                    raise ApiError(0, "Conflict", error.message) from None
                if error.reason != "AlreadyExists":
                    raise
                if plural == "events":  # its name tells what it says
                    return b""
                return await self._existing(plural, manifest, any_content, error)

    async def _existing(self, plural: str, manifest: dict[str, Any], any_content: bool, refusal: ApiError) -> bytes:
        """Return the object that stands in the way of one of ours, if it is that one. Raises ApiError."""
        meta = manifest["metadata"]
        try:
            existing = await self._request("GET", core(meta["namespace"], plural, meta["name"]))
        except ApiError as error:
            if error.status == 404:  # it went meanwhile
                raise ApiError(0, "Conflict", refusal.message) from None
            raise
        reason = difference(plural, manifest, msgspec.json.decode(existing), any_content)
        if not reason:
            return existing
        if msgspec.json.decode(existing, type=_HasMeta).metadata.deletion_timestamp:
            raise ApiError(0, "Conflict", refusal.message)
        self.ignored(KINDS.get(plural, "Other"), reason)
        message = f"{refusal.message}, and it is not what this operator makes ({reason}); delete it"
        raise ApiError(refusal.status, refusal.reason, message)

    async def create_secret(self, manifest: dict[str, Any]) -> None:
        """Create a Secret under a name that nobody else can know: that it exists already is success. Raises ApiError.

        It is never read back, so that the operator needs no right to read Secrets.
        """
        try:
            await self._request("POST", core(manifest["metadata"]["namespace"], "secrets"), manifest)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def shared_secret(self, manifest: dict[str, Any]) -> dict[str, str]:
        """Create a Secret if there is none of its name; return the data of the one that is there. Raises ApiError."""
        path = core(manifest["metadata"]["namespace"], "secrets", manifest["metadata"]["name"])
        try:
            answer = await self._request("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            await self.create_secret(manifest)  # of two operators that start at once the first one's counts
            answer = await self._request("GET", path)
        return dict(msgspec.json.decode(answer).get("data") or {})

    async def exists(self, plural: str, namespace: str, name: str) -> bool:
        """Whether there is a core object of this name."""
        try:
            await self._request("GET", core(namespace, plural, name), accept=_METADATA)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def owned_pods(self, owner: Owner) -> list[Pod]:
        """Return the pods of a Job as the cluster itself has them now."""
        query = {"labelSelector": f"{JOB_UID_LABEL}={owner.uid}"}
        answer = await self._request("GET", core(owner.namespace, "pods"), query=query)
        return [pod for pod in msgspec.json.decode(answer, type=_PodPage).items if not doubt(pod.metadata, owner)]

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        """Return a pod as it is now, or None when there is none."""
        try:
            answer = await self._request("GET", core(namespace, "pods", name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return msgspec.json.decode(answer, type=Pod)

    async def assign_pod(
        self, namespace: str, name: str, uid: str, annotations: Mapping[str, str], labels: Mapping[str, str]
    ) -> Pod:
        """Put annotations and labels on the pod of this uid; return it as it is now."""
        body = {"metadata": {"uid": uid, "annotations": annotations, "labels": labels}}
        answer = await self._request("PATCH", core(namespace, "pods", name), body)
        return msgspec.json.decode(answer, type=Pod)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete the pod of this uid; that it is gone already, or another has its name, is success."""
        body = {"preconditions": {"uid": uid}}
        try:
            await self._request("DELETE", core(namespace, "pods", name), body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def delete_succeeded_pods(self, namespace: str, job_uid: str) -> None:
        """Delete all pods of a Job that have succeeded, in a few requests however many there are.

        It takes all with the labels that the reflector watches, so whether others than ours have them is known there.
        """
        query = {
            "labelSelector": f"{MANAGED_BY_LABEL}={MANAGED_BY},{JOB_UID_LABEL}={job_uid}",
            "fieldSelector": "status.phase=Succeeded",
            "limit": str(_DELETED_AT_ONCE),
        }
        token = ""
        while True:
            more = {"continue": token} if token else {}
            answer = await self._request("DELETE", core(namespace, "pods"), query=query | more, accept=_METADATA_LIST)
            token = msgspec.json.decode(answer, type=_Page).metadata.continue_
            if not token:
                return

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete the Job of this uid, and with it all it owns; that it is gone already is success."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", ours(namespace, "jobs", name), body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def pod_log(self, namespace: str, name: str, most: int) -> list[str]:
        """Return the lines of the log of a pod's step, at most `most` bytes of it."""
        query = {"container": CONTAINER, "limitBytes": str(most)}
        answer = await self._request("GET", core(namespace, "pods", name, "log"), query=query)
        return answer.decode(errors="replace").splitlines()

    async def step_log(
        self, namespace: str, name: str, mark: str, follow: bool = False, since: str = "", tail: int = 0,
        pace: Callable[[int, int], Awaitable[None]] | None = None,
    ) -> AsyncIterator[list[str]]:  # fmt: skip
        """Yield the lines with `mark` of a pod's step, as they come, each behind its time; raises ApiError.

        `name` is that of the pod, or `pod/container` where the step's container is not the usual one.
        With `follow` it goes on until the container has ended. `since` is the time of a line from which to begin,
        `tail` how many of those that are there count, 0 for all. Not more than a part of a line is ever held, however
        much there is to read. `pace` is waited for with each part: it is told the bytes of it and of its lines with
        `mark`, and may hold back who writes faster than is good for others.
        """
        pod, _, container = name.partition("/")
        path = core(namespace, "pods", pod, "log")
        query = {"container": container or CONTAINER, "timestamps": "true"}
        query |= {"follow": "true"} if follow else {}
        query |= {"sinceTime": since} if since else {}
        query |= {"tailLines": str(tail)} if tail else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_LOG_SILENCE_SECONDS)
        wanted, rest = mark.encode(), b""
        try:
            async with self.session.get(path.url, params=query, headers=self.headers, timeout=timeout) as answer:
                if answer.status >= 300:
                    raise error_of(answer.status, await answer.read())
                async for part in answer.content.iter_any():
                    *lines, rest = (rest + part).split(b"\n")
                    marked = [line for line in lines if wanted in line]
                    if marked:
                        yield [line.decode(errors="replace") for line in marked]
                    if pace is not None:
                        await pace(len(part), sum(map(len, marked)))
                    if len(rest) > _LOG_LINE:  # a report at the end of such a line is then found by its mark alone
                        rest = rest[-_LOG_LINE // 2 :]
                if wanted in rest:
                    yield [rest.decode(errors="replace")]
        except (aiohttp.ClientError, TimeoutError) as trouble:
            raise ApiError(0, "Unreachable", f"the log of pod {name}: {trouble!r}") from trouble

    async def config_map_key(self, namespace: str, name: str, key: str) -> str | None:
        """Return the text under a ConfigMap's key; None when the ConfigMap or the key does not exist.

        Raises DefinitionError (`InvalidConfigMap`) for a key that holds no text, and ApiError.
        """
        try:
            answer = await self._request("GET", core(namespace, "configmaps", name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        found = msgspec.json.decode(answer)
        if key in (found.get("binaryData") or {}):
            raise DefinitionError(
                "InvalidConfigMap",
                f"the key {key!r} of ConfigMap {name!r} stands in binaryData, which is for what is not UTF-8 text; put "
                "the code under data (kubectl create configmap does so with a file of UTF-8 text)",
            )
        value = (found.get("data") or {}).get(key)
        return value if isinstance(value, str) else None

    async def config_map(self, name: str, owner: Owner) -> dict[str, Any] | None:
        """Return an immutable ConfigMap that this owner controls; None when there is none."""
        try:
            answer = await self._request("GET", core(owner.namespace, "configmaps", name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        found = dict(msgspec.json.decode(answer))
        reason = doubt(msgspec.json.decode(answer, type=_HasMeta).metadata, owner)
        reason = reason or ("" if found.get("immutable") else "NotImmutable")
        if reason:
            self.ignored("ConfigMap", reason)
        return None if reason else found

    async def delete_config_map(self, name: str, owner: Owner) -> None:
        """Delete a ConfigMap that this owner controls; that there is none is success."""
        path = core(owner.namespace, "configmaps", name)
        try:
            found = msgspec.json.decode(await self._request("GET", path, accept=_METADATA), type=_HasMeta).metadata
            if reason := doubt(found, owner):
                self.ignored("ConfigMap", reason)
            else:
                await self._request("DELETE", path, {"preconditions": {"uid": found.uid}})
        except ApiError as error:
            if error.status not in (404, 409):  # 409: another has its name by now
                raise

    async def serves_jobs(self) -> bool:
        """Whether the cluster has our resources."""
        try:
            answer = await self._request("GET", of_version(OURS))
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        wanted = {"jobs", "jobdefinitions", "jobschedules", "jobsensors"}
        return wanted <= {r["name"] for r in msgspec.json.decode(answer)["resources"]}

    async def get_job(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a Job as it is now, or None when there is none."""
        try:
            found: dict[str, Any] = decode(await self._request("GET", ours(namespace, "jobs", name)))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    async def job_version(self, namespace: str, name: str, uid: str, kind: str = "Job") -> str | None:
        """Return the resource version of the Job or JobDefinition with this uid ("" for any); None if there is none."""
        try:
            answer = await self._request("GET", ours(namespace, _PLURALS[kind], name), accept=_METADATA)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        meta = msgspec.json.decode(answer, type=_Owned).metadata
        return meta.resource_version if uid in ("", meta.uid) else None

    async def set_finalizer(self, namespace: str, name: str, uid: str, finalizer: str, there: bool) -> str:
        """Put a finalizer on the Job with this uid, or take it off; return the Job's new version, "" if unchanged."""
        path = ours(namespace, "jobs", name)
        for attempt in range(_ATTEMPTS):
            try:
                meta = msgspec.json.decode(await self._request("GET", path, accept=_METADATA), type=_Owned).metadata
                if meta.uid != uid or (finalizer in meta.finalizers) == there:
                    return ""
                rest = [item for item in meta.finalizers if item != finalizer]
                wanted = [*rest, finalizer] if there else rest
                body = {"metadata": {"resourceVersion": meta.resource_version, "finalizers": wanted or None}}
                answer = await self._request("PATCH", path, body, accept=_METADATA)
                return msgspec.json.decode(answer, type=_Owned).metadata.resource_version
            except ApiError as error:
                if error.status == 404:
                    return ""
                if error.status != 409 or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def patch_status(
        self, namespace: str, name: str, version: str, status: dict[str, Any], kind: str = "Job"
    ) -> str:
        """Merge `status` into a Job's (or JobDefinition's) status and return its new resource version.

        Raises ApiError with status 409 when the Job's version is not `version` any more: it was changed, or it is
        another Job of the same name (the API server does not hold a uid in such a patch against the object's).
        """
        path = ours(namespace, _PLURALS[kind], name, "status")
        body = {"metadata": {"resourceVersion": version}, "status": status}
        answer = await self._request("PATCH", path, body, accept=_METADATA)
        return msgspec.json.decode(answer, type=_Owned).metadata.resource_version

    async def call(
        self, method: str, path: ApiPath, body: dict[str, Any] | None = None, query: Query | None = None
    ) -> bytes:
        """Send one request, again while the server is busy or away, and return the answer's body. Raises ApiError."""
        return await self._request(method, path, body, query=query)

    async def _request(
        self, method: str, path: ApiPath, body: dict[str, Any] | None = None, accept: str = "application/json",
        window: ConcurrencyWindow | None = None, query: Query | None = None,
    ) -> bytes:  # fmt: skip
        """Send one request, again after a pause while the server is busy or away, and return the answer's body.

        `window` is told how it went.
        """
        data = None if body is None else msgspec.json.encode(body)
        headers = self.headers.copy()
        headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers["Accept"] = accept
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            pause = _BACKOFF.seconds(attempt, random.random())
            begun = time.monotonic()
            try:
                request = self.session.request(method, path.url, params=query, data=data, headers=headers)
                async with request as answer:
                    content = await answer.read()
                    if answer.status < 300:
                        if window is not None:
                            window.went_well()
                        return content
                    error = error_of(answer.status, content)
                    after = answer.headers.get("Retry-After", "")
                    asked = min(float(after), 30.0) if after.isdigit() else 0.0
                    pause = max(pause, asked)
                    if window is not None and not error.permanent:
                        window.busy(begun, asked)
                    if error.permanent or last or error.status in self.final:
                        raise error
            except (aiohttp.ClientError, TimeoutError) as trouble:
                if window is not None:
                    window.busy(begun, 0.0)
                if last:
                    raise ApiError(0, "Unreachable", f"{method} {path}: {trouble!r}") from trouble
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")
