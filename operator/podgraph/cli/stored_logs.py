"""The logs of steps whose pods are gone, out of the Job's storage (`spec.storage.logs`).

Whoever runs the command has no credentials for the storage in general, and a claim can only be read where it is
mounted. So a pod reads them, made as the Job's own are, and prints them; it is deleted when it has.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from podgraph.cli.cluster import Cluster
from podgraph.cluster.bundle import bundle
from podgraph.definition.errors import DefinitionError
from podgraph.planning import names
from podgraph.planning.manifests import JobRef, runtime_config_map
from podgraph.planning.storage import SHOW_SECONDS, Storage, log_pod
from podgraph.runtime.logs import read_shown
from podgraph.runtime.protocol import ProtocolError, Record

__all__ = ["stored_logs"]

_LOOK_SECONDS = 0.3

Object = Mapping[str, Any]


def stored_logs(cluster: Cluster, job: Object, steps: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines of the last attempt at each of these steps; a step of which nothing was kept is left out.

    Raises DefinitionError when the storage cannot be read, or not within a limit.
    """
    meta, status = job["metadata"], job["status"]
    told = status["storage"]
    ref = JobRef(meta["name"], cluster.namespace, meta["uid"])
    image = told.get("image") or (job["spec"].get("code") or {}).get("image")
    if not image:
        raise DefinitionError("NoImage", f"Job {ref.name!r} does not tell with which image its storage can be read")
    runtime = bundle()
    config_map = names.runtime_config_map(runtime.digest)
    attempts = {step: status["steps"][step].get("attempt", 1) for step in steps}
    nonce = secrets.token_hex(8)
    pod = log_pod(ref, image, Storage.from_status(told), config_map, nonce, attempts)
    name = pod["metadata"]["name"]
    cluster.create_config_map(runtime_config_map(ref.namespace, config_map, runtime.archive))
    cluster.create_pod(pod)
    try:
        trouble = _wait(cluster, name)
        if trouble:
            raise DefinitionError(
                "StorageFailed", f"the kept logs of Job {ref.name!r} cannot be read from {told['url']}: {trouble}"
            )
        return read_shown(cluster.log(name, follow=False), nonce)
    finally:
        cluster.delete_pod(name)


def _told(message: str) -> str:
    """Return what a pod says of its end, as a person reads it."""
    try:
        return Record.from_text(message).message
    except ProtocolError:
        return message[-500:]


def _wait(cluster: Cluster, name: str) -> str:
    """Wait for the pod's end and return what kept it from its work, or ""."""
    end, why = time.monotonic() + SHOW_SECONDS, ""
    while time.monotonic() < end:
        phase, why, said = cluster.pod_state(name)
        if phase == "Succeeded":
            return ""
        if phase == "Failed":
            return _told(said) or why or "its pod failed"
        time.sleep(_LOOK_SECONDS)
    return f"the pod that reads them was not done within {SHOW_SECONDS} s" + (f" ({why})" if why else "")
