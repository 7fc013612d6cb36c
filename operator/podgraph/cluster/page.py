"""The API calls of the web page's server, beside those that it shares with the operator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from podgraph.cluster.client import ApiError, Client
from podgraph.planning.names import CONTAINER, GROUP, JOB_UID_LABEL

__all__ = ["PageClient"]

_API = f"/apis/{GROUP}/v1alpha1"
_BASE = f"{_API}/namespaces"
_CHUNK = 200
_SILENCE_SECONDS = 600
_MOST_EVENTS = 500

Object = dict[str, Any]


class PageClient(Client):
    """Calls for Jobs, their definitions, pods, events and logs; all raise ApiError."""

    final = (401,)  # whoever waits for the page is told at once

    async def user_name(self) -> str:
        """Return who the API server takes us for."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        made = msgspec.json.decode(await self._request("POST", f"/apis/{body['apiVersion']}/selfsubjectreviews", body))
        return str(made["status"]["userInfo"].get("username", ""))

    async def may_list(self, plural: str, namespace: str) -> bool:
        """Whether we may list our objects of a kind in a namespace, in all of them when it is empty."""
        kind = {"group": GROUP, "resource": plural, "verb": "list", "namespace": namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": kind},
        }
        path = f"/apis/{body['apiVersion']}/selfsubjectaccessreviews"
        return msgspec.json.decode(await self._request("POST", path, body))["status"].get("allowed") is True

    async def put_config_map(self, manifest: Mapping[str, Any]) -> None:
        """Create a ConfigMap whose name tells its content; that it is there already is success."""
        path = f"/api/v1/namespaces/{_safe(manifest['metadata']['namespace'])}/configmaps"
        try:
            await self._request("POST", path, dict(manifest))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def pod(self, namespace: str, name: str) -> Object:
        """Return a pod, as JSON has it."""
        found: Object = msgspec.json.decode(
            await self._request("GET", f"/api/v1/namespaces/{_safe(namespace)}/pods/{_safe(name)}")
        )
        return found

    async def get_resource(self, plural: str, namespace: str, name: str) -> Object:
        """Return one of our own objects."""
        found: Object = msgspec.json.decode(
            await self._request("GET", f"{_BASE}/{_safe(namespace)}/{plural}/{_safe(name)}")
        )
        return found

    async def list_resources(self, plural: str, namespace: str) -> list[Object] | None:
        """Return our own objects of a kind, with namespace "" of all; None when the cluster has no such kind."""
        where = f"namespaces/{_safe(namespace)}/" if namespace else ""
        found: list[Object] = []
        token = ""
        while True:
            query = f"limit={_CHUNK}" + (f"&continue={quote(token)}" if token else "")
            try:
                page = msgspec.json.decode(await self._request("GET", f"{_API}/{where}{plural}?{query}"))
            except ApiError as error:
                if error.status == 404:
                    return None
                raise
            found += page["items"]
            token = page["metadata"].get("continue") or ""
            if not token:
                return found

    async def try_resource(self, plural: str, namespace: str, manifest: Mapping[str, Any]) -> None:
        """Have the cluster check one of our own objects without making it."""
        await self._request("POST", f"{_BASE}/{_safe(namespace)}/{plural}?dryRun=All", dict(manifest))

    async def create_resource(self, plural: str, namespace: str, manifest: Mapping[str, Any]) -> Object:
        """Create one of our own objects and return it.

        A create whose answer was lost is done again, so a made-up name may be made twice; give it a name of its own.
        """
        made: Object = msgspec.json.decode(
            await self._request("POST", f"{_BASE}/{_safe(namespace)}/{plural}", dict(manifest))
        )
        return made

    async def change_resource(self, plural: str, namespace: str, name: str, uid: str, spec: Mapping[str, Any]) -> None:
        """Change fields of the spec of the object with this uid."""
        body = {"metadata": {"uid": uid}, "spec": dict(spec)}
        await self._request("PATCH", f"{_BASE}/{_safe(namespace)}/{plural}/{_safe(name)}", body)

    async def pods_of(self, namespace: str, job_uid: str) -> list[Object]:
        """Return a Job's pods, the oldest first."""
        selector = quote(f"{JOB_UID_LABEL}={job_uid}")
        answer = await self._request("GET", f"/api/v1/namespaces/{_safe(namespace)}/pods?labelSelector={selector}")
        found: list[Object] = msgspec.json.decode(answer)["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))

    async def events_of(self, namespace: str, job_uid: str) -> list[Object]:
        """Return the Events on a Job, the latest of them when there are very many."""
        selector = quote(f"involvedObject.uid={job_uid}")
        path = f"/api/v1/namespaces/{_safe(namespace)}/events?fieldSelector={selector}&limit={_MOST_EVENTS}"
        found: list[Object] = msgspec.json.decode(await self._request("GET", path))["items"]
        return sorted(found, key=lambda event: str(event.get("lastTimestamp") or ""))

    async def log_bytes(
        self, namespace: str, pod: str, follow: bool, tail: int, container: str = CONTAINER
    ) -> AsyncIterator[bytes]:
        """Yield a container's log as it comes; with `follow` until it ends. `tail` lines count, 0 for all."""
        path = f"/api/v1/namespaces/{_safe(namespace)}/pods/{_safe(pod)}/log"
        query = {"container": container}
        query |= {"follow": "true"} if follow else {}
        query |= {"tailLines": str(tail)} if tail else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_SILENCE_SECONDS)
        try:
            async with self.session.get(path, params=query, headers=self.headers, timeout=timeout) as answer:
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


def _safe(name: str) -> str:
    return quote(name, safe="")
