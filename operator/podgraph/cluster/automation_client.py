"""The API calls for automations: create Jobs, list the Jobs they own, write their own status."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.decoding import decode
from podgraph.cluster.ownership import difference
from podgraph.cluster.paths import OURS, ApiPath, core, everywhere, ours

__all__ = ["AutomationClient"]

_CHUNK = 200

Object = dict[str, Any]


class AutomationClient:
    """Calls for automations and the Jobs they create; `plural` is jobschedules or jobsensors."""

    def __init__(self, client: Client, plural: str) -> None:
        self.client, self.plural = client, plural

    async def try_job(self, job: Object) -> None:
        """Validate a Job with a server-side dry run. Raises ApiError."""
        try:
            await self.client.call("POST", ours(job["metadata"]["namespace"], "jobs"), job, {"dryRun": "All"})
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def create_job(self, job: Object) -> Object:
        """Create a Job and return it. An existing Job with this name and owner is returned unchanged.

        Raises ApiError; `AlreadyExists` means that the name is in use by a Job with another owner.
        """
        meta = job["metadata"]
        try:
            return dict(msgspec.json.decode(await self.client.call("POST", ours(meta["namespace"], "jobs"), job)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            found = await self.client.get_job(meta["namespace"], meta["name"])
            if found is None:  # the existing Job was deleted in the meantime
                raise ApiError(0, "Conflict", f"Job {meta['name']!r} existed and was deleted") from None
            if difference("jobs", job, found, True):
                raise
            return found

    async def cancel_job(self, namespace: str, name: str, uid: str) -> None:
        """Cancel the Job with this UID. Succeeds if it no longer exists."""
        body = {"metadata": {"uid": uid}, "spec": {"cancel": True}}
        try:
            await self.client.call("PATCH", ours(namespace, "jobs", name), body)
        except ApiError as error:
            if error.status not in (404, 409, 422):  # 422: another Job has the name; its UID cannot change
                raise

    async def labelled_jobs(self, selector: str) -> AsyncIterator[Object]:
        """Yield the current Jobs with these labels in all watched namespaces.

        A namespace in the chart's watchNamespaces that does not exist yet has no Jobs: its schedules and sensors are
        listed only after its Jobs.
        """
        for path in [ours(namespace, "jobs") for namespace in self.client.namespaces] or [everywhere(OURS, "jobs")]:
            try:
                async for job in self._pages(path, selector):
                    yield job
            except ApiError as error:
                if not self.client.namespaces or error.status not in (403, 404):
                    raise

    async def _pages(self, path: ApiPath, selector: str) -> AsyncIterator[Object]:
        token = ""
        while True:
            query = {"labelSelector": selector, "limit": str(_CHUNK)} | ({"continue": token} if token else {})
            page = decode(await self.client.call("GET", path, query=query))
            for job in page["items"]:
                yield job
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    async def get(self, namespace: str, name: str) -> Object | None:
        """Return the JobSchedule or JobSensor with this name, None if it does not exist."""
        try:
            answer = await self.client.call("GET", ours(namespace, self.plural, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return dict(msgspec.json.decode(answer))

    async def secret_key(self, namespace: str, name: str, key: str) -> str | None:
        """Return the text of a Secret key; None if the Secret or the key does not exist. Raises ApiError."""
        try:
            answer = await self.client.call("GET", core(namespace, "secrets", name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        value = (msgspec.json.decode(answer).get("data") or {}).get(key)
        return None if value is None else base64.b64decode(value).decode(errors="replace")

    async def patch_status(self, namespace: str, name: str, version: str, status: Object) -> str:
        """Merge `status` into its status and return its new resource version.

        Raises ApiError with status 409 if its resource version is no longer `version`.
        """
        body = {"metadata": {"resourceVersion": version}, "status": status}
        answer = await self.client.call("PATCH", ours(namespace, self.plural, name, "status"), body)
        return str(msgspec.json.decode(answer)["metadata"]["resourceVersion"])
