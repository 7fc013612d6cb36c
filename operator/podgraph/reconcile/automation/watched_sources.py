"""What sensors look at: finished Jobs, objects by a watch of their own, web servers asked now and then.

Each source keeps what it sees now and says when that changed; what of it is new is for the sensor's cursor to say.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from podgraph.api import Object, is_finished, is_succeeded
from podgraph.backoff import ExponentialBackoff
from podgraph.cluster.automation_client import AutomationClient
from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.http_fetcher import HttpFetcher
from podgraph.cluster.object_watch import ObjectWatch
from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.json_path import text_at
from podgraph.scheduling.sources import MOST_OBJECTS, HttpSource, JobSource, KubernetesSource, Observation

__all__ = ["FinishedJobs", "Source", "WatchedObjects", "WatchedUrl"]

_LOG = logging.getLogger(__name__)
_MAX_BACKOFF = 600.0


class Source(Protocol):
    """One sensor's source. `error` is (reason, message) of what keeps it from seeing."""

    @property
    def error(self) -> tuple[str, str] | None:
        """What keeps it from seeing."""

    def seen(self) -> list[Observation] | None:
        """Return what there is now, None while that is not known."""

    def stop(self) -> None:
        """Look no more."""


@dataclass(frozen=True)
class _Finished:
    name: str
    labels: Mapping[str, str]
    succeeded: bool
    completed: str


class FinishedJobs:
    """The finished Jobs of all namespaces, and the sensors that look at them."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, _Finished]] = {}
        self._looking: dict[str, dict[int, tuple[JobSource, Callable[[], None]]]] = {}

    def job_changed(self, kind: str | None, job: Object) -> None:
        """Take in an event of any Job."""
        meta = job["metadata"]
        jobs = self._jobs.setdefault(meta["namespace"], {})
        if kind == "DELETED":
            jobs.pop(meta["uid"], None)
            return
        completed = (job.get("status") or {}).get("completionTime")
        if meta["uid"] in jobs or not completed or not is_finished(job):
            return
        ended = _Finished(meta["name"], dict(meta.get("labels") or {}), is_succeeded(job), completed)
        jobs[meta["uid"]] = ended
        for source, wake in list(self._looking.get(meta["namespace"], {}).values()):
            if source.counts(ended.name, ended.labels, ended.succeeded):
                wake()

    def source_of(self, namespace: str, source: JobSource, wake: Callable[[], None]) -> Source:
        """Return a source that sees the Jobs of a namespace that count for it."""
        looking = self._looking.setdefault(namespace, {})
        looking[id(source)] = (source, wake)
        return _JobsSeen(self._jobs.setdefault(namespace, {}), source, lambda: looking.pop(id(source), None))


class _JobsSeen:
    error = None

    def __init__(self, jobs: Mapping[str, _Finished], source: JobSource, stop: Callable[[], Any]) -> None:
        self._jobs, self._source, self._stop = jobs, source, stop

    def seen(self) -> list[Observation]:
        return [
            Observation(uid, job.name, "Succeeded" if job.succeeded else "Failed", job.completed)
            for uid, job in self._jobs.items()
            if self._source.counts(job.name, job.labels, job.succeeded)
        ]

    def stop(self) -> None:
        self._stop()


class WatchedObjects:
    """Objects of any kind."""

    def __init__(self, client: Client, namespace: str, source: KubernetesSource, wake: Callable[[], None]) -> None:
        self._source = source
        self._watch = ObjectWatch[Observation](
            client, source.api_version, source.resource, namespace, source.name, source.labels, source.see, wake
        )
        self._task = asyncio.create_task(self._watch.run())

    @property
    def error(self) -> tuple[str, str] | None:
        """What keeps it from seeing."""
        if self._watch.error is not None:
            reason, message = self._watch.error
            group = self._source.api_version.rpartition("/")[0]
            if reason == "Forbidden":
                rule = json.dumps({"apiGroups": [group], "resources": [self._source.resource]})
                message = (
                    f"the operator may not watch {self._source.resource}; the chart's value sensors.watch can "
                    + (f"allow it: {rule}")
                )
            elif reason in ("NotFound", "HTTP404"):
                message = f"the cluster has no resource {self._source.resource!r} in {self._source.api_version}"
            return reason, message
        if len(self._watch.kept) > MOST_OBJECTS:
            return "TooManyObjects", f"more than {MOST_OBJECTS} objects match; use a selector that leaves fewer"
        return None

    def seen(self) -> list[Observation] | None:
        """Return what there is now."""
        return list(self._watch.kept.values()) if self._watch.synced else None

    def stop(self) -> None:
        """Watch no more."""
        self._task.cancel()


class WatchedUrl:
    """A web server's answer, asked for each `interval` seconds, less often while it fails."""

    def __init__(
        self, launching: AutomationClient, fetcher: HttpFetcher, namespace: str, source: HttpSource, interval: float,
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._launching, self._fetcher, self._namespace, self._wake = launching, fetcher, namespace, wake
        self._source, self._interval = source, interval
        self._etag = ""
        self.error: tuple[str, str] | None = None
        self._seen: list[Observation] | None = None
        self._failures = 0
        self._task = asyncio.create_task(self._run())

    def seen(self) -> list[Observation] | None:
        """Return the value that was answered last, if there is one."""
        return self._seen

    def stop(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _run(self) -> None:
        backoff = ExponentialBackoff(self._interval, max(self._interval, _MAX_BACKOFF), jitter=(0.9, 1.0))
        while True:
            found, trouble = await self._look()
            self._failures = 0 if trouble is None else self._failures + 1
            if (found, trouble) != (self._seen, self.error):
                self._seen, self.error = found, trouble
                self._wake()
            await asyncio.sleep(backoff.seconds(self._failures, random.random()))

    async def _look(self) -> tuple[list[Observation] | None, tuple[str, str] | None]:
        try:
            return await self._ask(), None
        except (DefinitionError, ApiError) as error:
            return self._seen, (error.reason, error.message)
        except Exception:  # noqa: BLE001  it is asked again, and the log says what is wrong with us
            _LOG.exception("sensor on %s: unexpected", self._source.text)
            return self._seen, ("Unexpected", "the operator could not send the request; its log has the reason")

    async def _ask(self) -> list[Observation]:
        answer = await self._fetcher.fetch(self._source.url, await self._headers(), self._etag, self._namespace)
        if answer.body is None:
            return self._seen or []
        value = self._read(answer.body)
        self._etag = answer.etag
        host = urlsplit(self._source.url).hostname or ""
        return [] if value is None else [Observation(value, host, value)]

    def _read(self, body: bytes) -> str | None:
        if not self._source.path:
            return hashlib.sha256(body).hexdigest()
        try:
            return text_at(json.loads(body), self._source.path)
        except (ValueError, RecursionError):
            raise DefinitionError("InvalidAnswer", f"{self._source.text} does not answer with JSON") from None

    async def _headers(self) -> dict[str, str]:
        headers = {}
        for name, secret, key in self._source.headers:
            try:
                value = await self._launching.secret_key(self._namespace, secret, key)
            except ApiError as error:
                if error.reason == "Forbidden":
                    raise DefinitionError(
                        "Forbidden",
                        f"the operator may not read the Secret {secret!r}; the chart's value sensors.http.readSecrets "
                        "can allow it",
                    ) from None
                raise
            if value is None:
                raise DefinitionError("SecretNotFound", f"there is no Secret {secret!r} with the key {key!r}")
            headers[name] = value.strip()
        return headers
