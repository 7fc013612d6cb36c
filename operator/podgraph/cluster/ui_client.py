"""The API calls of the web page's server, in addition to those shared with the operator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.decoding import decode
from podgraph.cluster.paths import OURS, core, everywhere, ours
from podgraph.planning.model.names import CONTAINER, GROUP, JOB_UID_LABEL

__all__ = ["UiClient"]

_CHUNK = 200
_SILENCE_SECONDS = 600
_MOST_EVENTS = 500

Object = dict[str, Any]


class UiClient(Client):
    """Calls for Jobs, their definitions, pods, events and logs; all raise ApiError."""

    final = (401,)  # users of the page get the error at once

    async def user_name(self) -> str:
        """Return the user that the API server authenticates."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = everywhere(body["apiVersion"], "selfsubjectreviews")
        made = msgspec.json.decode(await self._request("POST", path, body))
        return str(made["status"]["userInfo"].get("username", ""))

    async def may_list(self, plural: str, namespace: str) -> bool:
        """Whether we may list one of our resources in a namespace, or in all of them when it is empty."""
        kind = {"group": GROUP, "resource": plural, "verb": "list", "namespace": namespace}
        version = "authorization.k8s.io/v1"
        body = {"apiVersion": version, "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": kind}}
        path = everywhere(version, "selfsubjectaccessreviews")
        return msgspec.json.decode(await self._request("POST", path, body))["status"].get("allowed") is True

    async def put_config_map(self, manifest: Mapping[str, Any]) -> None:
        """Create a ConfigMap whose name tells its content; that it is there already is success when it is the same.

        A pod runs what it holds, and anybody who may make ConfigMaps can take its name before.
        """
        await self.create("configmaps", dict(manifest))

    async def pod(self, namespace: str, name: str) -> Object:
        """Return a pod, as JSON has it."""
        found: Object = msgspec.json.decode(await self._request("GET", core(namespace, "pods", name)))
        return found

    async def get_resource(self, plural: str, namespace: str, name: str) -> Object:
        """Return one of our own objects."""
        found: Object = decode(await self._request("GET", ours(namespace, plural, name)))
        return found

    async def list_resources(self, plural: str, namespace: str) -> list[Object] | None:
        """Return our objects of a kind, with namespace "" in all; None if the cluster does not have the kind."""
        path = ours(namespace, plural) if namespace else everywhere(OURS, plural)
        found: list[Object] = []
        token = ""
        while True:
            query = {"limit": str(_CHUNK)} | ({"continue": token} if token else {})
            try:
                page = decode(await self._request("GET", path, query=query))
            except ApiError as error:
                if error.status == 404:
                    return None
                raise
            found += page["items"]
            token = page["metadata"].get("continue") or ""
            if not token:
                return found

    async def try_resource(self, plural: str, namespace: str, manifest: Mapping[str, Any]) -> None:
        """Validate one of our objects with a server-side dry run."""
        await self._request("POST", ours(namespace, plural), dict(manifest), query={"dryRun": "All"})

    async def create_resource(self, plural: str, namespace: str, manifest: Mapping[str, Any]) -> Object:
        """Create one of our objects and return it.

        A create whose response was lost is repeated, so generateName could create two objects; set a name.
        """
        made: Object = msgspec.json.decode(await self._request("POST", ours(namespace, plural), dict(manifest)))
        return made

    async def change_resource(self, plural: str, namespace: str, name: str, uid: str, spec: Mapping[str, Any]) -> None:
        """Change fields of the spec of the object with this UID."""
        body = {"metadata": {"uid": uid}, "spec": dict(spec)}
        await self._request("PATCH", ours(namespace, plural, name), body)

    async def annotate_resource(
        self, plural: str, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
    ) -> None:
        """Set annotations of the object with this UID."""
        body = {"metadata": {"uid": uid, "annotations": dict(annotations)}}
        await self._request("PATCH", ours(namespace, plural, name), body)

    async def pods_of(self, namespace: str, job_uid: str) -> list[Object]:
        """Return a Job's pods, oldest first."""
        query = {"labelSelector": f"{JOB_UID_LABEL}={job_uid}"}
        answer = await self._request("GET", core(namespace, "pods"), query=query)
        found: list[Object] = msgspec.json.decode(answer)["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))

    async def events_of(self, namespace: str, job_uid: str) -> list[Object]:
        """Return the Events of a Job; only the latest if there are very many."""
        query = {"fieldSelector": f"involvedObject.uid={job_uid}", "limit": str(_MOST_EVENTS)}
        answer = await self._request("GET", core(namespace, "events"), query=query)
        found: list[Object] = msgspec.json.decode(answer)["items"]
        return sorted(found, key=lambda event: str(event.get("lastTimestamp") or ""))

    async def log_bytes(
        self, namespace: str, pod: str, follow: bool, tail: int, container: str = CONTAINER
    ) -> AsyncIterator[bytes]:
        """Yield a container's log as it arrives; with `follow`, until it ends. `tail` limits the lines, 0 for all."""
        path = core(namespace, "pods", pod, "log")
        query = {"container": container}
        query |= {"follow": "true"} if follow else {}
        query |= {"tailLines": str(tail)} if tail else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_SILENCE_SECONDS)
        try:
            async with self.session.get(path.url, params=query, headers=self.headers, timeout=timeout) as answer:
                if answer.status >= 300:
                    told = await answer.read()
                    try:
                        message = str(msgspec.json.decode(told).get("message"))
                    except (msgspec.DecodeError, AttributeError):
                        message = told[:200].decode(errors="replace")
                    raise ApiError(answer.status, answer.reason or "", message)
                async for part in answer.content.iter_any():
                    yield part
        except (aiohttp.ClientError, TimeoutError) as trouble:
            raise ApiError(0, "Unreachable", f"the log of pod {pod}: {trouble!r}") from trouble
