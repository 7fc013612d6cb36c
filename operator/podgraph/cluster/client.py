"""The API calls of the operator. Their errors distinguish transient from permanent failures."""

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
_LOG_SILENCE_SECONDS = 300  # then the connection may be dead; a retry uses another one
_LOG_LINE = 256 * 1024
_PLURALS = {"Job": "jobs", "JobDefinition": "jobdefinitions"}
# A Job can be large; only the metadata of a write's response matters.
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

    `namespaces` are the namespaces to list and watch; the whole cluster when empty.
    """

    final: Collection[int] = ()
    """Additional statuses that are not retried."""
    ignored: Callable[[str, str], None] = staticmethod(lambda kind, reason: None)
    """Counts objects that have the name of one of ours but are not ours, by kind and reason."""

    def __init__(
        self, session: aiohttp.ClientSession, headers: Iterable[tuple[str, str]] = (), namespaces: Sequence[str] = ()
    ) -> None:
        self.session, self.namespaces = session, tuple(namespaces)
        self.headers = CIMultiDict(headers)
        self._creating = ConcurrencyWindow()

    async def create_pod(self, manifest: dict[str, Any]) -> Pod:
        """Create a pod as :meth:`create` does and return its current state."""
        return msgspec.json.decode(await self.create("pods", manifest), type=Pod)

    async def try_pod(self, manifest: dict[str, Any]) -> None:
        """Validate a pod with a strict server-side dry run: unknown fields are errors."""
        meta = manifest["metadata"]
        path, query = core(meta["namespace"], "pods"), {"dryRun": "All", "fieldValidation": "Strict"}
        async with self._creating.turn(meta["ownerReferences"][0]["uid"], meta["namespace"]):
            await self._request("POST", path, manifest, query=query, window=self._creating)

    async def create(self, plural: str, manifest: dict[str, Any], any_content: bool = False) -> bytes:
        """Create a core object and return it as JSON. Succeeds if the same object already exists.

        A create whose response was lost can therefore be repeated. Raises ApiError; `AlreadyExists` means that an
        object that is not ours has the name (see :func:`difference`). A transient conflict is not `permanent`: a
        quota whose count has just changed, or an object of another owner that is being deleted.
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
                if plural == "events":  # its name identifies its content
                    return b""
                return await self._existing(plural, manifest, any_content, error)

    async def _existing(self, plural: str, manifest: dict[str, Any], any_content: bool, refusal: ApiError) -> bytes:
        """Return the existing object if it is the one that we tried to create. Raises ApiError."""
        meta = manifest["metadata"]
        try:
            existing = await self._request("GET", core(meta["namespace"], plural, meta["name"]))
        except ApiError as error:
            if error.status == 404:  # it was deleted in the meantime
                raise ApiError(0, "Conflict", refusal.message) from None
            raise
        reason = difference(plural, manifest, msgspec.json.decode(existing), any_content)
        if not reason:
            return existing
        if msgspec.json.decode(existing, type=_HasMeta).metadata.deletion_timestamp:
            raise ApiError(0, "Conflict", refusal.message)
        self.ignored(KINDS.get(plural, "Other"), reason)
        message = f"{refusal.message}, and this operator did not create it ({reason}); delete it"
        raise ApiError(refusal.status, refusal.reason, message)

    async def create_secret(self, manifest: dict[str, Any]) -> None:
        """Create a Secret with a name that nobody else can guess. Succeeds if it already exists. Raises ApiError.

        It is never read back, so the operator does not need permission to read Secrets.
        """
        try:
            await self._request("POST", core(manifest["metadata"]["namespace"], "secrets"), manifest)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def shared_secret(self, manifest: dict[str, Any]) -> dict[str, str]:
        """Create a Secret unless it exists; return the data of the existing one. Raises ApiError."""
        path = core(manifest["metadata"]["namespace"], "secrets", manifest["metadata"]["name"])
        try:
            answer = await self._request("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            await self.create_secret(manifest)  # if two operators start at once, the first one's Secret counts
            answer = await self._request("GET", path)
        return dict(msgspec.json.decode(answer).get("data") or {})

    async def exists(self, plural: str, namespace: str, name: str) -> bool:
        """Whether a core object with this name exists."""
        try:
            await self._request("GET", core(namespace, plural, name), accept=_METADATA)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def owned_pods(self, owner: Owner) -> list[Pod]:
        """Return the current pods of a Job from the API server."""
        query = {"labelSelector": f"{JOB_UID_LABEL}={owner.uid}"}
        answer = await self._request("GET", core(owner.namespace, "pods"), query=query)
        return [pod for pod in msgspec.json.decode(answer, type=_PodPage).items if not doubt(pod.metadata, owner)]

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        """Return the current state of a pod, or None if it does not exist."""
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
        """Set annotations and labels of the pod with this UID; return its current state."""
        body = {"metadata": {"uid": uid, "annotations": annotations, "labels": labels}}
        answer = await self._request("PATCH", core(namespace, "pods", name), body)
        return msgspec.json.decode(answer, type=Pod)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete the pod with this UID. Succeeds if it no longer exists or another pod has its name."""
        body = {"preconditions": {"uid": uid}}
        try:
            await self._request("DELETE", core(namespace, "pods", name), body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def delete_succeeded_pods(self, namespace: str, job_uid: str) -> None:
        """Delete all succeeded pods of a Job in a few requests, whatever their number.

        Selects pods by the labels that the reflector watches. The reflector knows whether pods of others have them.
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
        """Delete the Job with this UID and all that it owns. Succeeds if it no longer exists."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", ours(namespace, "jobs", name), body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def pod_log(self, namespace: str, name: str, most: int) -> list[str]:
        """Return the lines of a step's log, at most `most` bytes."""
        query = {"container": CONTAINER, "limitBytes": str(most)}
        answer = await self._request("GET", core(namespace, "pods", name, "log"), query=query)
        return answer.decode(errors="replace").splitlines()

    async def step_log(
        self, namespace: str, name: str, mark: str, follow: bool = False, since: str = "", tail: int = 0,
        pace: Callable[[int, int], Awaitable[None]] | None = None,
    ) -> AsyncIterator[list[str]]:  # fmt: skip
        """Yield the log lines with `mark` as they arrive, each with its time. Raises ApiError.

        `name` is the name of the pod, or `pod/container` if the step's container is not the usual one.
        With `follow`, continue until the container has ended. `since` is the time of the first line to read. `tail` is
        the number of existing lines to read, 0 for all. Memory is bounded: only a part of a line is held. `pace` is
        awaited after each part, with the number of bytes of the part and of its lines with `mark`; it may slow down
        fast writers.
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
                    if len(rest) > _LOG_LINE:  # a report at the end of such a line is then found by its mark
                        rest = rest[-_LOG_LINE // 2 :]
                if wanted in rest:
                    yield [rest.decode(errors="replace")]
        except (aiohttp.ClientError, TimeoutError) as trouble:
            raise ApiError(0, "Unreachable", f"the log of pod {name}: {trouble!r}") from trouble

    async def config_map_key(self, namespace: str, name: str, key: str) -> str | None:
        """Return the text of a ConfigMap key; None if the ConfigMap or the key does not exist.

        Raises DefinitionError (`InvalidConfigMap`) if the key does not hold text, and ApiError.
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
                f"the key {key!r} of ConfigMap {name!r} is in binaryData, which is for data that is not UTF-8; put "
                "the code under data (kubectl create configmap does so with a file of UTF-8 text)",
            )
        value = (found.get("data") or {}).get(key)
        return value if isinstance(value, str) else None

    async def config_map(self, name: str, owner: Owner) -> dict[str, Any] | None:
        """Return an immutable ConfigMap that this owner controls; None if it does not exist."""
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
        """Delete a ConfigMap that this owner controls. Succeeds if it does not exist."""
        path = core(owner.namespace, "configmaps", name)
        try:
            found = msgspec.json.decode(await self._request("GET", path, accept=_METADATA), type=_HasMeta).metadata
            if reason := doubt(found, owner):
                self.ignored("ConfigMap", reason)
            else:
                await self._request("DELETE", path, {"preconditions": {"uid": found.uid}})
        except ApiError as error:
            if error.status not in (404, 409):  # 409: another object has the name by now
                raise

    async def serves_jobs(self) -> bool:
        """Whether the cluster has our CRDs."""
        try:
            answer = await self._request("GET", of_version(OURS))
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        wanted = {"jobs", "jobdefinitions", "jobschedules", "jobsensors"}
        return wanted <= {r["name"] for r in msgspec.json.decode(answer)["resources"]}

    async def get_job(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the current state of a Job, or None if it does not exist."""
        try:
            found: dict[str, Any] = decode(await self._request("GET", ours(namespace, "jobs", name)))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    async def job_version(self, namespace: str, name: str, uid: str, kind: str = "Job") -> str | None:
        """Return the resource version of the Job or JobDefinition with this UID ("" for any), or None."""
        try:
            answer = await self._request("GET", ours(namespace, _PLURALS[kind], name), accept=_METADATA)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        meta = msgspec.json.decode(answer, type=_Owned).metadata
        return meta.resource_version if uid in ("", meta.uid) else None

    async def set_finalizer(self, namespace: str, name: str, uid: str, finalizer: str, there: bool) -> str:
        """Add or remove a finalizer of the Job with this UID; return the Job's new version, "" if unchanged."""
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

        Raises ApiError with status 409 if the Job's resource version is no longer `version`: the Job was changed, or
        replaced by another with the same name (the API server does not compare a UID in such a patch).
        """
        path = ours(namespace, _PLURALS[kind], name, "status")
        body = {"metadata": {"resourceVersion": version}, "status": status}
        answer = await self._request("PATCH", path, body, accept=_METADATA)
        return msgspec.json.decode(answer, type=_Owned).metadata.resource_version

    async def call(
        self, method: str, path: ApiPath, body: dict[str, Any] | None = None, query: Query | None = None
    ) -> bytes:
        """Send a request, retry it while the server is unavailable, and return the response body. Raises ApiError."""
        return await self._request(method, path, body, query=query)

    async def _request(
        self, method: str, path: ApiPath, body: dict[str, Any] | None = None, accept: str = "application/json",
        window: ConcurrencyWindow | None = None, query: Query | None = None,
    ) -> bytes:  # fmt: skip
        """Send a request, retry it with pauses while the server is unavailable, and return the response body.

        Reports the outcomes to `window`.
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
