"""Watch Jobs until they are finished."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from podgraph.planning.names import GROUP

__all__ = ["follow", "is_finished"]

_RETRY_SECONDS = 1.0


def follow(namespace: str, names: list[str], seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the named Jobs as they change, until each was yielded finished.

    The kubernetes package's configuration must be loaded. Raises TimeoutError, naming the unfinished, after `seconds`.
    """
    api = client.CustomObjectsApi()
    left, deadline = set(names), time.monotonic() + seconds
    while left:
        limit = int(deadline - time.monotonic())
        if limit <= 0:
            raise TimeoutError(f"after {seconds:.0f} s not finished: {', '.join(sorted(left))}")
        stream = watch.Watch().stream(
            api.list_namespaced_custom_object, GROUP, "v1alpha1", namespace, "jobs",
            timeout_seconds=min(limit, 60), _request_timeout=70,
        )  # fmt: skip
        try:
            for event in stream:
                job = event["object"]
                if job["metadata"]["name"] not in left:
                    continue
                yield job
                if is_finished(job):
                    left.discard(job["metadata"]["name"])
                if not left:
                    return
        except ApiException as error:
            if error.status not in (410, 429, 500, 503):
                raise
            time.sleep(_RETRY_SECONDS)


def is_finished(job: Mapping[str, Any]) -> bool:
    """Whether the Job is at its end, good or bad."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)
