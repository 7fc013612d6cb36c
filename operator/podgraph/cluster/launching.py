"""The API calls that schedules and sensors need: to make Jobs, to list those they made, to write their own status."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec

from podgraph.cluster.client import ApiError, Client
from podgraph.planning.names import GROUP

__all__ = ["Launching"]

_API = f"/apis/{GROUP}/v1alpha1"
_CHUNK = 200

Object = dict[str, Any]


class Launching:
    """Calls about Jobs that others make, and about those others: `plural` is jobschedules or jobsensors."""

    def __init__(self, client: Client, plural: str) -> None:
        self.client, self.plural = client, plural

    async def try_job(self, job: Object) -> None:
        """Have the API server check a Job without making it. Raises ApiError."""
        try:
            await self.client.call("POST", f"{_jobs(job['metadata']['namespace'])}?dryRun=All", job)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def create_job(self, job: Object) -> Object:
        """Create a Job and return it; one of this name and of the same owner is returned as it is.

        Raises ApiError; `AlreadyExists` means that the name is taken by a Job that is not the owner's.
        """
        meta = job["metadata"]
        try:
            return dict(msgspec.json.decode(await self.client.call("POST", _jobs(meta["namespace"]), job)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            found = await self.client.get_job(meta["namespace"], meta["name"])
            if found is None:  # it went meanwhile, and with it the one of its name
                raise ApiError(0, "Conflict", f"Job {meta['name']!r} was there and is gone") from None
            if not {o["uid"] for o in meta["ownerReferences"]} & {
                o["uid"] for o in found["metadata"].get("ownerReferences", ())
            }:
                raise
            return found

    async def cancel_job(self, namespace: str, name: str, uid: str) -> None:
        """Cancel the Job of this uid; that it is gone is success."""
        body = {"metadata": {"uid": uid}, "spec": {"cancel": True}}
        try:
            await self.client.call("PATCH", f"{_jobs(namespace)}/{name}", body)
        except ApiError as error:
            if error.status not in (404, 409, 422):  # 422: another has its name, and its uid does not change
                raise

    async def labelled_jobs(self, selector: str) -> AsyncIterator[Object]:
        """Yield the Jobs of all watched namespaces with these labels as they are now.

        A namespace of the chart's watchNamespaces that does not exist yet has none: its schedules and sensors are seen
        only behind its Jobs.
        """
        for path in [_jobs(namespace) for namespace in self.client.namespaces] or [f"{_API}/jobs"]:
            try:
                async for job in self._pages(path, f"labelSelector={quote(selector)}&limit={_CHUNK}"):
                    yield job
            except ApiError as error:
                if not self.client.namespaces or error.status not in (403, 404):
                    raise

    async def _pages(self, path: str, query: str) -> AsyncIterator[Object]:
        token = ""
        while True:
            more = f"&continue={quote(token)}" if token else ""
            page = msgspec.json.decode(await self.client.call("GET", f"{path}?{query}{more}"))
            for job in page["items"]:
                yield job
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    async def get(self, namespace: str, name: str) -> Object | None:
        """Return the JobSchedule or JobSensor of this name, None when there is none."""
        try:
            answer = await self.client.call("GET", f"{_API}/namespaces/{namespace}/{self.plural}/{name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return dict(msgspec.json.decode(answer))

    async def secret_key(self, namespace: str, name: str, key: str) -> str | None:
        """Return the text under a Secret's key; None when the Secret or the key does not exist. Raises ApiError."""
        try:
            answer = await self.client.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        value = (msgspec.json.decode(answer).get("data") or {}).get(key)
        return None if value is None else base64.b64decode(value).decode(errors="replace")

    async def patch_status(self, namespace: str, name: str, version: str, status: Object) -> str:
        """Merge `status` into its status and return its new resource version.

        Raises ApiError with status 409 when its version is not `version` any more.
        """
        body = {"metadata": {"resourceVersion": version}, "status": status}
        answer = await self.client.call("PATCH", f"{_API}/namespaces/{namespace}/{self.plural}/{name}/status", body)
        return str(msgspec.json.decode(answer)["metadata"]["resourceVersion"])


def _jobs(namespace: str) -> str:
    return f"{_API}/namespaces/{namespace}/jobs"
