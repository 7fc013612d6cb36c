"""Where a Job's large values go (`spec.storage`, else the operator's own setting), and what its pods need for it.

The operator itself never reads or writes there, so it holds no credentials: step pods take them from the Secret that
is named, or mount the claim.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests.objects import JobRef, Manifest
from podgraph.planning.manifests.pod_template import JOB_TEMPLATE, lay_over
from podgraph.planning.model import names
from podgraph.planning.model.kube_names import check_field
from podgraph.planning.model.spec import CodeSpec
from podgraph.protocol.step import Assignment

__all__ = [
    "MOUNT_PATH",
    "SHOW_SECONDS",
    "Storage",
    "claim_manifest",
    "clean_pod",
    "default_storage",
    "equip",
    "log_pod",
    "needs_cleaning",
    "prefix",
    "read_storage",
]

MOUNT_PATH = "/podgraph-storage"
"""Where a claim is mounted when no URL says otherwise."""
CLEAN_SECONDS = 300
"""How long a pod that deletes what a Job stored may run."""
SHOW_SECONDS = 120
"""How long a pod that prints stored logs may take."""

_HARMLESS = ("Pending", "Succeeded", "Skipped", "UpstreamFailed")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^\s\x00-\x1f\x7f]+)")
_MOST_URL = 1_024
_SCHEMES = ("file", "s3", "gs", "az")
_TAKEN = ("/podgraph", "/dev", "/proc", "/sys")
_WHOLE = ("", "/bin", "/etc", "/lib", "/lib64", "/opt", "/root", "/sbin", "/tmp", "/usr", "/var")  # not to be hidden


@dataclass(frozen=True)
class Storage:
    """A place for values: its URL, the Secret with its credentials or the claim it is on, and what becomes of them.

    `keep` says that they outlive the Job, `logs` that what steps print goes there too. With `size` the operator makes a
    claim that is missing.
    """

    url: str
    secret: str = ""
    claim: str = ""
    keep: bool = False
    logs: bool = False
    size: str = ""
    storage_class: str = ""
    access_mode: str = "ReadWriteOnce"

    def to_status(self) -> dict[str, Any]:
        """Return what deleting the values takes: the operator's own setting may be another by then."""
        found = {
            "url": self.url,
            "secret": self.secret,
            "claim": self.claim,
            "retain": "Keep" if self.keep else "",
            "logs": self.logs,
        }
        return {key: value for key, value in found.items() if value}

    @classmethod
    def from_status(cls, data: Mapping[str, Any]) -> Storage:
        """Read :meth:`to_status`. Raises DefinitionError, as others may have written it."""
        where = "status.storage"
        _split_url(where, data.get("url", ""))
        secret, claim = (check_field(where, data, key, absent="") for key in ("secret", "claim"))
        return cls(data["url"], secret, claim, data.get("retain") == "Keep", data.get("logs") is True)


def read_storage(spec: Mapping[str, Any], where: str = "spec.storage") -> Storage:
    """Read `spec.storage`. Raises DefinitionError (`InvalidStorage`, `InvalidName`)."""
    claim = check_field(f"{where}.claimRef", spec["claimRef"]) if spec.get("claimRef") else ""
    secret = check_field(f"{where}.secretRef", spec["secretRef"]) if spec.get("secretRef") else ""
    url = spec.get("url") or (f"file://{MOUNT_PATH}" if claim else "")
    scheme, rest = _split_url(where, url)
    path = rest.rstrip("/")
    if scheme not in _SCHEMES:
        allowed = ", ".join(f"{known}://" for known in _SCHEMES)
        raise DefinitionError(
            "InvalidStorage", f"{where}.url is {url[:100]!r}; it must be a URL that begins with one of {allowed}"
        )
    if scheme == "file":
        if not claim:
            raise DefinitionError(
                "InvalidStorage",
                f"{where}.url is {url[:100]!r} without claimRef: each pod would have a folder of its own",
            )
        if not rest.startswith("/") or ":" in path:
            raise DefinitionError(
                "InvalidStorage", f"{where}.url is {url[:100]!r}; it must be file:// and an absolute path to mount at"
            )
        if path in _WHOLE or any(path == taken or path.startswith(f"{taken}/") for taken in _TAKEN):
            raise DefinitionError(
                "InvalidStorage",
                f"{where}.url is {url[:100]!r}, a folder that the image or podgraph needs; name another",
            )
    elif claim:
        raise DefinitionError(
            "InvalidStorage", f"{where} has a claimRef, but its url {url[:100]!r} is not a file:// URL"
        )
    return Storage(f"{scheme}://{path}", secret, claim, spec.get("retain") == "Keep", spec.get("logs") is True)


def _split_url(where: str, url: str) -> tuple[str, str]:
    """Return the scheme of a URL and what stands behind `://`. Raises DefinitionError (`InvalidStorage`)."""
    match = _URL.fullmatch(url) if isinstance(url, str) and len(url) <= _MOST_URL else None
    if match is None or not {".", ".."}.isdisjoint(match[2].split("/")):
        raise DefinitionError(
            "InvalidStorage",
            f"{where}.url is {str(url)[:100]!r}; it must be a URL of at most {_MOST_URL:,} characters that begins with "
            "s3://, gs://, az:// or file://, without white space and without '.' or '..' between its slashes",
        )
    return match[1], match[2]


def default_storage(text: str) -> Storage | None:
    """Read the operator's own setting: JSON of the form of `spec.storage`, with `size` for a claim it is to make.

    Raises DefinitionError.
    """
    if not text:
        return None
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DefinitionError("InvalidStorage", f"PODGRAPH_STORAGE is not valid JSON: {error}") from None
    return replace(
        read_storage(data, "PODGRAPH_STORAGE"),
        size=data.get("size", ""),
        storage_class=data.get("storageClassName", ""),
        access_mode=data.get("accessMode") or "ReadWriteOnce",
    )


def prefix(job: JobRef) -> str:
    """Return the key below which all that a Job stores lies."""
    return f"{job.namespace}/{job.name}/{job.uid}"


def equip(pod: Manifest, storage: Storage) -> None:
    """Give a pod's container the credentials or the claim."""
    spec = pod["spec"]
    container = spec["containers"][0]
    if storage.secret:
        container["envFrom"] = [*(container.get("envFrom") or ()), {"secretRef": {"name": storage.secret}}]
    if storage.claim:
        path = storage.url.removeprefix("file://")
        claim = {"name": "storage", "persistentVolumeClaim": {"claimName": storage.claim}}
        spec["volumes"] = [*(spec.get("volumes") or ()), claim]
        mount = {"name": "storage", "mountPath": path}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
        # New volumes belong to root; this lets the step's user write where the volume's kind knows of owners.
        own = {"fsGroup": manifests.USER_ID, "fsGroupChangePolicy": "OnRootMismatch"}
        spec["securityContext"] = {**own, **spec.get("securityContext", {})}


def claim_manifest(job: JobRef, storage: Storage) -> Manifest:
    """Return the claim that all Jobs of a namespace share when the operator's own setting asks for one."""
    spec: Manifest = {
        "accessModes": [storage.access_mode],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.storage_class:
        spec["storageClassName"] = storage.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": storage.claim,
            "namespace": job.namespace,
            "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
        },
        "spec": spec,
    }


def clean_pod(
    job: JobRef, image: str, storage: Storage, runtime: str, template: Mapping[str, Any] | None = None
) -> Manifest:
    """Return the pod that deletes all that a Job stored, with the Job's pod template laid over it.

    It has no owner: the collector would delete it with the Job, before it had done its work.
    """
    name = names.clean_pod(job.name, job.uid)
    assignment = Assignment(
        op="",
        nonce=names.nonce(job.uid, "clean", 0),
        run_id=job.uid,
        storage=storage.url,
        prefix=prefix(job),
        clean=True,
    )
    pod = manifests.python_pod(job, name, CodeSpec(image), assignment, runtime, "")
    if template:
        pod = lay_over(pod, JOB_TEMPLATE, template)
    equip(pod, storage)
    del pod["metadata"]["ownerReferences"]
    del pod["metadata"]["labels"][names.JOB_UID_LABEL]  # it is no pod for the operator to look at as one of the Job's
    pod["spec"]["activeDeadlineSeconds"] = CLEAN_SECONDS
    return pod


def log_pod(
    job: JobRef, image: str, storage: Storage, runtime: str, nonce: str, attempts: Mapping[str, int]
) -> Manifest:
    """Return the pod that prints the kept logs of these attempts, by step.

    It goes with its Job, but without the Job's labels: it is no pod for the operator to look at.
    """
    assignment = Assignment(
        op="",
        nonce=nonce,
        run_id=job.uid,
        storage=storage.url,
        prefix=prefix(job),
        show=dict(attempts),
    )
    pod = manifests.python_pod(job, names.log_pod(job.name, job.uid, nonce), CodeSpec(image), assignment, runtime, "")
    equip(pod, storage)
    pod["metadata"]["labels"] = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
    pod["spec"]["activeDeadlineSeconds"] = SHOW_SECONDS
    return pod


def needs_cleaning(status: Mapping[str, Any]) -> bool:
    """Whether a Job may have stored anything: an attempt that did not end well may have, without telling."""
    steps = (status.get("steps") or {}).values()
    logs = (status.get("storage") or {}).get("logs")
    if any(pod.get("attempt", 0) > (0 if logs else 1) for pod in (status.get("pods") or {}).values()):
        return True
    harmless = ("Pending", "Skipped", "UpstreamFailed") if logs else _HARMLESS
    return any(
        step.get("state") not in harmless
        or step.get("attempt", 1) > 1
        or any("key" in item for item in (step.get("stored") or {}).values())
        for step in steps
        if not step.get("takenFrom")  # what it gave belongs to another Job
    )
