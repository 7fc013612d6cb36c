"""The handful of API calls the operator makes, with their errors sorted into those that pass and those that stay."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from multidict import CIMultiDict

from podgraph.cluster.window import Window
from podgraph.planning.names import CONTAINER, GROUP, JOB_UID_LABEL
from podgraph.planning.pods import Pod

__all__ = ["ApiError", "Client"]

_ATTEMPTS = 5
_DELETED_AT_ONCE = 250
_LOG_SILENCE_SECONDS = 300  # then the connection may be dead, and another finds out
_LOG_LINE = 256 * 1024
_JOBS = f"/apis/{GROUP}/v1alpha1/namespaces"
_PLURALS = {"Job": "jobs", "JobDefinition": "jobdefinitions"}
# A Job can be large; of the answer to a write only its metadata matters.
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ApiError(Exception):
    """An answer of the API server that is no success. `lasting` says that asking again cannot help."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message

    @property
    def lasting(self) -> bool:
        """Whether the same request will be answered the same way again."""
        return self.status in (400, 403, 404, 405, 409, 410, 413, 415, 422)


class _Status(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Owner(msgspec.Struct):
    uid: str = ""


class _OwnedMeta(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""
    owner_references: list[_Owner] = []
    finalizers: list[str] = []


class _Owned(msgspec.Struct):
    metadata: _OwnedMeta


class _PageMeta(msgspec.Struct):
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    metadata: _PageMeta


class Client:
    """Calls for one API server; `session` is made by cluster.connection, `headers` are sent with each request."""

    final: Collection[int] = ()
    """More statuses that are not asked about again."""

    def __init__(self, session: aiohttp.ClientSession, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.session = session
        self.headers = CIMultiDict(headers)
        self._creating = Window()

    async def create_pod(self, manifest: dict[str, Any]) -> Pod:
        """Create a pod as :meth:`create` does and return it as it is now."""
        return msgspec.json.decode(await self.create("pods", manifest), type=Pod)

    async def try_pod(self, manifest: dict[str, Any]) -> None:
        """Let the API server do all that creating a pod takes but for the creation. Unknown fields are errors too."""
        meta = manifest["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods?dryRun=All&fieldValidation=Strict"
        async with self._creating.turn(meta["ownerReferences"][0]["uid"]):
            await self._request("POST", path, manifest, window=self._creating)

    async def create(self, plural: str, manifest: dict[str, Any]) -> bytes:
        """Create a core object and return it as JSON. That it exists already is success when its owner is the same.

        So a create whose answer was lost can simply be done again. Raises ApiError; `AlreadyExists` means that the
        name is taken by an object that is not ours.
        """
        meta = manifest["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/{plural}"
        ours = {owner["uid"] for owner in meta.get("ownerReferences", ())}
        async with self._creating.turn(next(iter(ours), "")):
            try:
                return await self._request("POST", path, manifest, window=self._creating)
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
                existing = await self._request("GET", f"{path}/{meta['name']}")
                theirs = {o.uid for o in msgspec.json.decode(existing, type=_Owned).metadata.owner_references}
                if ours != theirs:
                    raise
                return existing

    async def create_secret(self, manifest: dict[str, Any]) -> None:
        """Create a Secret under a name that nobody else can know: that it exists already is success. Raises ApiError.

        It is never read back, so that the operator needs no right to read Secrets.
        """
        try:
            await self._request("POST", f"/api/v1/namespaces/{manifest['metadata']['namespace']}/secrets", manifest)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def shared_secret(self, manifest: dict[str, Any]) -> dict[str, str]:
        """Create a Secret if there is none of its name; return the data of the one that is there. Raises ApiError."""
        path = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/secrets"
        try:
            answer = await self._request("GET", f"{path}/{manifest['metadata']['name']}")
        except ApiError as error:
            if error.status != 404:
                raise
            await self.create_secret(manifest)  # of two operators that start at once the first one's counts
            answer = await self._request("GET", f"{path}/{manifest['metadata']['name']}")
        return dict(msgspec.json.decode(answer).get("data") or {})

    async def exists(self, plural: str, namespace: str, name: str) -> bool:
        """Whether there is a core object of this name."""
        try:
            await self._request("GET", f"/api/v1/namespaces/{namespace}/{plural}/{name}", accept=_METADATA)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def pod_names(self, namespace: str, selector: str) -> list[str]:
        """Return the names of the pods with these labels, as the cluster itself has them now."""
        path = f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector)}"
        return [item["metadata"]["name"] for item in msgspec.json.decode(await self._request("GET", path))["items"]]

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        """Return a pod as it is now, or None when there is none."""
        try:
            answer = await self._request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")
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
        answer = await self._request("PATCH", f"/api/v1/namespaces/{namespace}/pods/{name}", body)
        return msgspec.json.decode(answer, type=Pod)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete the pod of this uid; that it is gone already, or another has its name, is success."""
        body = {"preconditions": {"uid": uid}} if uid else {}
        try:
            await self._request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def delete_succeeded_pods(self, namespace: str, job_uid: str) -> None:
        """Delete all pods of a Job that have succeeded, in a few requests however many there are."""
        selected = f"labelSelector={JOB_UID_LABEL}%3D{job_uid}&fieldSelector=status.phase%3DSucceeded"
        path = f"/api/v1/namespaces/{namespace}/pods?{selected}&limit={_DELETED_AT_ONCE}"
        token = ""
        while True:
            more = f"&continue={quote(token)}" if token else ""
            answer = await self._request("DELETE", f"{path}{more}", accept=_METADATA_LIST)
            token = msgspec.json.decode(answer, type=_Page).metadata.continue_
            if not token:
                return

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete the Job of this uid, and with it all it owns; that it is gone already is success."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", f"{_JOBS}/{namespace}/jobs/{name}", body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def pod_log(self, namespace: str, name: str, most: int) -> list[str]:
        """Return the lines of the log of a pod's step, at most `most` bytes of it."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/log?container={CONTAINER}&limitBytes={most}"
        return (await self._request("GET", path)).decode(errors="replace").splitlines()

    async def step_log(
        self, namespace: str, name: str, mark: str, follow: bool = False, since: str = "", tail: int = 0
    ) -> AsyncIterator[list[str]]:
        """Yield the lines with `mark` of a pod's step, as they come, each behind its time; raises ApiError.

        `name` is that of the pod, or `pod/container` where the step's container is not the usual one.
        With `follow` it goes on until the container has ended. `since` is the time of a line from which to begin,
        `tail` how many of those that are there count, 0 for all. Not more than a part of a line is ever held, however
        much there is to read.
        """
        pod, _, container = name.partition("/")
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {"container": container or CONTAINER, "timestamps": "true"}
        query |= {"follow": "true"} if follow else {}
        query |= {"sinceTime": since} if since else {}
        query |= {"tailLines": str(tail)} if tail else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_LOG_SILENCE_SECONDS)
        wanted, rest = mark.encode(), b""
        try:
            async with self.session.get(path, params=query, headers=self.headers, timeout=timeout) as answer:
                if answer.status >= 300:
                    raise _error(answer.status, await answer.read())
                async for part in answer.content.iter_any():
                    *lines, rest = (rest + part).split(b"\n")
                    if found := [line.decode(errors="replace") for line in lines if wanted in line]:
                        yield found
                    if len(rest) > _LOG_LINE:  # a report at the end of such a line is then found by its mark alone
                        rest = rest[-_LOG_LINE // 2 :]
                if wanted in rest:
                    yield [rest.decode(errors="replace")]
        except (aiohttp.ClientError, TimeoutError) as trouble:
            raise ApiError(0, "Unreachable", f"the log of pod {name}: {trouble!r}") from trouble

    async def config_map_key(self, namespace: str, name: str, key: str) -> str | None:
        """Return the text under a ConfigMap's key; None when the ConfigMap or the key does not exist."""
        try:
            answer = await self._request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        value = (msgspec.json.decode(answer).get("data") or {}).get(key)
        return value if isinstance(value, str) else None

    async def config_map(self, namespace: str, name: str, owner: str) -> dict[str, Any] | None:
        """Return a ConfigMap; None when there is none that belongs to this owner (a uid)."""
        try:
            found = msgspec.json.decode(await self._request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        owners = found["metadata"].get("ownerReferences") or ()
        return dict(found) if any(item["uid"] == owner for item in owners) else None

    async def delete_config_map(self, namespace: str, name: str) -> None:
        """Delete a ConfigMap; that it is gone already is success."""
        try:
            await self._request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/{name}", {})
        except ApiError as error:
            if error.status != 404:
                raise

    async def serves_jobs(self) -> bool:
        """Whether the cluster has our resources."""
        try:
            answer = await self._request("GET", f"/apis/{GROUP}/v1alpha1")
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        wanted = {"jobs", "jobdefinitions", "jobschedules", "jobsensors"}
        return wanted <= {r["name"] for r in msgspec.json.decode(answer)["resources"]}

    async def get_job(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a Job as it is now, or None when there is none."""
        try:
            found: dict[str, Any] = msgspec.json.decode(await self._request("GET", f"{_JOBS}/{namespace}/jobs/{name}"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    async def job_version(self, namespace: str, name: str, uid: str, kind: str = "Job") -> str | None:
        """Return the resource version of the Job or JobDefinition with this uid ("" for any); None if there is none."""
        try:
            answer = await self._request("GET", f"{_JOBS}/{namespace}/{_PLURALS[kind]}/{name}", accept=_METADATA)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        meta = msgspec.json.decode(answer, type=_Owned).metadata
        return meta.resource_version if uid in ("", meta.uid) else None

    async def set_finalizer(self, namespace: str, name: str, uid: str, finalizer: str, there: bool) -> str:
        """Put a finalizer on the Job with this uid, or take it off; return the Job's new version, "" if unchanged."""
        path = f"{_JOBS}/{namespace}/jobs/{name}"
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
        path = f"{_JOBS}/{namespace}/{_PLURALS[kind]}/{name}/status"
        body = {"metadata": {"resourceVersion": version}, "status": status}
        answer = await self._request("PATCH", path, body, accept=_METADATA)
        return msgspec.json.decode(answer, type=_Owned).metadata.resource_version

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """Send one request, again while the server is busy or away, and return the answer's body. Raises ApiError."""
        return await self._request(method, path, body)

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, accept: str = "application/json",
        window: Window | None = None,
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
            pause = random.uniform(0.5, 1.0) * 0.2 * 2**attempt
            begun = time.monotonic()
            try:
                async with self.session.request(method, path, data=data, headers=headers) as answer:
                    content = await answer.read()
                    if answer.status < 300:
                        if window is not None:
                            window.went_well()
                        return content
                    error = _error(answer.status, content)
                    after = answer.headers.get("Retry-After", "")
                    asked = min(float(after), 30.0) if after.isdigit() else 0.0
                    pause = max(pause, asked)
                    if window is not None and not error.lasting:
                        window.busy(begun, asked)
                    if error.lasting or last or error.status in self.final:
                        raise error
            except (aiohttp.ClientError, TimeoutError) as trouble:
                if window is not None:
                    window.busy(begun, 0.0)
                if last:
                    raise ApiError(0, "Unreachable", f"{method} {path}: {trouble!r}") from trouble
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")


def _error(status: int, content: bytes) -> ApiError:
    try:
        said = msgspec.json.decode(content, type=_Status)
    except msgspec.DecodeError:
        said = _Status("", content[:200].decode(errors="replace"))
    return ApiError(status, said.reason or f"HTTP{status}", said.message)
