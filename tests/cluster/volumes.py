"""Claims for tests: a volume that is a folder of the node, for clusters that make none themselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from cluster.kube import Kube

__all__ = ["files_on", "node_claim", "node_volume", "on_node", "text_on"]

BUSYBOX = "busybox:1"


@contextlib.contextmanager
def node_volume(kube: Kube, claim: str) -> Iterator[str]:
    """Make a volume for the claim of this name in this namespace, on a folder that everybody may write to."""
    name = f"{kube.namespace}-{claim}"
    path = f"/var/tmp/{name}"
    on_node(kube, path, "chmod 0777 /folder")
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": path},
            "claimRef": {"namespace": kube.namespace, "name": claim},
        },
    }
    kube.create(volume)
    try:
        yield path
    finally:
        kube.delete("pv", name)
        on_node(kube, path, "rm -rf /folder/* && echo gone")


@contextlib.contextmanager
def node_claim(kube: Kube, claim: str) -> Iterator[str]:
    """Make a volume and its claim; return the folder on the node."""
    with node_volume(kube, claim) as path:
        kube.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": claim},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "",
                    "volumeName": f"{kube.namespace}-{claim}",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
        )
        yield path


def files_on(kube: Kube, path: str) -> list[str]:
    """Return the files below a folder of the node, by their path in it."""
    found = on_node(kube, path, "cd /folder && find . -type f").splitlines()
    return sorted(line.removeprefix("./") for line in found)


def text_on(kube: Kube, path: str, name: str) -> str:
    """Return the text of a file below a folder of the node."""
    return on_node(kube, path, f"cat '/folder/{name}'")


def on_node(kube: Kube, path: str, script: str) -> str:
    """Run a script as root with a folder of the node at /folder; in namespace default, where that is allowed."""
    outside, name = kube.within("default"), f"pg-node-{time.monotonic_ns()}"
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "c",
                    "image": BUSYBOX,
                    "command": ["/bin/sh", "-ec", script],
                    "volumeMounts": [{"name": "folder", "mountPath": "/folder"}],
                }
            ],
            "volumes": [{"name": "folder", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}],
        },
    }
    outside.create(pod)
    try:
        outside.wait_for(
            f"the end of {name}",
            lambda: outside.get("pod", name)["status"].get("phase") in ("Succeeded", "Failed"),
        )
        assert outside.get("pod", name)["status"]["phase"] == "Succeeded", outside.logs(name)
        return outside.logs(name)
    finally:
        outside.run("delete", "pod", name, "--wait=false", "--grace-period=0", "--force")
