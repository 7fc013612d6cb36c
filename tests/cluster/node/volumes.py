"""Volumes for claims that name no storage class, as every cluster has them: folders of the node, cleared after use."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .layout import BUSYBOX_IMAGE, HOST, INNER
from .progress import Failure

STORAGE_CLASS = "standard"
VOLUMES = 8
SIZE = "20Gi"

Manifest = dict[str, Any]


def manifests() -> list[Manifest]:
    """The storage class that counts when a claim names none, and the volumes."""
    default: Manifest = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
    }
    return [default, *(_volume(number) for number in range(VOLUMES))]


def recycler() -> Manifest:
    """The pod that clears a volume whose claim is gone; the controller manager puts the volume into it."""
    clear = 'rm -rf /scrub/* /scrub/.[!.]* && test -z "$(ls -A /scrub)"'
    container = {
        "name": "clear",
        "image": BUSYBOX_IMAGE,
        "command": ["/bin/sh", "-c", clear],
        "volumeMounts": [{"name": "vol", "mountPath": "/scrub"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "clear-volume", "namespace": "default"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "vol", "hostPath": {"path": "/nowhere"}}],
        },
    }


def make_folders() -> None:
    """Make the folders, for whoever may write: pods run as any user."""
    for number in range(VOLUMES):
        folder = HOST.state / "volumes" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)


def make_volumes(kubectl: list[str]) -> None:
    """Make the class and the volumes in the cluster; `kubectl` is the command line to which what it does is added."""
    things = {"apiVersion": "v1", "kind": "List", "items": manifests()}
    done = subprocess.run(
        [*kubectl, "apply", "-f", "-"], input=json.dumps(things), text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise Failure(f"the volumes could not be made: {done.stderr.strip()}")


def _volume(number: int) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"node-{number}"},
        "spec": {
            "capacity": {"storage": SIZE},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Recycle",
            "hostPath": {"path": str(INNER.state / "volumes" / str(number)), "type": "Directory"},
        },
    }
